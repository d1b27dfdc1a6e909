package playlist

import (
	"errors"
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
