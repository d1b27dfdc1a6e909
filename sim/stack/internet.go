package stack

import (
	"log/slog"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	"github.com/quic-go/quic-go"

	"murmuration/sim"
)

const (
	port    = 4001
	headers = 28 // bytes of IPv4 and UDP around a packet's payload
)

// internet is the simulated internet of one run. Each node has one address and one access link: simnet's rate-limited
// uplink and downlink, each behind an FQ-CoDel queue (RFC 8290), with the plan's delay between them.
type internet struct {
	plan  *sim.Plan
	net   simnet.Simnet
	ends  []atomic.Pointer[endpoint] // by node
	cuts  atomic.Pointer[[]sim.Cut]  // partitions in force
	muxes []atomic.Pointer[quicreuse.ConnManager]

	rng  *rand.Rand       // of the jitter; used by simnet's router only
	last map[uint64]int64 // when the last packet of a pair arrives, for pairs with jitter
	zero time.Time
}

func newInternet(p *sim.Plan) *internet {
	w := &internet{
		plan: p, ends: make([]atomic.Pointer[endpoint], len(p.Nodes)),
		muxes: make([]atomic.Pointer[quicreuse.ConnManager], len(p.Nodes)),
		rng:   rand.New(rand.NewPCG(p.Seed, 0x6e6574)), last: map[uint64]int64{}, zero: time.Now(),
	}
	w.net.LatencyFunc = w.latency
	w.net.Logger = slog.New(slog.DiscardHandler)
	w.net.Start()
	return w
}

// address returns a node's address, and nodeAt the node that has it.
func address(node int) net.IP { return simnet.IntToPublicIPv4(node + 1) }

func nodeAt(a net.Addr) int {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return -1
	}
	ip := u.IP.To4()
	if ip == nil {
		return -1
	}
	return int(ip[1])<<16 | int(ip[2])<<8 | int(ip[3]) - 2
}

// latency returns how long a packet is under way between two access links. Jitter delays packets without reordering
// those of one path, as a queue does.
func (w *internet) latency(p *simnet.Packet) time.Duration {
	from, to := nodeAt(p.From), nodeAt(p.To)
	if from < 0 || to < 0 || from >= len(w.ends) || to >= len(w.ends) {
		return 0
	}
	d := w.plan.Delay(from, to)
	jitter := float64(w.plan.Nodes[from].Class.Jitter)*w.rng.ExpFloat64() + float64(w.plan.Nodes[to].Class.Jitter)*w.rng.ExpFloat64()
	if jitter == 0 {
		return d
	}
	now := int64(time.Since(w.zero))
	pair := uint64(from)<<32 | uint64(to)
	at := max(now+int64(d)+int64(jitter), w.last[pair])
	w.last[pair] = at
	return time.Duration(at - now)
}

// options make a libp2p host live at a node's place on this network.
func (w *internet) options(node int) []libp2p.Option {
	n := &w.plan.Nodes[node]
	link := simnet.NodeBiDiLinkSettings{
		Uplink:   simnet.LinkSettings{BitsPerSecond: int(n.Up)},
		Downlink: simnet.LinkSettings{BitsPerSecond: int(n.Class.Down)},
	}
	src := source(address(node))
	manager := func(reset quic.StatelessResetKey, token quic.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
		m, err := quicreuse.NewConnManager(reset, token, opts...)
		if err == nil {
			w.muxes[node].Store(m)
		}
		return m, err
	}
	return []libp2p.Option{
		libp2p.DisableIdentifyAddressDiscovery(), // it stalls virtual time
		libp2p.QUICReuse(manager,
			quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return src, nil }),
			quicreuse.OverrideListenUDP(func(_ string, a *net.UDPAddr) (net.PacketConn, error) {
				e := newEndpoint(w, node, w.net.NewEndpoint(a, link))
				w.ends[node].Store(e)
				return e, nil
			}),
		),
	}
}

// release frees what libp2p does not close of a node's host.
func (w *internet) release(node int) {
	if m := w.muxes[node].Swap(nil); m != nil {
		_ = m.Close() // its host is gone
	}
}

// vanish makes a node fall silent, as a machine that lost its power does: nothing comes out of it or in any more.
func (w *internet) vanish(node int) {
	if e := w.ends[node].Load(); e != nil {
		e.dead.Store(true)
	}
}

// cut makes partitions be in force.
func (w *internet) cut(now time.Duration) {
	var in []sim.Cut
	for _, c := range w.plan.Cuts {
		if now >= c.At && now < c.At+c.For {
			in = append(in, c)
		}
	}
	w.cuts.Store(&in)
}

// severed reports whether a partition lies between two nodes.
func (w *internet) severed(a, b int) bool {
	in := w.cuts.Load()
	if in == nil {
		return false
	}
	for i := range *in {
		if inside := (*in)[i].Inside; inside[a] != inside[b] {
			return true
		}
	}
	return false
}

// source tells quicreuse a simulated host's address.
type source net.IP

// PreferredSourceIPForDestination implements quicreuse.SourceIPSelector.
func (s source) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) { return net.IP(s), nil }
