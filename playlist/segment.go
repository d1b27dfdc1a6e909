package playlist

import "time"

// listed is a part as it stands in the list.
type listed struct {
	Part
	gap bool
}

// segment is a run of parts that is also one HLS segment.
type segment struct {
	msn           uint64
	epoch         uint64
	discontinuity bool      // EXT-X-DISCONTINUITY stands before it
	date          time.Time // PROGRAM-DATE-TIME of its first part; never changes once shown
	init          string
	scale         uint32
	first, last   uint64   // seqs; the parts of a segment are consecutive
	parts         []listed // nil once the segment is so old that no list shows them (see fold)
	ticks         uint64   // length in 1/scale seconds
	length        time.Duration
	size          int
	gap           bool // a part of it is missing
	done          bool
	mapped        bool // its text in the body has the EXT-X-MAP
	at            int  // where its text begins in the body, once it is there (see text.go)
}

// has reports whether the segment holds the part called id.
func (s *segment) has(id ID) bool {
	return s.epoch == id.Epoch && s.first <= id.Seq && id.Seq <= s.last
}

// part returns the part called id: of a folded segment just its name and its init segment.
func (s *segment) part(id ID) listed {
	if s.parts == nil {
		return listed{Part{Epoch: id.Epoch, Seq: id.Seq, Init: s.init}, s.gap}
	}
	return s.parts[id.Seq-s.first]
}

func (p *Playlist) open() *segment {
	if n := len(p.segments); n > 0 && !p.segments[n-1].done {
		return p.segments[n-1]
	}
	return nil
}

// fits reports whether a segment of this length keeps to TARGETDURATION once rounded to whole seconds (RFC 4.4.3.1).
// A millisecond is kept in hand for the rounding of the printed lengths.
func (p *Playlist) fits(length time.Duration) bool {
	return length < p.cfg.TargetDuration+499*time.Millisecond
}

// list appends a part that is here. It arrived at the time at.
func (p *Playlist) list(part Part, discontinuity bool, at time.Time) {
	if part.End {
		p.last, p.lastAt = part, at
		p.end(at)
		return
	}
	if len(p.segments) > 0 && !discontinuity {
		discontinuity = p.breaks(part)
	}
	p.stats.Listed++
	// Declared lengths are exact, PART-TARGET is printed rounded up to 10 us.
	if part.Length() > p.cfg.PartTarget+10*time.Microsecond {
		p.stats.TooLong++
	}
	p.append(listed{Part: part}, discontinuity)
	p.last, p.lastAt = part, at
	p.trim()
	p.version++
}

// gap appends a part that is missing.
func (p *Playlist) gap(part Part) {
	p.stats.Gaps++
	p.append(listed{Part: part, gap: true}, false)
	p.last = part
	p.version++
}

// breaks reports whether a part does not continue the one before, whatever its envelope says: players must be told.
func (p *Playlist) breaks(part Part) bool {
	if part.Init != p.last.Init || part.Timescale != p.last.Timescale || part.Epoch != p.last.Epoch {
		return true
	}
	end := p.last.DecodeTime + uint64(p.last.Duration)
	return ticks(max(end, part.DecodeTime)-min(end, part.DecodeTime), part.Timescale) > timeJump
}

func (p *Playlist) append(l listed, discontinuity bool) {
	if discontinuity {
		p.clock.reset()
		p.keyframes, p.sinceIndep = intervals{}, 0
	}
	length := l.Length()
	date := p.clock.date(l.Captured, length)
	if l.Independent {
		p.keyframes.add(p.sinceIndep)
		p.sinceIndep = 0
	}
	s := p.open()
	if s == nil || discontinuity || p.cuts(s, l) {
		s = p.begins(s, l, discontinuity, date)
	}
	s.parts = append(s.parts, l)
	s.last = l.Seq
	s.ticks += uint64(l.Duration)
	s.length = ticks(s.ticks, s.scale)
	s.size += l.Size
	s.gap = s.gap || l.gap
	p.sinceIndep += length
	p.media += length
	p.unfolded += length
}

