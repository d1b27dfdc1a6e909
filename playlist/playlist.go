package playlist

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"
)

// Errors of Push. The part is not taken.
var (
	// ErrPart marks a part that cannot be listed: no timescale, no duration, no init segment, or longer than a
	// whole segment may be.
	ErrPart = errors.New("part cannot be listed")
	// ErrConfig marks a Config that makes no playlist.
	ErrConfig = errors.New("playlist configuration")
)

// Config fixes what may not change while the playlist lives.
type Config struct {
	// PartTarget is PART-TARGET. Required. No part should be longer.
	PartTarget time.Duration

	// TargetDuration is TARGETDURATION, rounded up to whole seconds. Default 2 s; see TargetDuration (the function)
	// for streams whose keyframes are further apart.
	TargetDuration time.Duration

	// Window is how much media the playlist lists at least. Default 60 s; never less than 3 target durations.
	// Above 2 minutes delta updates are offered. A window of hours is how players can go back to the start of a
	// broadcast: what is listed costs about 300 bytes a segment, and nothing for the parts of old ones.
	Window time.Duration

	// Grace is how long a missing chunk is waited for once a later one is here. Default 1 s.
	Grace time.Duration

	// Settle is how long to wait for older chunks before the list begins with one that is not the broadcast's
	// first: a newcomer's backlog and the live chunks arrive together. Default 300 ms.
	Settle time.Duration

	// PartHoldBack is PART-HOLD-BACK, at least 3 x PartTarget, which is the default.
	PartHoldBack time.Duration

	// MaxGap is the longest run of missing chunks that is listed as gaps. A longer one (a laptop that slept)
	// becomes a discontinuity. Default 3 target durations.
	MaxGap time.Duration
}

func (c Config) withDefaults() (Config, error) {
	if c.PartTarget <= 0 {
		return c, fmt.Errorf("%w: no part target", ErrConfig)
	}
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&c.TargetDuration, 2*time.Second)
	c.TargetDuration = (c.TargetDuration + time.Second - 1).Truncate(time.Second)
	set(&c.Window, time.Minute)
	c.Window = max(c.Window, 3*c.TargetDuration)
	set(&c.Grace, time.Second)
	set(&c.Settle, 300*time.Millisecond)
	c.PartHoldBack = max(c.PartHoldBack, 3*roundUp(c.PartTarget)) // as printed
	set(&c.MaxGap, 3*c.TargetDuration)
	if c.PartTarget > c.TargetDuration {
		return c, fmt.Errorf("%w: part target %v above target duration %v", ErrConfig, c.PartTarget, c.TargetDuration)
	}
	return c, nil
}

// TargetDuration returns the target duration that suits a backlog, in any order: 2 s, or more where keyframes are
// further apart, up to 10 s. It must be settled before the playlist is first shown, since it may never change after.
// Known tells whether the backlog holds a whole stretch from one keyframe to the next; else the next is a guess.
func TargetDuration(backlog []Part) (target time.Duration, known bool) {
	parts := slices.Clone(backlog)
	slices.SortFunc(parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
	})
	longest := 2 * time.Second
	var since time.Duration
	counting := false
	for i, p := range parts {
		if p.Timescale == 0 || p.End {
			continue
		}
		follows := i > 0 && parts[i-1].ID().next() == p.ID() && !p.Discontinuity
		if p.Independent || !follows {
			known = known || counting && follows
			since, counting = 0, p.Independent
		}
		since += p.Length()
		if counting {
			longest = max(longest, since)
		}
	}
	// A segment's length rounded to whole seconds is what counts (RFC 4.4.3.1).
	return min(longest.Round(time.Second), 10*time.Second), known
}

// Playlist is the window of one track. It is not safe for concurrent use.
type Playlist struct {
	cfg Config

	// What is listed.
	segments []*segment // oldest first; the last one is open unless the broadcast has ended
	retired  []*segment // left the window, still downloadable
	media    time.Duration
	resting  time.Duration   // of retired
	folded   int             // how many of segments have forgotten their parts
	unfolded time.Duration   // length of the others
	inits    map[string]bool // init segments that were ever listed
	dropped  uint64          // DISCONTINUITY-SEQUENCE: discontinuities that left with their segments
	version  uint64
	shown    bool // somebody has seen the list: what it says of the past is fixed
	body     []byte
	settled  int  // how many of segments stand in body
	dishonor bool // a segment had to begin without a random access point: INDEPENDENT-SEGMENTS would be a lie
	ended    bool
	endedAt  time.Time
	plain    bool // ended for so long that no player wants parts any more

	// Where the list stands in the sequence of chunks.
	placed     bool
	last       Part // the last chunk listed, or its gap
	lastAt     time.Time
	floor      ID // nothing below is listed any more
	waiting    []arrival
	deadline   time.Time
	clock      clock
	keyframes  intervals
	sinceIndep time.Duration
	stats      Stats
}

// Stats counts what happened to the parts of a playlist.
type Stats struct {
	Listed     uint64 // parts listed
	Gaps       uint64 // parts declared missing
	Late       uint64 // parts that came after they were declared missing, or before the window began
	Duplicates uint64 // parts that were here already
	TooLong    uint64 // parts listed although longer than PART-TARGET
	Skipped    uint64 // missing parts passed over by a discontinuity
}

// New returns an empty playlist.
func New(cfg Config) (*Playlist, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Playlist{cfg: cfg}, nil
}

// Config returns the configuration with its defaults filled in.
func (p *Playlist) Config() Config { return p.cfg }

// Version changes whenever the text of the playlist does.
func (p *Playlist) Version() uint64 { return p.version }

// Empty reports whether nothing is listed yet.
func (p *Playlist) Empty() bool { return len(p.segments) == 0 }

// Ready reports whether players can begin: hls.js and gohlslib refuse a list without a finished segment.
func (p *Playlist) Ready() bool { return p.ended || len(p.segments) > 0 && p.segments[0].done }

// Ended reports whether ENDLIST stands in the playlist.
func (p *Playlist) Ended() bool { return p.ended }

// Stats returns the counters.
func (p *Playlist) Stats() Stats { return p.stats }

// Push takes a part that arrived at the time now. Parts may come in any order and more than once.
func (p *Playlist) Push(part Part, now time.Time) error {
	if err := p.check(part); err != nil {
		return err
	}
	if part.End {
		part.Duration, part.Independent = 0, false
	}
	p.arrive(part, now)
	p.advance(now)
	return nil
}

// Tick tells the playlist the time. It is due at Deadline, and harmless at any other time.
func (p *Playlist) Tick(now time.Time) {
	p.advance(now)
	if p.ended && !p.plain && now.Sub(p.endedAt) >= 3*p.cfg.TargetDuration {
		p.plain = true
		p.version++
	}
}

// Deadline returns when Tick is next needed; false where only a Push can change anything.
func (p *Playlist) Deadline() (time.Time, bool) {
	if p.ended {
		return p.endedAt.Add(3 * p.cfg.TargetDuration), !p.plain
	}
	return p.deadline, !p.deadline.IsZero()
}

// Finish ends the playlist without an end mark. Parts that still wait behind a hole are dropped.
func (p *Playlist) Finish(now time.Time) {
	if p.ended {
		return
	}
	p.end(now)
}

func (p *Playlist) end(now time.Time) {
	if s := p.open(); s != nil {
		s.done = true
	}
	p.ended, p.endedAt = true, now
	p.waiting, p.deadline = nil, time.Time{}
	p.version++
}

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
