package ingest

import (
	"context"
	"time"
)

// maxStep is the largest step of timestamps that is waited for. A larger one, or one back, is a jump in the source's
// timeline, not time.
const maxStep = 2 * time.Second

// pacer releases units in real time by their decode times.
type pacer struct {
	clock
	begun bool
	last  time.Duration // the timestamp furthest along
	at    time.Duration // when that is due, since the clock's start
}

func newPacer() *pacer { return &pacer{clock: newClock()} }

// wait returns when a unit with decode time t is due: at once for the first, and for one that is late.
func (p *pacer) wait(ctx context.Context, t time.Duration) error {
	if !p.begun {
		p.begun, p.last, p.at = true, t, time.Since(p.start)
	}
	step := t - p.last
	switch {
	case step > maxStep || step < -maxStep:
		p.last = t // a jump: go on from here
	case step > 0:
		p.last, p.at = t, p.at+step
	}
	if step <= 0 {
		return ctx.Err()
	}
	d := p.at - time.Since(p.start)
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// timeline keeps timestamps going when a file is played again. It counts in nanoseconds and rounds once for each
// timestamp, so that nothing adds up.
type timeline struct {
	offset     time.Duration // added to what the file says
	first, end time.Duration // of this round's presentation, as the file says
	begun      bool
	last       [2]time.Duration // decode time of each kind's last unit
	seen       [2]bool
}

// place returns the decode time dts of the file as it is to go out, and notes how far the file's presentation reaches
// by it: for as long as the decode times step.
func (l *timeline) place(k kind, dts, reorder int64, timescale uint32) int64 {
	t, shown := seconds(dts, timescale), seconds(dts+reorder, timescale)
	step := time.Second / 50 // until two of its kind were seen
	if l.seen[k] && t > l.last[k] {
		step = min(t-l.last[k], time.Second)
	}
	l.last[k], l.seen[k] = t, true
	if !l.begun {
		l.begun, l.first, l.end = true, shown, shown
	}
	l.first, l.end = min(l.first, shown), max(l.end, shown+step)
	return dts + l.units(timescale)
}

// units is the offset in a timescale.
func (l *timeline) units(timescale uint32) int64 {
	s := int64(timescale)
	whole, rest := int64(l.offset/time.Second), int64(l.offset%time.Second)
	return whole*s + (rest*s+int64(time.Second)/2)/int64(time.Second)
}

// again begins the next round where this one ended.
func (l *timeline) again() {
	l.offset += l.end - l.first
	l.begun, l.seen = false, [2]bool{}
}
