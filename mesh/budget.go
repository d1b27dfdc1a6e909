package mesh

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Numbers of the upload budget. Rates are bytes a second.
const (
	budgetEvery = 500 * time.Millisecond
	budgetPolls = 10 // looks at the delays in that time: a burst's queue lasts for a tenth of a second
	budgetLeast = 0.5e6 / 8
	budgetMost  = 1e9 / 8
	// delayFull: with so much more delay than an idle path has, most of our connections wait for one queue, and the
	// one they share is our uplink. A queue that short does not hurt yet.
	delayFull = 60 * time.Millisecond
	// delayNoise is how much the delays may differ from those between bursts without a meaning.
	delayNoise = 3 * time.Millisecond
	budgetDown = 0.5  // of the budget, at most in one step
	budgetUp   = 1.25 // in a period, until the uplink was first found too small for it
	budgetStep = 1.05 // after that
	budgetFits = 0.93 // of the budget: if a burst left so fast, there may be more
	budgetOver = 0.8  // of the budget: if a burst left so slowly, it is too much
	// budgetHeld: parcels must have waited so long for the pace in a period, or nothing can be said of it.
	budgetHeld = 20 * time.Millisecond
	budgetHold = 1500 * time.Millisecond
	budgetPeak = 4       // how much more than on average leaves in a burst
	budgetBusy = 8 << 10 // bytes in a period that make a connection's delay count

	packetHeaders = 1.05 // bytes on the wire for one of a stream: 60 of headers on 1200
)

// budget is how much the node may upload: what is configured or what the uplink was seen to carry, whichever is less.
// It has no I/O. It is safe for concurrent use.
type budget struct {
	mu       sync.Mutex
	limit    float64 // configured; 0: none
	measured float64
	used     float64 // sent in the last periods, smoothed
	tracks   int     // that share it
	pushed   float64 // sent as fragments and control, smoothed
	other    float64 // sent besides the tracks' fragments: whole messages, the log, what libp2p says
	wasOurs  pacing  // at the last sample
	found    bool    // what the uplink carries has been reached
	hold     time.Time
	last     time.Time
	was      map[peer.ID]connSample
	waits    [2]time.Duration // the longest delays of this period
	calm     time.Duration    // the delays between bursts, smoothed
}

// connSample is what one connection tells.
type connSample struct {
	sent uint64        // bytes, headers of packets included
	wait time.Duration // how much longer its last round trip was than the shortest it had
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

// spare returns what the log may use: the fragments of a track go out in bursts, at several times their mean rate, and
// nothing is to stand in their way then; but a quarter is always the log's.
func (b *budget) spare() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	total := b.total()
	return max(total-budgetPeak*b.pushed, total/4)
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

// pacing is what the tracks' uplinks have done so far.
type pacing struct {
	bytes int           // of fragments and control, released
	held  time.Duration // parcels waited for the pace
}

// sample moves the measurement on; call it budgetPolls times in budgetEvery with the connections that fragments leave by,
// the last time with all of them, and with what the tracks have released so far.
//
// A track sends a burst four times a second. While parcels wait for the pace, the uplink carries the budget, or a queue
// grows in it, however little is sent on average. From the time T that they waited and the delay W that grew meanwhile
// follows what it carried: T/(T+W) of the budget.
func (b *budget) sample(now time.Time, conns map[peer.ID]connSample, ours pacing, all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last.IsZero() && !all {
		return
	}
	if b.last.IsZero() {
		b.was, b.last, b.wasOurs = conns, now, ours
		return
	}
	var sent, counted uint64
	var waits []connSample
	for p, c := range conns {
		if was, ok := b.was[p]; ok && c.sent >= was.sent {
			sent += c.sent - was.sent
			if c.sent-was.sent >= budgetBusy {
				waits = append(waits, connSample{c.sent - was.sent, c.wait})
				counted += c.sent - was.sent
			}
		}
	}
	if len(waits) >= 2 { // one neighbour's delay may be its own
		slices.SortFunc(waits, func(a, b connSample) int { return cmp.Compare(a.wait, b.wait) })
		below, i := uint64(0), 0
		for ; below+waits[i].sent < counted/2; i++ {
			below += waits[i].sent
		}
		b.notice(waits[i].wait)
	}
	dt := now.Sub(b.last)
	if !all {
		return
	}
	b.conclude(now, float64(sent), dt.Seconds(), ours)
	b.was, b.last, b.wasOurs, b.waits = conns, now, ours, [2]time.Duration{}
}

// notice keeps the two longest delays. Call with the lock held, as conclude.
func (b *budget) notice(wait time.Duration) {
	if wait > b.waits[0] {
		b.waits = [2]time.Duration{wait, b.waits[0]}
	} else {
		b.waits[1] = max(b.waits[1], wait)
	}
}

// conclude draws conclusions from a period of dt seconds.
func (b *budget) conclude(now time.Time, sent, dt float64, ours pacing) {
	released := float64(max(ours.bytes-b.wasOurs.bytes, 0)) * packetHeaders
	held := (ours.held - b.wasOurs.held) / time.Duration(max(b.tracks, 1))
	b.used += 0.3 * (sent/dt - b.used)
	b.pushed += 0.3 * (released/dt - b.pushed)
	b.other += 0.3 * (max(sent-released, 0)/dt - b.other)
	wait := b.waits[1] // one look may have met something else
	if held < budgetHeld/4 {
		b.calm += (wait - b.calm) / 8
	}
	carried := b.measured * float64(held) / float64(held+max(wait-min(b.calm, delayFull/2)-delayNoise, 0))
	switch {
	case wait == 0 || now.Before(b.hold):
	case held > budgetHeld && carried > budgetFits*b.measured:
		up := budgetUp
		if b.found {
			up = budgetStep
		}
		b.measured = min(b.measured*up, budgetMost)
	case held > budgetHeld && carried < budgetOver*b.measured:
		b.fall(now, carried)
	case held <= budgetHeld && wait > delayFull && sent/dt > budgetLeast: // somebody else uses the uplink, or all of it is used
		b.fall(now, sent/(min(sent/b.measured, dt)+wait.Seconds()))
	}
}

// fall lowers the budget to what the uplink carried. Call with the lock held.
func (b *budget) fall(now time.Time, carried float64) {
	b.found = true
	b.measured = max(min(b.measured, carried), b.measured*budgetDown, budgetLeast)
	b.hold = now.Add(budgetHold)
}

// measure samples the node's connections: all of them, or those that we push something on.
func (n *Node) measure(now time.Time, all bool) {
	var ours pacing
	conns := map[peer.ID]connSample{}
	n.drivers.Range(func(_, v any) bool {
		d := v.(*driver)
		for p := range d.pushing() {
			conns[p] = connSample{}
		}
		sent, held := d.uplink.released()
		for _, bytes := range sent {
			ours.bytes += bytes
		}
		ours.held += held
		return true
	})
	if all {
		for _, p := range n.host.Network().Peers() {
			conns[p] = connSample{}
		}
	}
	for p := range conns {
		if q, ok := n.quicStats(p); ok {
			conns[p] = connSample{sent: q.BytesSent, wait: q.LatestRTT - q.MinRTT}
		} else {
			delete(conns, p)
		}
	}
	n.budget.sample(now, conns, ours, all)
	if all {
		n.pace.set(n.budget.spare())
	}
}
