package stack

import (
	"math/rand/v2"
	"net"
	"slices"
	"sync"
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

	called  []atomic.Bool  // nodes that this one has sent to: its NAT lets their packets in
	from    []atomic.Int64 // bytes received, by sender
	packets atomic.Int64   // received

	mu     sync.Mutex
	latest []int // who sent the packets that were read at the instant latestAt, in order
	at     time.Time
}

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
		e.note(from)
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

// note keeps who sent a packet.
func (e *endpoint) note(from int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := time.Now(); !now.Equal(e.at) {
		e.at, e.latest = now, e.latest[:0]
	}
	e.latest = append(e.latest, from)
}

// bringers returns the nodes whose packets are being handled at this instant, the last one first.
func (e *endpoint) bringers() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !time.Now().Equal(e.at) {
		return nil
	}
	out := slices.Clone(e.latest)
	slices.Reverse(out)
	return out
}
