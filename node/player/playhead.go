package player

import "time"

// playhead moves through the buffer in real time once play has begun. Positions are media time from the first part
// fetched. A gap counts as buffered once what comes after it is.
type playhead struct {
	start time.Duration // position at which play begins
	end   time.Duration // of the buffer
	next  time.Duration // where the next part will stand: end, and the gaps after it

	playing bool
	since   time.Time // when the playhead would have been at position zero
	stalls  int
	stalled time.Duration

	dates []date // of the parts in the buffer, oldest first
}

type date struct {
	at   time.Duration
	date time.Time
}

// buffer appends a part that is whole at the time now.
func (p *playhead) buffer(now time.Time, length time.Duration, captured time.Time) {
	p.stall(now)
	if !captured.IsZero() {
		p.dates = append(p.dates, date{p.next, captured})
	}
	p.next += length
	p.end = p.next
	// Play begins with something in hand after the point where it begins.
	if !p.playing && p.end > p.start {
		p.playing = true
		p.since = now.Add(-p.start)
	}
}

// gap passes over a part that is missing.
func (p *playhead) gap(length time.Duration) { p.next += length }

// stall notes that the playhead has run into the buffer's end before now, and stood there until now.
func (p *playhead) stall(now time.Time) {
	if !p.playing {
		return
	}
	if late := now.Sub(p.since) - p.end; late > 0 {
		p.stalls++
		p.stalled += late
		p.since = p.since.Add(late)
	}
}

// latency returns how long ago the picture at the playhead was captured.
func (p *playhead) latency(now time.Time) (time.Duration, bool) {
	if !p.playing {
		return 0, false
	}
	at := min(now.Sub(p.since), p.end)
	for len(p.dates) > 1 && p.dates[1].at <= at {
		p.dates = p.dates[1:]
	}
	if len(p.dates) == 0 || p.dates[0].at > at {
		return 0, false
	}
	return now.Sub(p.dates[0].date.Add(at - p.dates[0].at)), true
}
