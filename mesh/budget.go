package mesh

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Numbers of the upload budget. Rates are bytes a second.
const (
	budgetEvery = 500 * time.Millisecond
	budgetLeast = 0.5e6 / 8
	budgetMost  = 1e9 / 8
	// delayFull: with so much more delay than an idle path has, most of our connections wait for one queue, and the
	// one they share is our uplink. A queue that short does not hurt yet.
	delayFull  = 60 * time.Millisecond
	delayFree  = 25 * time.Millisecond
	budgetDown = 0.85 // of what was sent when the queue grew
	budgetUp   = 1.15
	budgetUsed = 0.6 // only what is used can be found too small
	budgetHold = 1500 * time.Millisecond
	budgetBusy = 8 << 10 // bytes in a period that make a connection's delay count

	packetHeaders = 1.04 // bytes that QUIC sends for one of a stream
)

// budget is how much the node may upload: what is configured or what the uplink was seen to carry, whichever is less.
// It has no I/O. It is safe for concurrent use.
type budget struct {
	mu       sync.Mutex
	limit    float64 // configured; 0: none
	measured float64
	used     float64 // sent in the last periods, smoothed
	tracks   int     // that share it
	other    float64 // sent besides the tracks' fragments: whole messages, the log, what libp2p says
	wasOurs  int     // bytes of fragments and control at the last sample
	hold     time.Time
	last     time.Time
	was      map[peer.ID]connSample
}

// connSample is what one connection tells.
type connSample struct {
	sent uint64        // bytes, headers of packets included
	wait time.Duration // how much longer its round trip is than the shortest it had
}

func newBudget(limit, first float64) *budget {
	b := &budget{limit: limit, measured: first, was: map[peer.ID]connSample{}}
	if limit > 0 {
		b.measured = min(max(first, limit), budgetMost) // believed, until the delays say otherwise
	}
	return b
}

// total returns the budget. Call with the lock held.
func (b *budget) total() float64 {
	if b.limit > 0 {
		return min(b.limit, b.measured)
	}
	return b.measured
}

// share returns what one track may use for fragments: what else is sent is taken off first, but for a quarter.
func (b *budget) share() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	total := b.total()
	return max(total-b.other, total/4) / float64(max(b.tracks, 1))
}

// join notes that a track shares the budget from now on, or with -1 that one is gone.
func (b *budget) join(n int) {
	b.mu.Lock()
	b.tracks += n
	b.mu.Unlock()
}

// rates returns the budget and what is used of it.
func (b *budget) rates() (total, used float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total(), b.used
}

// sample moves the measurement on; call it every budgetEvery with all connections, and with the bytes of fragments and
// control that tracks released so far.
func (b *budget) sample(now time.Time, conns map[peer.ID]connSample, ours int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var sent uint64
	var waits []time.Duration
	for p, c := range conns {
		if was, ok := b.was[p]; ok && c.sent >= was.sent {
			sent += c.sent - was.sent
			if c.sent-was.sent >= budgetBusy {
				waits = append(waits, c.wait)
			}
		}
	}
	dt := now.Sub(b.last).Seconds()
	first := b.last.IsZero()
	was := b.wasOurs
	b.was, b.last, b.wasOurs = conns, now, ours
	if first || dt <= 0 {
		return
	}
	rate := float64(sent) / dt
	b.used += 0.3 * (rate - b.used)
	b.other += 0.3 * (max(rate-float64(max(ours-was, 0))*packetHeaders/dt, 0) - b.other)
	if len(waits) < 2 {
		return // one neighbour's delay may be its own
	}
	slices.Sort(waits)
	wait := waits[len(waits)/4]
	switch {
	case now.Before(b.hold):
	case wait > delayFull && rate > budgetLeast:
		b.measured = max(min(b.measured, rate)*budgetDown, budgetLeast)
		b.hold = now.Add(budgetHold)
	case wait < delayFree && max(rate, b.used) > b.measured*budgetUsed:
		b.measured = min(b.measured*budgetUp, budgetMost)
	}
}

// measure samples the node's connections.
func (n *Node) measure(now time.Time) {
	conns := map[peer.ID]connSample{}
	for _, p := range n.host.Network().Peers() {
		if q, ok := n.quicStats(p); ok {
			conns[p] = connSample{sent: q.BytesSent, wait: q.SmoothedRTT - q.MinRTT}
		}
	}
	ours := 0
	n.drivers.Range(func(_, v any) bool {
		sent, _ := v.(*driver).uplink.released()
		for _, bytes := range sent {
			ours += bytes
		}
		return true
	})
	n.budget.sample(now, conns, ours)
}
