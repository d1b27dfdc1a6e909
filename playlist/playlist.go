package playlist

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
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
	// Above 2 minutes delta updates are offered.
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
	dropped  uint64 // DISCONTINUITY-SEQUENCE: discontinuities that left with their segments
	version  uint64
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
	// A timescale in which PART-TARGET is no whole unit cannot describe parts.
	if float64(part.Timescale)*p.cfg.PartTarget.Seconds() < 1 || !part.End && (part.Duration == 0 || part.Init == "") {
		return fmt.Errorf("%w: %d-%d", ErrPart, part.Epoch, part.Seq)
	}
	if part.End {
		part.Duration, part.Independent = 0, false
	}
	// A part that alone breaks TARGETDURATION would make some players give up for good. Without it there is a hole.
	if !p.fits(part.Length()) {
		return fmt.Errorf("%w: %d-%d lasts %v, target duration %v", ErrPart, part.Epoch, part.Seq, part.Length(), p.cfg.TargetDuration)
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
	return s.msn, len(s.parts) - 1, true
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
	for i := len(p.segments) - 1; i >= 0; i-- {
		parts := p.segments[i].parts
		for j := len(parts) - 1; j >= 0; j-- {
			if !parts[j].gap {
				return parts[j].Part, true
			}
		}
	}
	return Part{}, false
}

// NewestIndependent returns the last part listed that a player can begin with.
func (p *Playlist) NewestIndependent() (Part, bool) {
	for i := len(p.segments) - 1; i >= 0; i-- {
		parts := p.segments[i].parts
		for j := len(parts) - 1; j >= 0; j-- {
			if !parts[j].gap && parts[j].Independent {
				return parts[j].Part, true
			}
		}
	}
	return Part{}, false
}

// First returns the oldest part in the window.
func (p *Playlist) First() (Part, bool) {
	for _, s := range p.segments {
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
			return set[0].parts[0].ID(), true
		}
	}
	return ID{}, false
}

// After returns the part listed next after id, gaps left out: the oldest one where id has left the window. It reports
// false where nothing newer is listed.
func (p *Playlist) After(id ID) (Part, bool) {
	for i := len(p.segments) - 1; i >= 0; i-- {
		s := p.segments[i]
		if id.Less(s.parts[0].ID()) && i > 0 {
			continue
		}
		for ; i < len(p.segments); i++ {
			for _, l := range p.segments[i].parts {
				if id.Less(l.ID()) && !l.gap {
					return l.Part, true
				}
			}
		}
		return Part{}, false
	}
	return Part{}, false
}

// Part returns the part called id where it can be downloaded: listed, or out of the list not too long ago.
func (p *Playlist) Part(id ID) (Part, bool) {
	for _, set := range [2][]*segment{p.segments, p.retired} {
		for i := len(set) - 1; i >= 0; i-- {
			s := set[i]
			first := s.parts[0]
			if s.epoch != id.Epoch || id.Seq < first.Seq || id.Seq-first.Seq >= uint64(len(s.parts)) {
				continue
			}
			l := s.parts[id.Seq-first.Seq] // the parts of a segment are consecutive
			return l.Part, !l.gap
		}
	}
	return Part{}, false
}

// Segment returns the parts of the finished segment with this URI's numbers, where it can be downloaded.
func (p *Playlist) Segment(epoch, first, last uint64) ([]Part, bool) {
	for _, set := range [2][]*segment{p.segments, p.retired} {
		for _, s := range set {
			if s.epoch != epoch || s.parts[0].Seq != first {
				continue
			}
			if !s.done || s.gap || s.parts[len(s.parts)-1].Seq != last {
				return nil, false
			}
			parts := make([]Part, len(s.parts))
			for i, l := range s.parts {
				parts[i] = l.Part
			}
			return parts, true
		}
	}
	return nil, false
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
