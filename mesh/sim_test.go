package mesh

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	"github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"

	"murmuration/chunker/envelope"
)

// internet is a network in virtual time with real nodes on it.
type internet struct {
	t     *testing.T
	net   *simnet.Simnet
	next  int
	nodes []*Node
	muxes []*quicreuse.ConnManager
	hosts []host.Host // that are not nodes
	stops []func()
	wires map[string]net.PacketConn // by IP address

	behindOneAddress bool // further nodes share an IP address, each on a port of its own
}

// inVirtualTime runs f on a simulated internet, each node at least latency away from every other.
func inVirtualTime(t *testing.T, latency time.Duration, f func(t *testing.T, w *internet)) {
	atDistances(t, simnet.StaticLatency(latency), f)
}

// atDistances runs f on a simulated internet where packets travel as long as latency says.
func atDistances(t *testing.T, latency func(*simnet.Packet) time.Duration, f func(t *testing.T, w *internet)) {
	synctest.Test(t, func(t *testing.T) {
		w := &internet{t: t, net: &simnet.Simnet{LatencyFunc: latency}}
		w.net.Start()
		defer w.close()
		f(t, w)
	})
}

func (w *internet) close() {
	for _, n := range w.nodes {
		if err := n.Close(); err != nil {
			w.t.Error(err)
		}
	}
	for _, stop := range w.stops {
		stop()
	}
	for _, h := range w.hosts {
		h.Close()
	}
	for _, m := range w.muxes { // libp2p does not close what it was given
		m.Close()
	}
	w.net.Close()
}

// sourceIP tells quicreuse the simulated host's address.
type sourceIP struct{ ip atomic.Pointer[net.IP] }

func (s *sourceIP) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) {
	return *s.ip.Load(), nil
}

// node adds a node with uplink and downlink in Mbit/s.
func (w *internet) node(cfg Config, up, down int) *Node {
	w.t.Helper()
	addr, opts := w.place(up, down)
	cfg.Listen = []string{addr}
	cfg.Options = append(cfg.Options, opts...)
	n, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	return n
}

// link returns the options of a host with uplink and downlink in Mbit/s.
func (w *internet) link(up, down int) []libp2p.Option {
	addr, opts := w.place(up, down)
	return append(opts, libp2p.Transport(libp2pquic.NewTransport), libp2p.ListenAddrStrings(addr))
}

// place returns an address with a link, and the options that make a host use it.
func (w *internet) place(up, down int) (string, []libp2p.Option) {
	w.next++
	ip, port := simnet.IntToPublicIPv4(w.next), 8000
	if w.behindOneAddress {
		ip, port = simnet.IntToPublicIPv4(1000), 10_000+w.next
	}
	link := simnet.NodeBiDiLinkSettings{
		Uplink:   simnet.LinkSettings{BitsPerSecond: up * simnet.Mibps},
		Downlink: simnet.LinkSettings{BitsPerSecond: down * simnet.Mibps},
	}
	src := &sourceIP{}
	return fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", ip, port), []libp2p.Option{
		libp2p.DisableIdentifyAddressDiscovery(), // it stalls virtual time
		libp2p.QUICReuse(func(reset quic.StatelessResetKey, token quic.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
			m, err := quicreuse.NewConnManager(reset, token, opts...)
			if err == nil {
				w.muxes = append(w.muxes, m)
			}
			return m, err
		},
			quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return src, nil }),
			quicreuse.OverrideListenUDP(func(_ string, a *net.UDPAddr) (net.PacketConn, error) {
				src.ip.Store(&a.IP)
				wire := w.net.NewEndpoint(a, link)
				if w.wires == nil {
					w.wires = map[string]net.PacketConn{}
				}
				w.wires[a.IP.String()] = wire
				return wire, nil
			}),
		),
	}
}

// cut takes a node off the network without a word to anyone.
func (w *internet) cut(n *Node) {
	w.t.Helper()
	ip, err := n.Info().Addrs[0].ValueForProtocol(multiaddr.P_IP4)
	if err != nil {
		w.t.Fatal(err)
	}
	w.wires[ip].Close()
}

