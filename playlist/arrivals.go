package playlist

import (
	"math"
	"slices"
	"sort"
	"time"
)

// maxWaiting bounds the parts held back behind a hole. It is a quarter of an hour of chunks; a hole is waited for
// one second.
const maxWaiting = 4096

// timeJump is how far a part's decode time may be from the end of the part before it, before the timeline counts as
// broken.
const timeJump = 50 * time.Millisecond

// arrival is a part that is here but not listed yet.
type arrival struct {
	Part
	at time.Time
}

// arrive files a part among those that wait.
func (p *Playlist) arrive(part Part, now time.Time) {
	id := part.ID()
	switch {
	case p.ended, id.Less(p.floor):
		p.stats.Late++
		return
	case p.placed && !p.last.ID().Less(id):
		if _, ok := p.Part(id); ok {
			p.stats.Duplicates++
		} else {
			p.stats.Late++ // declared missing: a gap stays a gap, since players have skipped it
		}
		return
	}
	i := sort.Search(len(p.waiting), func(i int) bool { return !p.waiting[i].ID().Less(id) })
	if i < len(p.waiting) && p.waiting[i].ID() == id {
		p.stats.Duplicates++
		return
	}
	if len(p.waiting) >= maxWaiting {
		p.waiting = slices.Delete(p.waiting, 0, 1)
		if i--; i < 0 {
			return
		}
	}
	p.waiting = slices.Insert(p.waiting, i, arrival{part, now})
}

// advance lists whatever can be listed at the time now, and sets the deadline for what cannot.
func (p *Playlist) advance(now time.Time) {
	p.deadline = time.Time{}
	for !p.ended && len(p.waiting) > 0 {
		var due time.Time
		switch next := p.waiting[0]; {
		case !p.placed:
			due = p.start(now)
		case next.ID() == p.last.ID().next():
			p.waiting = p.waiting[1:]
			p.list(next.Part, next.Discontinuity, next.at)
		case next.Epoch == p.last.Epoch:
			due = p.fill(now)
		default:
			// The origin restarted. Its last words in the old epoch may still be on their way.
			if due = p.lastAt.Add(p.cfg.Grace); !now.Before(due) {
				p.unplace(ID{next.Epoch, 0})
				due = time.Time{}
			}
		}
		if !due.IsZero() {
			if due.After(now) {
				p.deadline = due
			}
			return
		}
	}
}

// unplace forgets the place in the sequence: the list goes on, with a discontinuity, where there is media at or
// above floor.
func (p *Playlist) unplace(floor ID) {
	p.placed, p.floor = false, floor
}

// start looks for the part that the list begins with, or goes on with after a break. It returns when to look again,
// a time not after now where only another arrival helps, or the zero time where it has begun.
func (p *Playlist) start(now time.Time) time.Time {
	w := p.waiting
	if w[0].Seq == 0 && (w[0].Independent || w[0].End) {
		p.begin(0)
		return time.Time{}
	}
	// The last run without a hole that a player can begin in, from the first such part of it.
	at := -1
	for i := len(w) - 1; i >= 0; i-- {
		if at >= 0 && w[i].ID().next() != w[i+1].ID() {
			break
		}
		if w[i].Independent {
			at = i
		}
	}
	if at < 0 {
		if at = len(w) - 1; !w[at].End { // an end mark alone still ends the list
			return now
		}
	}
	var depth time.Duration
	for i := at; i < len(w) && (i == at || w[i-1].ID().next() == w[i].ID()); i++ {
		depth += w[i].Length()
	}
	first := w[0].at
	for _, a := range w[1:] {
		if a.at.Before(first) {
			first = a.at
		}
	}
	if due := first.Add(p.cfg.Settle); depth < p.cfg.PartHoldBack && now.Before(due) {
		return due
	}
	p.begin(at)
	return time.Time{}
}

// begin lists the i-th waiting part as the first after a break; what is before it is passed over.
func (p *Playlist) begin(i int) {
	a := p.waiting[i]
	if len(p.segments) > 0 {
		p.stats.Skipped += uint64(i)
	}
	p.waiting = p.waiting[i+1:]
	p.placed = true
	p.list(a.Part, len(p.segments) > 0, a.at)
}

// fill deals with the hole before the first waiting part: it waits, or declares the missing parts gaps. It returns
// when to look again, or the zero time where the hole is closed.
func (p *Playlist) fill(now time.Time) time.Time {
	next := p.waiting[0]
	// The hole shows when the first part behind it arrives.
	shown := next.at
	for _, a := range p.waiting[1:] {
		if a.Epoch == next.Epoch && a.at.Before(shown) {
			shown = a.at
		}
	}
	if due := shown.Add(p.cfg.Grace); now.Before(due) && len(p.waiting) < maxWaiting {
		return due
	}
	if missing := next.Seq - p.last.Seq - 1; p.tooMany(missing) {
		p.stats.Skipped += missing
		p.unplace(next.ID())
		return time.Time{}
	}
	next.Discontinuity = p.gapsBefore(next.Part)
	p.waiting = p.waiting[1:]
	p.list(next.Part, next.Discontinuity, next.at)
	return time.Time{}
}

// tooMany reports whether a run of missing parts is too long to be listed as gaps.
func (p *Playlist) tooMany(missing uint64) bool {
	return missing > uint64(p.cfg.MaxGap/p.cfg.PartTarget)
}

// gapsBefore lists what is missing between the last part and next as gaps. It reports whether next stands behind a
// discontinuity.
func (p *Playlist) gapsBefore(next Part) (discontinuity bool) {
	missing := next.Seq - p.last.Seq - 1
	// Where the timeline carries on behind the hole, the gaps take exactly the time between. Where it does not, a
	// discontinuity was lost in the hole, and the gaps' lengths are a guess.
	end := p.last.DecodeTime + uint64(p.last.Duration)
	target := p.cfg.PartTarget
	scale := p.last.Timescale
	hole := next.DecodeTime - end
	whole := next.Init == p.last.Init || next.End
	discontinuity = next.Discontinuity
	if broken := next.Discontinuity || !whole || next.Timescale != scale || next.DecodeTime <= end ||
		hole < missing || ticks(hole, scale) > time.Duration(missing)*(target+time.Microsecond); broken {
		hole = missing * min(uint64(target.Seconds()*float64(scale)), math.MaxUint32)
		discontinuity = true
	}
	last := p.last
	for i := range missing {
		from, to := hole*i/missing, hole*(i+1)/missing
		p.gap(Part{
			Epoch: last.Epoch, Seq: last.Seq + 1 + i,
			Timescale: scale, DecodeTime: end + from, Duration: uint32(to - from),
			Init: last.Init,
		})
	}
	return discontinuity
}
