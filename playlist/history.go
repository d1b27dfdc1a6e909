package playlist

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// ErrShown is returned by Backfill for a playlist that somebody has seen already.
	ErrShown = errors.New("playlist has been shown")
	// ErrHistory is returned by Backfill for a history that is out of all proportion.
	ErrHistory = errors.New("history cannot be listed")
)

// History is hearsay until it is fetched: what it can cost is bounded.
const (
	maxSegments = 1 << 16 // a day and a half of segments of 2 s
	maxSeq      = 1 << 40 // eight thousand years of chunks; numbers above 1<<53 are no numbers to JavaScript
)

// Backfill puts what was before the list in front of it: the parts older than the first one listed, in any order, the
// others being left out. The segments, also those of what is listed already, begin where they would have begun had all
// parts been pushed one after the other; so lists made at different times and places agree on their names.
//
// It can be done until the list is rendered for the first time, and fails with ErrShown after that: a player that has
// loaded the list must never see its media sequence go back (RFC 6.2.1).
//
// What history says is not held against the broadcast's end: a playlist that holds nothing else is finished by Finish.
func (p *Playlist) Backfill(history []Part, now time.Time) error {
	if p.shown || p.folded > 0 || len(p.retired) > 0 {
		return ErrShown
	}
	old := p.segments
	parts := slices.Clone(history)
	parts = slices.DeleteFunc(parts, func(part Part) bool {
		late := len(old) > 0 && !part.ID().Less(ID{old[0].epoch, old[0].first}) ||
			len(old) == 0 && len(p.waiting) > 0 && !part.ID().Less(p.waiting[0].ID())
		return late || part.End || part.Seq >= maxSeq || p.check(part) != nil
	})
	slices.SortStableFunc(parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
	})
	parts = slices.CompactFunc(parts, func(a, b Part) bool { return a.ID() == b.ID() })
	if len(parts) == 0 {
		return nil
	}
	q := &Playlist{cfg: p.cfg, version: p.version}
	spare := uint64(len(parts)) + 100 // gaps that the history may have: as many as it has parts
	for _, part := range parts {
		q.remember(part, spare)
		q.fold()
		if len(q.segments) > maxSegments {
			return fmt.Errorf("%w: more than %d segments", ErrHistory, maxSegments)
		}
	}
	if len(q.segments) == 0 {
		return nil
	}
	if len(old) > 0 {
		for i, s := range old {
			for j, l := range s.parts {
				switch {
				case l.gap:
					q.gap(l.Part)
				case i == 0 && j == 0:
					q.remember(l.Part, spare)
				default:
					q.append(l, s.discontinuity && j == 0)
					q.last = l.Part
				}
			}
		}
		q.last, q.lastAt, q.placed, q.floor = p.last, p.lastAt, p.placed, p.floor // p may have been unplaced since
	} else {
		q.placed, q.lastAt = true, now
	}
	q.stats, q.waiting, q.version = p.stats, p.waiting, p.version+1
	q.ended, q.endedAt, q.plain = p.ended, p.endedAt, p.plain
	if s := q.open(); s != nil && q.ended {
		s.done = true
	}
	q.trim()
	*p = *q
	if !p.ended {
		p.advance(now)
	}
	return nil
}

// remember appends a part of the past. Nobody waits for what is missing there; where it is too much for gaps, a
// discontinuity stands in its place.
func (p *Playlist) remember(part Part, spare uint64) {
	switch {
	case len(p.segments) == 0:
		if part.Independent {
			p.append(listed{Part: part}, false)
			p.last = part
		}
		return
	case part.ID() == p.last.ID().next():
	case part.Epoch == p.last.Epoch && !p.tooMany(part.Seq-p.last.Seq-1) && p.stats.Gaps < spare:
		part.Discontinuity = p.gapsBefore(part)
	case part.Independent:
		part.Discontinuity = true
	default:
		return
	}
	p.append(listed{Part: part}, part.Discontinuity || p.breaks(part))
	p.last = part
}

// Recorded returns the playlist of a broadcast that is over.
func Recorded(cfg Config, parts []Part, now time.Time) (*Playlist, error) {
	p, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if err := p.Backfill(parts, now); err != nil {
		return nil, err
	}
	p.Finish(now)
	p.plain = true
	return p, nil
}

// check reports what makes a part impossible to list.
func (p *Playlist) check(part Part) error {
	// A timescale in which PART-TARGET is no whole unit cannot describe parts.
	if float64(part.Timescale)*p.cfg.PartTarget.Seconds() < 1 || !part.End && (part.Duration == 0 || part.Init == "") {
		return fmt.Errorf("%w: %d-%d", ErrPart, part.Epoch, part.Seq)
	}
	// A part that alone breaks TARGETDURATION would make some players give up for good. Without it there is a hole.
	if !part.End && !p.fits(part.Length()) {
		return fmt.Errorf("%w: %d-%d lasts %v, target duration %v", ErrPart, part.Epoch, part.Seq, part.Length(), p.cfg.TargetDuration)
	}
	return nil
}

// Shown reports whether somebody has seen the list.
func (p *Playlist) Shown() bool { return p.shown }

// Over reports whether the list has been at its end for so long that no player reloads it any more.
func (p *Playlist) Over() bool { return p.plain }
