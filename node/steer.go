package node

import "time"

const (
	// steerFrom is how far two clocks may be apart before one is drawn to the other: less nobody hears.
	steerFrom = 40 * time.Millisecond
	// steerTo is how near they are then brought.
	steerTo = 5 * time.Millisecond
	// steerRate is the most by which a track runs faster or slower meanwhile: a fraction (1/100).
	steerRate = 100
	// steerJump is what is not drawn but set.
	steerJump = 2 * time.Second
)

// steer says by how much timestamps are shifted, and draws that to what it should be where two encoders' clocks drift
// apart.
type steer struct {
	shift    time.Duration
	last     time.Time
	steering bool
}

func (s *steer) set(shift time.Duration, now time.Time) {
	*s = steer{shift: shift, last: now}
}

// follow draws the shift towards want.
func (s *steer) follow(want time.Duration, now time.Time) {
	elapsed := max(now.Sub(s.last), 0)
	s.last = now
	off := want - s.shift
	switch {
	case off.Abs() > steerJump:
		s.set(want, now)
		return
	case off.Abs() > steerFrom:
		s.steering = true
	case off.Abs() < steerTo:
		s.steering = false
	}
	if s.steering {
		step := elapsed / steerRate
		s.shift += min(max(off, -step), step)
	}
}