// begins closes the open segment and starts the next with l.
func (p *Playlist) begins(old *segment, l listed, discontinuity bool, date time.Time) *segment {
	// The first number is the first chunk's: since a segment is at least one chunk, a window that is made anew in
	// the middle of the broadcast numbers its segments above those a player may still know.
	msn := l.Seq
	if n := len(p.segments); n > 0 {
		msn = p.segments[n-1].msn + 1
	}
	if old != nil {
		old.done = true
	}
	if !l.Independent && !l.gap {
		p.dishonor = true
	}
	s := &segment{
		msn: msn, epoch: l.Epoch, discontinuity: discontinuity, date: date,
		init: l.Init, scale: l.Timescale, first: l.Seq, last: l.Seq,
	}
	if p.inits == nil {
		p.inits = map[string]bool{}
	}
	p.inits[l.Init] = true
	p.segments = append(p.segments, s)
	return s
}

// cuts decides whether the next part starts a new segment.
func (p *Playlist) cuts(s *segment, l listed) bool {
	length := s.length
	switch {
	case l.gap && !s.gap:
		// What came before the gap stays whole and playable; what follows up to the next random access point
		// needs what is missing, and shares the gap's segment.
		return true
	case !p.fits(length + l.Length()):
		return true
	case !l.Independent:
		return false
	case s.gap || !s.parts[0].Independent:
		return true
	case len(p.segments) == 1 && len(p.retired) == 0:
		return true // the list's first segment is as short as can be: players wait for it (see Ready)
	default:
		// Short groups of pictures share a segment of about a target duration, as long as the next group will fit.
		return length >= p.cfg.TargetDuration-250*time.Millisecond || !p.fits(length+p.keyframes.longest()+50*time.Millisecond)
	}
}

// trim lets the oldest segments leave once the window is full without them.
func (p *Playlist) trim() {
	for len(p.segments) > 1 && p.media-p.segments[0].length >= p.cfg.Window {
		p.leave()
	}
	// A window that begins with gaps stalls some players; one shorter than 3 target durations is not allowed.
	for len(p.segments) > 1 && p.segments[0].gap && p.media-p.segments[0].length >= 3*p.cfg.TargetDuration {
		p.leave()
	}
	// What left stays downloadable for its own length and that of the list (RFC 6.2.2), counted in media time.
	for len(p.retired) > 0 && p.resting-p.retired[0].length > p.cfg.Window+2*p.cfg.TargetDuration {
		p.resting -= p.retired[0].length
		p.retired[0] = nil
		p.retired = p.retired[1:]
	}
	p.fold()
}

// leave takes the oldest segment off the list.
func (p *Playlist) leave() {
	s := p.segments[0]
	p.segments[0] = nil
	p.segments = p.segments[1:]
	p.media -= s.length
	if p.folded > 0 {
		p.folded--
	} else {
		p.unfolded -= s.length
	}
	p.settled = max(p.settled-1, 0)
	if s.discontinuity {
		p.dropped++
	}
	p.retired = append(p.retired, s)
	p.resting += s.length
}

// keepParts is how much of the list's end keeps what is known of each part. A broadcast of hours lists thousands of
// segments, of which nobody asks for more than where they begin and end.
const keepParts = time.Minute

// fold forgets the parts of segments that are older than that.
func (p *Playlist) fold() {
	keep := max(keepParts, 4*p.cfg.TargetDuration)
	for p.folded < len(p.segments) && p.segments[p.folded].done && p.unfolded-p.segments[p.folded].length >= keep {
		s := p.segments[p.folded]
		p.unfolded -= s.length
		s.parts = nil
		p.folded++
	}
}

// intervals remembers the last few distances between random access points.
type intervals struct {
	last [4]time.Duration
	n    int
}

func (v *intervals) add(d time.Duration) {
	if d > 0 {
		v.last[v.n%len(v.last)] = d
		v.n++
	}
}

func (v *intervals) longest() time.Duration {
	var longest time.Duration
	for _, d := range v.last {
		longest = max(longest, d)
	}
	return longest
}
