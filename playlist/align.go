package playlist

import "time"

// alignWithin is how far apart the dates of the discontinuities may be that two tracks have for the same reason: they are
// cut where each track has its next chunk.
const alignWithin = 1500 * time.Millisecond

// Align numbers the list's discontinuities like those of another track's list of the same broadcast, so far as nobody has
// seen it. Players take media of one number to belong together (RFC 8216bis, 4.4.4.3: tracks must agree), and
// hls.js waits for ever for a picture of a number that the picture's list does not have. A track that begins later, or that is
// listed from later on, would else begin with zero.
func (p *Playlist) Align(to *Playlist) {
	if p.shown || len(p.segments) == 0 {
		return
	}
	first := p.segments[0]
	until := first.date
	if first.discontinuity || len(first.parts) > 0 && first.parts[0].Discontinuity { // the very first one has no tag
		until = until.Add(alignWithin)
	}
	n := to.dropped
	for _, s := range to.segments {
		if s.discontinuity && !s.date.After(until) {
			n++
		}
	}
	if first.discontinuity && n > 0 {
		n-- // it stands in the list
	}
	p.dropped = n
}
