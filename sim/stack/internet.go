package stack

import (
	"math/rand/v2"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/quic-go/quic-go"

	"murmuration/sim"
)

const (
	port    = 4001
	headers = 28 // bytes of IPv4 and UDP around a packet's payload
)

// internet is the simulated internet of one run. Each node has one address and one access link: a rate-limited uplink and
// downlink, each behind an FQ-CoDel queue (RFC 8290), with the plan's delay between them.
type internet struct {
	plan   *sim.Plan
	wire   *wire
	addrs  []*net.UDPAddr             // by node
	ends   []atomic.Pointer[endpoint] // by node
	cuts   atomic.Pointer[[]sim.Cut]  // partitions in force
	muxes  []atomic.Pointer[quicreuse.ConnManager]
	socket syscall.RawConn // see endpoint.SyscallConn

	rng  *rand.Rand               // of the jitter; with the wire's lock held
	last map[uint64]time.Duration // when the last packet of a pair arrives, for pairs with jitter
}

func newInternet(p *sim.Plan, socket syscall.RawConn) *internet {
	w := &internet{
		plan: p, socket: socket, wire: newWire(), ends: make([]atomic.Pointer[endpoint], len(p.Nodes)),
		muxes: make([]atomic.Pointer[quicreuse.ConnManager], len(p.Nodes)),
		rng:   rand.New(rand.NewPCG(p.Seed, 0x6e6574)), last: map[uint64]time.Duration{},
	}
	for i := range p.Nodes {
		w.addrs = append(w.addrs, &net.UDPAddr{IP: address(i), Port: port})
	}
	return w
}

// address returns a node's address, and nodeAt the node that has it: 1.0.0.1 and on, none of them private.
func address(node int) net.IP {
	n := node + 1
	return net.IPv4(1, byte(n>>16), byte(n>>8), byte(n))
}

func nodeAt(a net.Addr) int {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return -1
	}
	ip := u.IP.To4()
	if ip == nil {
		return -1
	}
	return int(ip[1])<<16 | int(ip[2])<<8 | int(ip[3]) - 1
}

// route sends a packet that left an uplink on its way. Called with the wire's lock held.
func (w *internet) route(now time.Duration, p *packet) {
	to := w.ends[p.to].Load()
	if to == nil {
		w.wire.free(p)
		return
	}
	at := now + w.latency(now, p)
	at = (at + grain - 1) / grain * grain
	w.wire.push(now, event{at: at, link: to.down, p: p})
}

// latency returns how long a packet is under way between two access links. Jitter delays packets without reordering
// those of one path, as a queue does.
func (w *internet) latency(now time.Duration, p *packet) time.Duration {
	d := w.plan.Delay(p.from, p.to)
	jitter := float64(w.plan.Nodes[p.from].Class.Jitter)*w.rng.ExpFloat64() + float64(w.plan.Nodes[p.to].Class.Jitter)*w.rng.ExpFloat64()
	if jitter == 0 {
		return d
	}
	pair := uint64(p.from)<<32 | uint64(p.to)
	at := max(now+d+time.Duration(jitter), w.last[pair])
	w.last[pair] = at
	return at - now
}

// options make a libp2p host live at a node's place on this network.
func (w *internet) options(node int) []libp2p.Option {
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
				e := newEndpoint(w, node, a)
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
