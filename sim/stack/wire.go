package stack

import (
	"math"
	"sync"
	"time"
)

// grain is what arrivals are rounded up to: each moment at which something happens costs a turn of the virtual clock, and
// 200 peers have a packet every 7 µs.
const grain = 50 * time.Microsecond

const never = time.Duration(math.MaxInt64)

// wire lets packets arrive: one heap of events and one goroutine for all links of the simulated internet. (A goroutine and
// a timer for each direction of each link, and a channel between each two, were a fifth of a run's time.)
type wire struct {
	zero  time.Time
	timer *time.Timer
	quit  chan struct{}
	gone  chan struct{}

	mu     sync.Mutex
	events []event // a heap, first by time, then by order
	order  uint64
	next   time.Duration // when the timer fires
	spare  *packet       // packets to use again
}

// event is the arrival of a packet at a link, or, without one, the moment at which the link is free for the next.
type event struct {
	at    time.Duration // since the start
	order uint64
	link  *link
	p     *packet
}

// packet is a UDP datagram under way.
type packet struct {
	from, to int
	data     []byte
	next     *packet
	queued   time.Duration
}

func newWire() *wire {
	w := &wire{zero: time.Now(), timer: time.NewTimer(time.Hour), quit: make(chan struct{}), gone: make(chan struct{}), next: never}
	w.timer.Stop()
	go w.run()
	return w
}

// close ends the wire. Packets that are under way do not arrive.
func (w *wire) close() {
	close(w.quit)
	<-w.gone
}

func (w *wire) now() time.Duration { return time.Since(w.zero) }

func (w *wire) run() {
	defer close(w.gone)
	defer w.timer.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-w.timer.C:
		}
		w.mu.Lock()
		now := w.now()
		w.next = 0 // whatever is pushed meanwhile is looked at below
		for len(w.events) > 0 && w.events[0].at <= now {
			if e := w.pop(); e.p != nil {
				e.link.carry(now, e.p)
			} else {
				e.link.serve(now)
			}
		}
		w.next = never
		if len(w.events) > 0 {
			w.next = w.events[0].at
			w.timer.Reset(w.next - now)
		}
		w.mu.Unlock()
	}
}

// push adds an event. Call with the lock held, as all that follows.
func (w *wire) push(now time.Duration, e event) {
	w.order++
	e.order = w.order
	w.events = append(w.events, e)
	h, i := w.events, len(w.events)-1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&h[up]) {
			break
		}
		h[i], i = h[up], up
	}
	h[i] = e
	if e.at < w.next {
		w.next = e.at
		w.timer.Reset(e.at - now)
	}
}

// pop takes the next event.
func (w *wire) pop() event {
	h := w.events
	first, n := h[0], len(h)-1
	last := h[n]
	h[n] = event{}
	h = h[:n]
	w.events = h
	if n == 0 {
		return first
	}
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && h[c+1].before(&h[c]) {
			c++
		}
		if !h[c].before(&last) {
			break
		}
		h[i], i = h[c], c
	}
	h[i] = last
	return first
}

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && e.order < f.order
}

// packet returns a packet with a copy of data.
func (w *wire) packet(from, to int, data []byte) *packet {
	p := w.spare
	if p == nil {
		p = &packet{data: make([]byte, 0, mtu)}
	} else {
		w.spare = p.next
	}
	p.from, p.to, p.next, p.data = from, to, nil, append(p.data[:0], data...)
	return p
}

// free takes a packet back.
func (w *wire) free(p *packet) {
	p.next = w.spare
	w.spare = p
}
