package mesh

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/mesh/episub"
)

const (
	// uplinkBurst is how far ahead of the budget's pace parcels leave; a fragment is worth 3 ms at 20 Mbit/s. What has
	// left shares the access link, so that the first of it arrives little sooner than the last; the rest waits here, in
	// turn, where what matters more can still overtake it.
	uplinkBurst = 3 * time.Millisecond
	// uplinkLate is how much of the pace is made up for when the timer of what waits is late.
	uplinkLate = 8 * time.Millisecond
	// flyingMax is how much of one neighbour's may wait in pubsub and QUIC before further parcels for it wait here: a
	// neighbour with a slow downlink must not hold up the others.
	flyingMax = 64 << 10
	// parcelMax is how old a parcel may grow here. Nobody plays what is older than the protocol's deadline.
	parcelMax = 2 * time.Second
	// parcels bounds the queue; the machine sheds load long before.
	parcels = 4096
)

// parcel is one message that waits for the uplink: control, or a piece.
type parcel struct {
	to      peer.ID
	id      episub.ID
	class   episub.Class
	index   int16 // of a piece
	hops    uint8
	age     time.Duration // of the chunk when the parcel was queued
	queued  time.Duration
	control []byte // control frame; else the piece's parts:
	body    []byte // fragment or envelope
	init    []byte
	size    int // on the wire, about
}

// uplink orders what a track sends: control before fragments for those who pass them on, before other fragments,
// before repairs; at the pace of the budget. It is safe for concurrent use.
type uplink struct {
	mu      sync.Mutex
	queues  [episub.Classes][]parcel
	n       int
	rate    float64             // bytes a second
	free    time.Duration       // when what was released has left, by the budget
	held    time.Duration       // how long parcels have waited for the pace so far
	since   time.Duration       // since when they wait now; negative: they do not
	flying  map[peer.ID]int     // bytes released and not yet written
	ready   chan struct{}       // one token: something changed
	sent    [episub.Classes]int // bytes released
	expired uint64              // parcels that grew too old here
}

func newUplink(rate float64) *uplink {
	return &uplink{rate: rate, since: -1, flying: map[peer.ID]int{}, ready: make(chan struct{}, 1)}
}

// put queues a parcel.
func (u *uplink) put(p parcel) {
	u.mu.Lock()
	if u.n < parcels || p.class == episub.ClassControl {
		u.queues[p.class] = append(u.queues[p.class], p)
		u.n++
	} else {
		u.expired++
	}
	u.mu.Unlock()
}

// next releases what may leave now. With nothing to release it returns how long to wait at most; zero: until ready.
func (u *uplink) next(now time.Duration, out []parcel) ([]parcel, time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.since >= 0 {
		u.free = max(u.free, now-uplinkLate)
	} else {
		u.free = max(u.free, now)
	}
	u.wait(now)
	for class := range u.queues {
		q := u.queues[class]
		kept := q[:0]
		for i, p := range q {
			late := u.free-now >= uplinkBurst && p.class != episub.ClassControl
			if late {
				kept = append(kept, q[i:]...)
				break
			}
			switch {
			case now-p.queued > parcelMax:
				u.n--
				u.expired++
			case p.class != episub.ClassControl && u.flying[p.to] > 0 && u.flying[p.to]+p.size > flyingMax:
				kept = append(kept, p)
			default:
				u.n--
				u.flying[p.to] += p.size
				u.free += time.Duration(float64(p.size) * packetHeaders / u.rate * float64(time.Second))
				u.sent[p.class] += p.size
				out = append(out, p)
			}
		}
		clear(q[len(kept):])
		u.queues[class] = kept
	}
	if u.since < 0 && u.n > 0 && u.free-now >= uplinkBurst {
		u.since = now
	}
	switch wait := u.free - now - uplinkBurst + time.Millisecond; {
	case len(out) > 0 || u.n == 0:
		return out, 0
	case wait > 0:
		return out, wait
	}
	return out, 20 * time.Millisecond // all that waits is for slow neighbours: done says when they have taken something
}

// wait adds up how long parcels have waited for the pace. Call with the lock held.
func (u *uplink) wait(now time.Duration) {
	if u.since >= 0 {
		u.held += now - u.since
		u.since = -1
	}
}

// waiting reports whether something may leave now.
func (u *uplink) waiting() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.n > 0
}

// done notes that bytes released for a neighbour were written, or dropped.
func (u *uplink) done(p peer.ID, size int) {
	u.mu.Lock()
	was := u.flying[p]
	if left := was - size; left > 0 {
		u.flying[p] = left
	} else {
		delete(u.flying, p)
	}
	waiting := u.n > 0
	u.mu.Unlock()
	if waiting && was > flyingMax/2 {
		wake(u.ready)
	}
}

// forget drops what waits for a neighbour that is gone.
func (u *uplink) forget(p peer.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.flying, p)
	for class, q := range u.queues {
		before := len(q)
		u.queues[class] = slices.DeleteFunc(q, func(x parcel) bool { return x.to == p })
		u.n -= before - len(u.queues[class])
	}
}

// pace sets the budget in bytes a second.
func (u *uplink) pace(rate float64) {
	u.mu.Lock()
	u.rate = max(rate, 1)
	u.mu.Unlock()
}

// released returns the bytes released so far, by class, and how long parcels have waited for the pace.
func (u *uplink) released() (sent [episub.Classes]int, held time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sent, u.held
}
