package stack

import (
	"math"
	"time"
)

// The queue before a link, FQ-CoDel as RFC 8290 specifies it: each flow has a queue of its own, flows take turns by bytes,
// a flow that was idle goes first, and CoDel (RFC 8289) drops from queues that do not drain.
const (
	mtu           = 1500
	codelTarget   = 5 * time.Millisecond
	codelInterval = 100 * time.Millisecond
	flowBuckets   = 128
)

// fairQueue holds the packets that wait for a link. Its flows are the nodes at the link's other ends.
type fairQueue struct {
	flows [flowBuckets]*flow
	fresh flowList // flows that were idle
	old   flowList
}

// flow is one flow's queue, a list of packets.
type flow struct {
	next    *flow // in the list of flows
	listed  bool
	credits int

	head, tail *packet
	bytes      int

	dropping   bool
	firstAbove time.Duration // when the delay has been above the target for an interval; zero: it is not
	dropNext   time.Duration
	count      int // of drops since dropping began
	lastCount  int
}

type flowList struct{ head, tail *flow }

func (l *flowList) append(f *flow) {
	f.next = nil
	if l.tail == nil {
		l.head = f
	} else {
		l.tail.next = f
	}
	l.tail = f
}

func (l *flowList) pop() *flow {
	f := l.head
	if l.head = f.next; l.head == nil {
		l.tail = nil
	}
	return f
}

// put queues a packet of the flow of a node.
func (q *fairQueue) put(p *packet, node int, now time.Duration) {
	slot := &q.flows[node%flowBuckets]
	if *slot == nil {
		*slot = &flow{}
	}
	f := *slot
	if !f.listed {
		*f = flow{listed: true, credits: mtu}
		q.fresh.append(f)
	}
	p.next, p.queued = nil, now
	if f.tail == nil {
		f.head = p
	} else {
		f.tail.next = p
	}
	f.tail = p
	f.bytes += len(p.data)
}

// take returns the packet that the link carries next, or nil. What CoDel drops goes to drop.
func (q *fairQueue) take(now time.Duration, drop func(*packet)) *packet {
	for {
		list := &q.fresh
		if list.head == nil {
			list = &q.old
		}
		f := list.head
		if f == nil {
			return nil
		}
		if f.credits < 0 {
			f.credits += mtu
			q.old.append(list.pop())
			continue
		}
		if p := f.take(now, drop); p != nil {
			f.credits -= len(p.data)
			return p
		}
		if list.pop(); list == &q.fresh {
			q.old.append(f) // its turn comes after all others', or a flow of single packets would starve them
		} else {
			f.listed = false
		}
	}
}

// take is CoDel's dequeue.
func (f *flow) take(now time.Duration, drop func(*packet)) *packet {
	p, above := f.pop(now)
	switch {
	case f.dropping && !above:
		f.dropping = false
	case f.dropping:
		for f.dropping && now >= f.dropNext {
			drop(p)
			f.count++
			if p, above = f.pop(now); !above {
				f.dropping = false
			} else {
				f.dropNext = f.law(f.dropNext)
			}
		}
	case above:
		drop(p)
		p, _ = f.pop(now)
		f.dropping = true
		delta := f.count - f.lastCount
		if f.count = 1; delta > 1 && now-f.dropNext < 16*codelInterval {
			f.count = delta // it had to drop a moment ago: go on at that rate
		}
		f.dropNext = f.law(now)
		f.lastCount = f.count
	}
	return p
}

// pop takes the first packet, and reports whether the delay has been above the target for an interval.
func (f *flow) pop(now time.Duration) (p *packet, above bool) {
	if p = f.head; p == nil {
		f.firstAbove = 0
		return nil, false
	}
	if f.head = p.next; f.head == nil {
		f.tail = nil
	}
	f.bytes -= len(p.data)
	switch {
	case now-p.queued < codelTarget || f.bytes < mtu:
		f.firstAbove = 0
	case f.firstAbove == 0:
		f.firstAbove = now + codelInterval
	case now >= f.firstAbove:
		above = true
	}
	return p, above
}

func (f *flow) law(t time.Duration) time.Duration {
	return t + time.Duration(float64(codelInterval)/math.Sqrt(float64(f.count)))
}
