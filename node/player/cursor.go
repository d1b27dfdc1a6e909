package player

import (
	"time"

	"murmuration/playlist"
)

// item is something to fetch: a part, or a whole segment where its parts are not listed.
type item struct {
	uri           string
	init          string
	length        time.Duration
	date          time.Time // of its first sample
	gap           bool
	discontinuity bool
	backlog       bool // listed before the player began
}

// cursor walks through successive reloads of a playlist and picks out what is new.
type cursor struct {
	begun bool
	msn   uint64
	part  int
	lost  int // parts (by length) that left the list before they were seen
}

// begin puts the cursor where a player begins that wants to be holdBack behind the end: at the last independent part
// at or before that point. It returns how far after the cursor that point is.
func (c *cursor) begin(m *playlist.Media, holdBack time.Duration) time.Duration {
	c.begun = true
	if len(m.Segments) == 0 {
		c.msn = m.MediaSequence
		return 0
	}
	c.msn = m.Segments[0].MSN
	if m.End {
		return 0
	}
	var total time.Duration
	for _, s := range m.Segments {
		total += s.Length()
	}
	target := max(total-holdBack, 0)
	var at, found time.Duration
	for _, s := range m.Segments {
		here := at
		if len(s.Parts) == 0 && here <= target && !s.Gap {
			c.msn, c.part, found = s.MSN, 0, here
		}
		for i, p := range s.Parts {
			if p.Independent && !p.Gap && here <= target {
				c.msn, c.part, found = s.MSN, i, here
			}
			here += p.Duration
		}
		at += s.Length()
	}
	return target - found
}

// next returns the delivery directives that ask for what comes after this list.
func (c *cursor) next(m *playlist.Media) (msn uint64, part int) {
	if len(m.Segments) == 0 {
		return m.MediaSequence, 0
	}
	last := m.Segments[len(m.Segments)-1]
	if last.URI != "" {
		return last.MSN + 1, 0
	}
	return last.MSN, len(last.Parts)
}

// take returns what is new in a list, in order.
func (c *cursor) take(m *playlist.Media) []item {
	var items []item
	if len(m.Segments) > 0 && c.msn < m.Segments[0].MSN {
		lost := time.Duration(m.Segments[0].MSN-c.msn) * m.TargetDuration
		c.lost += int(lost / max(m.PartTarget, time.Millisecond))
		c.msn, c.part = m.Segments[0].MSN, 0
	}
	for _, s := range m.Segments {
		if s.MSN < c.msn {
			continue
		}
		if s.MSN > c.msn {
			c.msn, c.part = s.MSN, 0
		}
		if len(s.Parts) == 0 && s.URI != "" {
			if c.part == 0 {
				items = append(items, item{
					uri: s.URI, init: s.Init, length: s.Duration, date: s.Date, gap: s.Gap, discontinuity: s.Discontinuity,
				})
			} else {
				c.lost++ // the rest of it left the list of parts
			}
		}
		at := s.Date
		for i, p := range s.Parts {
			if i >= c.part {
				items = append(items, item{
					uri: p.URI, init: s.Init, length: p.Duration, date: at, gap: p.Gap,
					discontinuity: i == 0 && s.Discontinuity,
				})
			}
			if !at.IsZero() {
				at = at.Add(p.Duration)
			}
		}
		c.part = max(c.part, len(s.Parts))
		if s.URI != "" {
			c.msn, c.part = s.MSN+1, 0
		}
	}
	return items
}
