package stack

import (
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/marcopolo/simnet"
)

// endpoint is a node's socket. What the path or the NAT in front of it drops is dropped as it is read, so that it has
// used the links up to there.
type endpoint struct {
	*simnet.SimConn
	net  *internet
	node int
	rng  *rand.Rand // of the losses; used by the one reader only
	nat  bool
	dead atomic.Bool

	called   []atomic.Bool  // nodes that this one has sent to: its NAT lets their packets in
	from     []atomic.Int64 // bytes received, by sender
	packets  atomic.Int64   // received
	latest   atomic.Int64   // the last packet of some size: its sender, and
	latestAt atomic.Int64   // when it was read
}

// small is the size in bytes of packets that complete no chunk: acknowledgements and other control.
const small = 100

func newEndpoint(w *internet, node int, c *simnet.SimConn) *endpoint {
	n := len(w.plan.Nodes)
	return &endpoint{
		SimConn: c, net: w, node: node, nat: w.plan.Nodes[node].Class.NAT,
		rng:    rand.New(rand.NewPCG(w.plan.Seed, uint64(node)<<8|0x6c)),
		called: make([]atomic.Bool, n), from: make([]atomic.Int64, n),
	}
}

// ReadFrom implements net.PacketConn.
func (e *endpoint) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, addr, err := e.SimConn.ReadFrom(p)
		if err != nil {
			return n, addr, err
		}
		from := nodeAt(addr)
		if from < 0 || from >= len(e.from) || e.dead.Load() {
			continue
		}
		if e.nat && !e.called[from].Load() || e.net.severed(from, e.node) {
			continue
		}
		nodes := e.net.plan.Nodes
		if loss := max(nodes[from].Class.Loss, nodes[e.node].Class.Loss); loss > 0 && e.rng.Float64() < loss {
			continue
		}
		e.packets.Add(1)
		e.from[from].Add(int64(n + headers))
		if n > small {
			e.latest.Store(int64(from))
			e.latestAt.Store(int64(time.Since(e.net.zero)))
		}
		return n, addr, nil
	}
}

// WriteTo implements net.PacketConn.
func (e *endpoint) WriteTo(p []byte, addr net.Addr) (int, error) {
	if e.dead.Load() {
		return len(p), nil
	}
	if to := nodeAt(addr); to >= 0 && to < len(e.called) && !e.called[to].Load() {
		e.called[to].Store(true)
	}
	return e.SimConn.WriteTo(p, addr)
}

// received returns the bytes that came from all nodes, with headers.
func (e *endpoint) received() int64 {
	sum := int64(0)
	for i := range e.from {
		sum += e.from[i].Load()
	}
	return sum
}

// bringer returns the node whose packet is being handled at this instant, -1 where none is.
func (e *endpoint) bringer() int {
	if e.latestAt.Load() != int64(time.Since(e.net.zero)) {
		return -1
	}
	return int(e.latest.Load())
}
