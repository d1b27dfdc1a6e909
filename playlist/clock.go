package playlist

import "time"

// clock gives each part its PROGRAM-DATE-TIME. Capture times jitter, since they are taken when a picture came in from
// the network; media time does not, but its clock is the publisher's and drifts against ours. So dates follow media
// time, are drawn gently towards capture time, and jump only where capture time has moved away for good (the
// publisher's clock was stepped, or its queue grew).
type clock struct {
	next    time.Time // date of the next part
	samples int
	astray  int
}

const (
	clockMemory = 40                     // parts over which a deviation is averaged: about 10 s
	clockJump   = 200 * time.Millisecond // a larger deviation is not averaged ...
	clockAstray = 8                      // ... and believed after this many parts in a row: about 2 s
)

// reset starts anew at a discontinuity.
func (c *clock) reset() { *c = clock{} }

// date returns the date of a part of the given length, captured at captured (zero for a gap).
func (c *clock) date(captured time.Time, length time.Duration) time.Time {
	switch {
	case captured.IsZero():
	case c.next.IsZero():
		c.next, c.samples = captured, 1
	default:
		deviation := captured.Sub(c.next)
		if deviation.Abs() > clockJump {
			if c.astray++; c.astray >= clockAstray {
				c.next, c.samples, c.astray = captured, 1, 0
			}
			break
		}
		c.astray = 0
		c.samples = min(c.samples+1, clockMemory)
		c.next = c.next.Add(deviation / time.Duration(c.samples))
	}
	date := c.next
	if !c.next.IsZero() {
		c.next = c.next.Add(length)
	}
	return date
}
