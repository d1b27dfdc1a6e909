package model

// reno is the congestion window of one side of a connection, after quic-go v0.64.1 with NewReno: 32 packets at first, a
// packet more for each that is acknowledged until the first loss and for each window of them after it, but only where
// all but three packets of the window were in flight; 0.7 of it after a loss, two packets at least. It does not shrink
// while the connection is idle, nor grow.
//
// Acknowledgements are reckoned from when a packet left the pacer, and taken in when the next message is sent.
type reno struct {
	window float64 // bytes
	flight float64 // bytes that are not acknowledged
	acked  float64 // bytes acknowledged towards the next packet of growth
	slow   bool    // no loss yet
	until  int64   // losses of what was sent before belong to the last cut, and its acknowledgements do not count
	lost   int64   // when a loss will be noticed, 0: none
	free   int64   // when the last packet was let go
	acks   []ack
	first  int // in acks
}

// ack is a packet under way.
type ack struct {
	at, sent int64
	size     float64
}

const (
	renoBeta  = 0.7
	renoLeast = 2
	renoNear  = 3 // packets less than the window in flight still count as all of it
	ackDelay  = 5e6

	full = 1452 // a packet whose payload is full, without IPv4's and UDP's headers
)

// leave lets a message of size bytes go at now or later and returns when its last packet does. window and burst are what
// a connection begins with, in bytes.
func (e *end) leave(now, rtt int64, size int32, window, burst float64) int64 {
	if e.reno == nil {
		e.reno = &reno{window: window, slow: true}
	}
	r := e.reno
	t := max(now, r.free)
	for left := size; left > 0; left -= payload {
		bytes := float64(min(left, payload) + full - payload)
		r.settle(t)
		for r.flight >= r.window && r.first < len(r.acks) {
			t = max(t, r.acks[r.first].at)
			r.settle(t)
		}
		rate := 1.25 * r.window / float64(rtt)
		e.pace = max(e.pace, float64(t)-burst/rate) + bytes/rate
		t = max(t, int64(e.pace))
		r.settle(t)
		r.flight += bytes
		r.acks = append(r.acks, ack{t + rtt + ackDelay, t, bytes})
	}
	r.free = t
	return t
}

// settle takes in what is acknowledged and what was lost by now.
func (r *reno) settle(now int64) {
	for r.first < len(r.acks) && r.acks[r.first].at <= now {
		a := &r.acks[r.first]
		r.first++
		r.cut(a.at)
		if a.sent >= r.until {
			r.grow(a.size)
		}
		r.flight -= a.size
	}
	r.cut(now)
	if r.first == len(r.acks) {
		r.acks, r.first = r.acks[:0], 0
	} else if r.first > 256 {
		r.acks, r.first = r.acks[:copy(r.acks, r.acks[r.first:])], 0
	}
}

func (r *reno) grow(size float64) {
	switch {
	case r.flight < r.window-renoNear*full && (!r.slow || r.flight <= r.window/2):
	case r.slow:
		r.window += full
	default:
		if r.acked += size; r.acked >= r.window {
			r.window += full
			r.acked = 0
		}
	}
}

// cut makes the window smaller if a loss has been noticed by now.
func (r *reno) cut(now int64) {
	if r.lost == 0 || now < r.lost {
		return
	}
	r.window = max(r.window*renoBeta, renoLeast*full)
	r.slow, r.acked = false, 0
	r.until, r.lost = r.lost, 0
}

// lose notes that a packet sent at a time was lost, and will be noticed later.
func (r *reno) lose(sent, noticed int64) {
	if sent >= r.until && r.lost == 0 {
		r.lost = noticed
	}
}
