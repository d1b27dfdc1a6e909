package stack

import (
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// endpoint is a node's socket, with its access link. What the path or the NAT in front of it drops is dropped when it
// arrives, so that it has used the links up to there.
type endpoint struct {
	net      *internet
	node     int
	addr     *net.UDPAddr
	up, down *link
	rng      *rand.Rand // of the losses
	nat      bool
	dead     atomic.Bool

	called  []atomic.Bool  // nodes that this one has sent to: its NAT lets their packets in
	from    []atomic.Int64 // bytes received, by sender
	packets atomic.Int64   // received

	// With the wire's lock held:
	came       sync.Cond
	head, tail *packet // to be read
	closed     bool
	deadline   time.Time
	alarm      *time.Timer // at the deadline, where it lies ahead

	mu     sync.Mutex
	latest []int // who sent the packets that were read at the instant latestAt, in order
	at     time.Duration
}

var _ net.PacketConn = (*endpoint)(nil)

func newEndpoint(w *internet, node int, addr *net.UDPAddr) *endpoint {
	n, class := len(w.plan.Nodes), w.plan.Nodes[node].Class
	e := &endpoint{
		net: w, node: node, addr: addr, nat: class.NAT,
		rng:    rand.New(rand.NewPCG(w.plan.Seed, uint64(node)<<8|0x6c)),
		called: make([]atomic.Bool, n), from: make([]atomic.Int64, n),
	}
	e.came.L = &w.wire.mu
	e.up = newLink(w.wire, w.plan.Nodes[node].Up)
	e.up.flow = func(p *packet) int { return p.to }
	e.up.forward = w.route
	e.down = newLink(w.wire, float64(class.Down))
	e.down.flow = func(p *packet) int { return p.from }
	e.down.forward = e.arrive
	return e
}

// arrive takes a packet from the link. Called with the wire's lock held.
func (e *endpoint) arrive(_ time.Duration, p *packet) {
	if e.closed || !e.admits(p.from) {
		e.net.wire.free(p)
		return
	}
	e.packets.Add(1)
	e.from[p.from].Add(int64(len(p.data) + headers))
	if p.next = nil; e.tail == nil {
		e.head = p
	} else {
		e.tail.next = p
	}
	e.tail = p
	e.came.Signal()
}

// admits reports whether a packet makes it through the last of its way.
func (e *endpoint) admits(from int) bool {
	if e.dead.Load() || e.nat && !e.called[from].Load() || e.net.severed(from, e.node) {
		return false
	}
	nodes := e.net.plan.Nodes
	loss := max(nodes[from].Class.Loss, nodes[e.node].Class.Loss)
	return loss == 0 || e.rng.Float64() >= loss
}

// ReadFrom implements net.PacketConn.
func (e *endpoint) ReadFrom(b []byte) (int, net.Addr, error) {
	w := e.net.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case e.closed:
			return 0, nil, net.ErrClosed
		case !e.deadline.IsZero() && !time.Now().Before(e.deadline):
			return 0, nil, os.ErrDeadlineExceeded
		case e.head == nil:
			e.came.Wait()
			continue
		}
		p := e.head
		if e.head = p.next; e.head == nil {
			e.tail = nil
		}
		n, from := copy(b, p.data), p.from
		w.free(p)
		e.note(from)
		return n, e.net.addrs[from], nil
	}
}

// WriteTo implements net.PacketConn.
func (e *endpoint) WriteTo(b []byte, addr net.Addr) (int, error) {
	to := nodeAt(addr)
	if e.dead.Load() || to < 0 || to >= len(e.called) {
		return len(b), nil
	}
	if !e.called[to].Load() {
		e.called[to].Store(true)
	}
	w := e.net.wire
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.closed {
		return 0, net.ErrClosed
	}
	e.up.carry(w.now(), w.packet(e.node, to, b))
	return len(b), nil
}

// Close implements net.PacketConn.
func (e *endpoint) Close() error {
	e.net.wire.mu.Lock()
	defer e.net.wire.mu.Unlock()
	e.closed, e.head, e.tail = true, nil, nil
	if e.alarm != nil {
		e.alarm.Stop()
	}
	e.came.Broadcast()
	return nil
}

// LocalAddr implements net.PacketConn.
func (e *endpoint) LocalAddr() net.Addr { return e.addr }

// SetDeadline implements net.PacketConn.
func (e *endpoint) SetDeadline(t time.Time) error { return e.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn: writing never waits.
func (e *endpoint) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.PacketConn.
func (e *endpoint) SetReadDeadline(t time.Time) error {
	e.net.wire.mu.Lock()
	defer e.net.wire.mu.Unlock()
	if e.deadline = t; e.alarm != nil {
		e.alarm.Stop()
	}
	if wait := time.Until(t); !t.IsZero() && wait > 0 && !e.closed {
		e.alarm = time.AfterFunc(wait, e.came.Broadcast)
	}
	e.came.Broadcast()
	return nil
}

// SyscallConn lends the network's real socket, which carries nothing: quic-go sets its Don't Fragment bit, and from then on
// looks for the largest packets that a path carries (RFC 8899), as it does on the real internet.
func (e *endpoint) SyscallConn() (syscall.RawConn, error) { return e.net.socket, nil }

// SetReadBuffer is there because quic-go warns of sockets without it.
func (e *endpoint) SetReadBuffer(int) error { return nil }

// SetWriteBuffer is there because quic-go warns of sockets without it.
func (e *endpoint) SetWriteBuffer(int) error { return nil }

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
	if now := e.net.wire.now(); now != e.at {
		e.at, e.latest = now, e.latest[:0]
	}
	e.latest = append(e.latest, from)
}

// bringers returns the nodes whose packets are being handled at this instant, the last one first.
func (e *endpoint) bringers() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.net.wire.now() != e.at {
		return nil
	}
	out := slices.Clone(e.latest)
	slices.Reverse(out)
	return out
}
