package playlist

import (
	"sort"
	"time"
)

// Last returns where the list ends: the number of the last segment and the index of its last part.
// It is what EXT-X-RENDITION-REPORT tells of this track.
func (p *Playlist) Last() (msn uint64, part int, ok bool) {
	if len(p.segments) == 0 {
		return 0, 0, false
	}
	s := p.segments[len(p.segments)-1]
	return s.msn, int(s.last - s.first), true
}

// Hint returns the next part, the one that PRELOAD-HINT names.
func (p *Playlist) Hint() (ID, bool) {
	if p.ended || !p.placed {
		return ID{}, false
	}
	return p.last.ID().next(), true
}

// Newest returns the last part listed that is not a gap.
func (p *Playlist) Newest() (Part, bool) {
	return p.newest(func(listed) bool { return true })
}

// NewestIndependent returns the last part listed that a player can begin with, of about the last minute.
func (p *Playlist) NewestIndependent() (Part, bool) {
	return p.newest(func(l listed) bool { return l.Independent })
}

func (p *Playlist) newest(want func(listed) bool) (Part, bool) {
	for i := len(p.segments) - 1; i >= p.folded; i-- {
		parts := p.segments[i].parts
		for j := len(parts) - 1; j >= 0; j-- {
			if !parts[j].gap && want(parts[j]) {
				return parts[j].Part, true
			}
		}
	}
	return Part{}, false
}

// First returns the oldest part in the window. Where it is older than about a minute, just its name and its init segment
// are set.
func (p *Playlist) First() (Part, bool) {
	for _, s := range p.segments {
		if s.parts == nil && !s.gap {
			return s.part(ID{s.epoch, s.first}).Part, true
		}
		for _, l := range s.parts {
			if !l.gap {
				return l.Part, true
			}
		}
	}
	return Part{}, false
}

// Oldest returns the name of the oldest part that can still be downloaded.
func (p *Playlist) Oldest() (ID, bool) {
	for _, set := range [2][]*segment{p.retired, p.segments} {
		if len(set) > 0 {
			return ID{set[0].epoch, set[0].first}, true
		}
	}
	return ID{}, false
}

// Since returns the name of the first part of the segments that make up the last span of the list, or of the whole of
// it.
func (p *Playlist) Since(span time.Duration) (ID, bool) {
	i := len(p.segments)
	for i > 0 && span > 0 {
		i--
		span -= p.segments[i].length
	}
	if i == len(p.segments) {
		return ID{}, false
	}
	return ID{p.segments[i].epoch, p.segments[i].first}, true
}

// Uses reports whether the init segment called name belongs to what is or was listed.
func (p *Playlist) Uses(name string) bool { return p.inits[name] }

// After returns the part listed next after id, gaps left out: the oldest one where id has left the window. It reports
// false where nothing newer is listed. Of a part older than about a minute just its name and its init segment are set.
func (p *Playlist) After(id ID) (Part, bool) {
	i := sort.Search(len(p.segments), func(i int) bool {
		s := p.segments[i]
		return id.Less(ID{s.epoch, s.last})
	})
	for ; i < len(p.segments); i++ {
		s := p.segments[i]
		from := s.first
		if id.Epoch == s.epoch && from <= id.Seq {
			from = id.Seq + 1
		}
		for seq := from; seq <= s.last; seq++ {
			if l := s.part(ID{s.epoch, seq}); !l.gap {
				return l.Part, true
			}
		}
	}
	return Part{}, false
}

// Part returns the part called id where it can be downloaded: listed, or out of the list not too long ago. Where it is
// older than about a minute, just its name and its init segment are set.
func (p *Playlist) Part(id ID) (Part, bool) {
	if s := p.holder(id); s != nil {
		l := s.part(id)
		return l.Part, !l.gap
	}
	return Part{}, false
}

// holder returns the segment that a part belongs to.
func (p *Playlist) holder(id ID) *segment {
	for _, set := range [2][]*segment{p.segments, p.retired} {
		i := sort.Search(len(set), func(i int) bool { return !(ID{set[i].epoch, set[i].last}).Less(id) })
		if i < len(set) && set[i].has(id) {
			return set[i]
		}
	}
	return nil
}

// Segment returns the parts of the finished segment with this URI's numbers, where it can be downloaded. Where it is
// older than about a minute, just their names and their init segments are set.
func (p *Playlist) Segment(epoch, first, last uint64) ([]Part, bool) {
	s := p.holder(ID{epoch, first})
	if s == nil || s.first != first || s.last != last || !s.done || s.gap {
		return nil, false
	}
	parts := make([]Part, 0, last-first+1)
	for seq := first; seq <= last; seq++ {
		parts = append(parts, s.part(ID{epoch, seq}).Part)
	}
	return parts, true
}

// Span is a finished segment, as an index of what is listed.
type Span struct {
	Epoch, First, Last uint64
	Size               int // bytes, as far as that is known
	Init               string
	Discontinuity, Gap bool
}

// Spans returns the finished segments of the list, oldest first.
func (p *Playlist) Spans() []Span {
	spans := make([]Span, 0, len(p.segments))
	for _, s := range p.segments {
		if s.done {
			spans = append(spans, Span{s.epoch, s.first, s.last, s.size, s.init, s.discontinuity, s.gap})
		}
	}
	return spans
}

// Bandwidth returns the peak and the mean bit rate, in bits per second, of the finished segments in the window
// (of the open one where there is no other).
func (p *Playlist) Bandwidth() (peak, mean int) {
	var bytes int
	var length time.Duration
	for i, s := range p.segments {
		if s.gap || s.length <= 0 || !s.done && i > 0 {
			continue
		}
		bytes += s.size
		length += s.length
		peak = max(peak, rate(s.size, s.length))
	}
	return peak, rate(bytes, length)
}

func rate(bytes int, d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int(float64(bytes) * 8 / d.Seconds())
}
