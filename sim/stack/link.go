package stack

import "time"

// link is one direction of a node's access link: a token bucket of one packet, behind a fairQueue.
type link struct {
	wire    *wire
	rate    float64 // bytes a nanosecond
	tokens  float64 // bytes; negative while pending waits
	at      time.Duration
	queue   fairQueue
	pending *packet
	flow    func(*packet) int                    // the node at the other end of a packet's path
	forward func(now time.Duration, out *packet) // what the link leads to
}

func newLink(w *wire, bitsPerSecond float64) *link {
	return &link{wire: w, rate: bitsPerSecond / 8e9, tokens: mtu}
}

// carry takes a packet. Call with the wire's lock held, as all that follows.
func (l *link) carry(now time.Duration, p *packet) {
	l.queue.put(p, l.flow(p), now)
	if l.pending == nil {
		l.drain(now)
	}
}

// serve goes on when the link is free for the packet that waited.
func (l *link) serve(now time.Duration) {
	p := l.pending
	l.pending = nil
	l.forward(now, p)
	l.drain(now)
}

// drain sends what the bucket allows, and lets the next packet wait for the rest of its tokens.
func (l *link) drain(now time.Duration) {
	for {
		p := l.queue.take(now, l.wire.free)
		if p == nil {
			return
		}
		l.tokens = min(l.tokens+float64(now-l.at)*l.rate, mtu)
		l.at = now
		l.tokens -= float64(len(p.data))
		if l.tokens < 0 {
			l.pending = p
			l.wire.push(now, event{at: now + time.Duration(-l.tokens/l.rate) + 1, link: l})
			return
		}
		l.forward(now, p)
	}
}