func mustResources(t *testing.T) network.ResourceManager {
	t.Helper()
	m, err := newResources()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// connect makes a dial b.
func (w *internet) connect(a *Node, b ...*Node) {
	w.t.Helper()
	var infos []peer.AddrInfo
	for _, n := range b {
		infos = append(infos, n.Info())
	}
	if err := a.Connect(w.t.Context(), infos); err != nil {
		w.t.Fatal(err)
	}
}

// publish sends n chunks in real (virtual) time, each when it is complete.
func publish(ctx context.Context, t *testing.T, tr *Track, s *stream, n int) {
	t.Helper()
	for range n {
		c := s.next(t)
		time.Sleep(time.Until(c.Captured.Add(chunkTime)))
		if err := tr.Publish(ctx, c); err != nil {
			t.Error(err)
			return
		}
	}
}

// TestEveryoneGetsEveryChunkOnce: an origin and peers in a chain of acquaintance, so that most chunks come over relays.
func TestEveryoneGetsEveryChunkOnce(t *testing.T) {
	inVirtualTime(t, 15*time.Millisecond, func(t *testing.T, w *internet) {
		const peers, chunks = 12, 40
		origin := w.node(Config{Role: Origin}, 100, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		var tracks []*Track
		for i := range peers {
			n := w.node(Config{}, 20, 100)
			tracks = append(tracks, mustJoin(t, n, JoinConfig{}))
			if i < 4 {
				w.connect(n, origin)
			} else {
				w.connect(n, w.nodes[1+(i-4)%4], w.nodes[i])
			}
		}
		time.Sleep(2 * time.Second) // meshes form
		s := newStream(time.Now())
		s.size = 94_000 // 3 Mbit/s
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, tr := range tracks {
			wg.Go(func() {
				got, err := collect(ctx, tr, chunks)
				if err != nil {
					t.Error(err)
				}
				for id, c := range got {
					// One that overtook the first independent chunk comes without the init segment.
					if err := verifyChunk(testTrack, c); err != nil || c.Init == nil && c.Flags.Has(envelope.Independent) {
						t.Errorf("chunk %v: %v, init of %d bytes", id, err, len(c.Init))
					}
				}
			})
		}
		publish(ctx, t, ot, s, chunks)
		wg.Wait()
		var copies uint64
		for _, tr := range tracks {
			st := tr.Status()
			if st.Received != chunks || st.Missed != 0 || st.Rejected != 0 {
				t.Errorf("status %+v", st)
			}
			copies += st.Duplicates
			t.Logf("delay %v, fetched %d, duplicates %d, relayed %d", st.Delay, st.Fetched, st.Duplicates, st.Relayed)
		}
		st := ot.Status()
		if st.Published != chunks || st.Relayed > chunks*12 {
			t.Errorf("origin published %d and sent %d copies", st.Published, st.Relayed)
		}
		t.Logf("origin sent %.1f copies a chunk; peers got %.1f in vain", float64(st.Relayed)/chunks, float64(copies)/chunks/peers)
	})
}

// TestAudienceOnHomeUplinks: everyone knows the origin's address only. The origin still sends no more copies than its
// degree, and the chunks are there within a second, though uplinks carry six streams at most.
func TestAudienceOnHomeUplinks(t *testing.T) {
	inVirtualTime(t, 30*time.Millisecond, func(t *testing.T, w *internet) {
		const peers, chunks = 20, 40 // ten seconds: in the first few the trees form, which the median must not be of
		origin := w.node(Config{Role: Origin}, 100, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		mustFollow(t, origin)
		var tracks []*Track
		for range peers {
			n := w.node(Config{}, 20, 100)
			mustFollow(t, n)
			tracks = append(tracks, mustJoin(t, n, JoinConfig{}))
			w.connect(n, origin)
		}
		time.Sleep(8 * time.Second) // they meet one another
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := newStream(time.Now())
		s.size = 94_000
		var wg sync.WaitGroup
		for _, tr := range tracks {
			wg.Go(func() {
				for range chunks {
					c, err := tr.Next(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					// The first chunks find no trees yet.
					if d := time.Since(c.Captured.Add(chunkTime)); c.Seq > 1 && d > time.Second {
						t.Errorf("chunk %d after %v", c.Seq, d)
					}
				}
			})
		}
		publish(ctx, t, ot, s, chunks)
		wg.Wait()
		for _, tr := range tracks {
			if st := tr.Status(); st.Delay.P50-chunkTime > 250*time.Millisecond || st.Delay.Max > 4*time.Second || st.Missed != 0 {
				t.Errorf("delay %v, missed %d", st.Delay, st.Missed)
			}
		}
		if copies := float64(ot.Status().Relayed) / chunks; copies > float64(presets[Origin].dHigh) {
			t.Errorf("the origin sent %.1f copies of each chunk", copies)
		}
	})
}

// TestLateJoinerGetsWhatPlayNeeds: the newest independent chunk and what follows come at once, and the group before that,
// from which a player learns how far keyframes are apart; nothing older comes, and nothing is missing.
func TestLateJoinerGetsWhatPlayNeeds(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, w *internet) {
		origin := w.node(Config{Role: Origin}, 100, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		seed := w.node(Config{Role: Seed}, 50, 100)
		mustJoin(t, seed, JoinConfig{})
		w.connect(seed, origin)
		time.Sleep(time.Second)
		s := newStream(time.Now())
		s.size = 94_000
		publish(t.Context(), t, ot, s, 60)

		// The viewer knows the seed only, and the origin says nothing more.
		viewer := w.node(Config{Avoid: []peer.ID{origin.ID()}}, 20, 100)
		begin := time.Now()
		vt := mustJoin(t, viewer, JoinConfig{})
		w.connect(viewer, seed)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		// Independent chunks are 2 s apart: seq 56 is the newest of 60, seq 48 the one before.
		got, err := collect(ctx, vt, 60-48)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d > 1200*time.Millisecond {
			t.Errorf("what play needs took %v", d)
		}
		for seq := uint64(48); seq < 60; seq++ {
			if c, ok := got[at(s.epoch, seq)]; !ok || c.Flags.Has(envelope.Independent) && c.Init == nil {
				t.Errorf("chunk %d is missing, or its init segment", seq)
			}
		}
		publish(t.Context(), t, ot, s, 8) // late: capture times are past
		if _, err := collect(ctx, vt, 8); err != nil {
			t.Fatal(err)
		}
		// The protocol brings the newest group, the log the one before.
		if got := vt.Status(); got.Fetched != 8 || got.Received != 20 || got.Missed != 0 {
			t.Errorf("received %d, fetched %d, missed %d", got.Received, got.Fetched, got.Missed)
		}
	})
}
