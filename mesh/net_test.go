package mesh

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
)

// TestOnLoopback: real sockets. An origin hands out a link; seeds and viewers, over QUIC and over TCP, follow the channel
// from it, join what is on, get every chunk once with the end mark, and each reports its neighbours.
func TestOnLoopback(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	both := []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}
	origin := mustNode(t, Config{Role: Origin, Listen: both, Version: "1.2.3"})
	ot := mustJoin(t, origin, JoinConfig{Publish: true})
	of := mustFollow(t, origin)
	if err := of.Publish(ctx, channelKey, testRecord("Loopback", testTrack.Broadcast)); err != nil {
		t.Fatal(err)
	}
	const chunks = 24
	s := newStream(time.Now())
	s.size = 94_000

	link := Link{Channel: testTrack.Channel, Peers: []peer.AddrInfo{origin.Info()}}.String()
	var wg sync.WaitGroup
	var nodes []*Node
	for i := range 6 {
		cfg := Config{Listen: both[:1]}
		if i == 3 {
			cfg.Listen = both[1:]
		}
		if i == 0 {
			cfg.Role = Seed
		}
		n := mustNode(t, cfg)
		nodes = append(nodes, n)
		wg.Go(func() {
			l, err := ParseLink(link)
			if err != nil {
				t.Error(err)
				return
			}
			f, err := n.Follow(l.Channel)
			if err != nil {
				t.Error(err)
				return
			}
			if err := n.Connect(ctx, l.Peers); err != nil {
				t.Error(err)
				return
			}
			r, err := f.Next(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			b, ok := r.Current()
			if !ok {
				t.Error("nothing is on")
				return
			}
			tr, err := n.Join(TrackID{l.Channel, b.ID, b.Tracks[0].Name}, JoinConfig{Backlog: time.Minute})
			if err != nil {
				t.Error(err)
				return
			}
			got, err := collect(ctx, tr, chunks+1)
			if err != nil {
				t.Error(err)
			}
			if c := got[at(s.epoch, chunks)]; c.Envelope == nil || !c.Flags.Has(envelope.End) {
				t.Error("the end mark did not come")
			}
			if st := tr.Status(); !st.Ended || st.Missed != 0 {
				t.Errorf("status %+v", st)
			}
		})
	}
	for range chunks {
		if err := ot.Publish(ctx, s.next(t)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-time.After(40 * time.Millisecond): // a broadcast in quick motion
		case <-ctx.Done():
		}
	}
	if err := ot.Publish(ctx, s.make(t, func(e *envelope.Envelope) { e.Flags |= envelope.End })); err != nil {
		t.Fatal(err)
	}
	wg.Wait()

	st := nodes[0].Status()
	if len(st.Tracks) != 1 || st.Traffic.Received < chunks*94_000 || len(st.Addrs) == 0 {
		t.Errorf("status %+v", st)
	}
	found := false
	for _, p := range st.Peers {
		if p.ID == origin.ID() {
			found = true
			if p.Agent != "murmur/1.2.3" || p.RTT <= 0 || p.Inbound || p.Received == 0 || p.Sent == 0 || !p.Mesh {
				t.Errorf("origin as a peer: %+v", p)
			}
		}
	}
	if !found {
		t.Errorf("the origin is not among the peers: %+v", st.Peers)
	}
}

// TestInitByRequest: a node that has chunks but lacks their init segment can ask for it by its CID.
func TestInitByRequest(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	listen := []string{"/ip4/127.0.0.1/udp/0/quic-v1"}
	origin := mustNode(t, Config{Role: Origin, Listen: listen})
	ot := mustJoin(t, origin, JoinConfig{Publish: true})
	c := newStream(time.Now()).next(t)
	if err := ot.Publish(ctx, c); err != nil {
		t.Fatal(err)
	}
	n := mustNode(t, Config{})
	if err := n.Connect(ctx, []peer.AddrInfo{origin.Info()}); err != nil {
		t.Fatal(err)
	}
	init, err := n.FetchInit(ctx, origin.ID(), testTrack, c.Envelope.Init)
	if err != nil || string(init) != string(testInit) {
		t.Errorf("%d bytes, %v", len(init), err)
	}
	if _, err := n.FetchInit(ctx, origin.ID(), testTrack, c.Envelope.Block); err == nil {
		t.Error("a block passed for an init segment")
	}
}

// TestPublishRefusesWhatOthersWould: nothing leaves that would make this node an attacker in the eyes of others.
func TestPublishRefusesWhatOthersWould(t *testing.T) {
	n := mustNode(t, Config{Role: Origin})
	tr := mustJoin(t, n, JoinConfig{Publish: true})
	if _, err := n.Join(testTrack, JoinConfig{}); err == nil {
		t.Error("joined twice")
	}
	s := newStream(time.Now())
	good := s.next(t)
	other := newStream(time.Now())
	other.key = otherKey
	twin := newStream(time.Now())
	twin.size++
	noInit := good
	noInit.Init = nil
	changed := good
	changed.Block = append([]byte{1}, good.Block[1:]...)
	for name, c := range map[string]envelope.Chunk{"nothing": {}, "other key": other.next(t), "no init": noInit, "changed": changed} {
		if err := tr.Publish(t.Context(), c); err == nil {
			t.Errorf("%s went out", name)
		}
	}
	for range 2 {
		if err := tr.Publish(t.Context(), good); err != nil {
			t.Error(err)
		}
	}
	if err := tr.Publish(t.Context(), twin.next(t)); err == nil {
		t.Error("a second chunk with the same id went out")
	}
	if st := tr.Status(); st.Published != 1 {
		t.Errorf("published %d", st.Published)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if err := tr.Publish(t.Context(), s.next(t)); err == nil {
		t.Error("published after the end")
	}
	if _, err := tr.Next(t.Context()); err == nil {
		t.Error("a chunk after the end")
	}
	again := mustJoin(t, n, JoinConfig{}) // leaving and coming back works
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// TestLastChunkLeavesBeforeClose: an origin that publishes the end mark and closes at once has said it.
func TestLastChunkLeavesBeforeClose(t *testing.T) {
	inVirtualTime(t, 50*time.Millisecond, func(t *testing.T, w *internet) {
		origin := w.node(Config{Role: Origin}, 10, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		viewer := w.node(Config{}, 20, 100)
		vt := mustJoin(t, viewer, JoinConfig{})
		w.connect(viewer, origin)
		time.Sleep(time.Second)
		s := newStream(time.Now())
		s.size = 400_000
		publish(t.Context(), t, ot, s, 2)
		if err := ot.Publish(t.Context(), s.make(t, func(e *envelope.Envelope) { e.Flags |= envelope.End })); err != nil {
			t.Fatal(err)
		}
		if err := origin.Close(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := collect(ctx, vt, 3); err != nil {
			t.Fatal(err)
		}
	})
}
