package playlist

import (
	"slices"
	"strconv"
	"time"
)

// longWindow is the window length above which delta updates are offered. Shorter lists are small enough to be sent
// whole, and hls.js has had bugs with deltas across discontinuities.
const longWindow = 2 * time.Minute

// dateFormat is ISO 8601 with milliseconds, as EXT-X-PROGRAM-DATE-TIME wants it.
const dateFormat = "2006-01-02T15:04:05.000Z"

// Report is what one track's playlist tells of another: EXT-X-RENDITION-REPORT.
type Report struct {
	URI  string // of the other track's playlist, relative to this one
	MSN  uint64
	Part int
}

// Render returns the media playlist. With skip it is a delta update where the RFC and the window allow one
// (`_HLS_skip=YES`), and else the whole.
func (p *Playlist) Render(skip bool, reports ...Report) []byte {
	t := p.Text(skip, reports...)
	return slices.Concat(t.Head, t.Body, t.Tail)
}

// Text is a playlist in three pieces, to be sent one after the other. They are not changed any more.
type Text struct {
	Head []byte // the tags of the list as a whole
	Body []byte // segments that will never look otherwise; shares memory with that of earlier and later versions
	Tail []byte // the segments whose parts are listed, and the end
}

// Text is Render without copying what was rendered before: the price of a list of hours is that of its last seconds.
func (p *Playlist) Text(skip bool, reports ...Report) Text {
	p.shown = true
	p.settle()
	b := make([]byte, 0, 512)
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:9\n"...)
	if !p.dishonor {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	b = append(b, "#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(p.cfg.TargetDuration/time.Second), 10)
	b = append(b, "\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK="...)
	b = appendUp(b, p.cfg.PartHoldBack)
	if p.deltas() {
		b = append(b, ",CAN-SKIP-UNTIL="...)
		b = appendUp(b, p.skipUntil())
	}
	b = append(b, "\n#EXT-X-PART-INF:PART-TARGET="...)
	b = appendUp(b, p.cfg.PartTarget)
	var first uint64
	if len(p.segments) > 0 {
		first = p.segments[0].msn
	}
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:"...)
	b = strconv.AppendUint(b, first, 10)
	b = append(b, "\n#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	b = strconv.AppendUint(b, p.dropped, 10)
	b = append(b, '\n')

	from := 0
	if skip {
		if from = p.skippable(); from > 0 {
			b = append(b, "#EXT-X-SKIP:SKIPPED-SEGMENTS="...)
			b = strconv.AppendInt(b, int64(from), 10)
			b = append(b, '\n')
		}
	}
	init := ""
	if from > 0 {
		init = p.segments[from-1].init
	}
	t := Text{Head: b}
	if from < p.settled {
		s := p.segments[from]
		if !s.mapped && from == 0 {
			t.Head = appendMap(t.Head, s.init) // it stands before a segment that has left
		}
		t.Body = p.body[s.at:len(p.body):len(p.body)]
		init = p.segments[p.settled-1].init
	}
	b = make([]byte, 0, 1024+(len(p.segments)-p.settled)*600)
	for _, s := range p.segments[max(p.settled, from):] {
		b = s.appendTo(b, init, !p.plain)
		init = s.init
	}
	t.Tail = p.appendEnd(b, reports)
	return t
}

// settle moves the segments whose parts are listed no more into the body.
func (p *Playlist) settle() {
	if p.settled == 0 {
		// All that stood there has left. The array belongs to those who were given pieces of it.
		p.body = nil
	} else if low := p.segments[0].at; low > 1<<16 && low > len(p.body)/2 {
		p.body = append(make([]byte, 0, len(p.body)), p.body[low:]...)
		for _, s := range p.segments[:p.settled] {
			s.at -= low
		}
	}
	for n := p.withParts(); p.settled < n; p.settled++ {
		s := p.segments[p.settled]
		init := ""
		if p.settled > 0 {
			init = p.segments[p.settled-1].init
		}
		s.at = len(p.body)
		s.mapped = s.init != init || s.discontinuity
		p.body = s.appendTo(p.body, init, false)
	}
}

// appendEnd appends what stands behind the segments.
func (p *Playlist) appendEnd(b []byte, reports []Report) []byte {
	if p.ended {
		return append(b, "#EXT-X-ENDLIST\n"...)
	}
	if hint, ok := p.Hint(); ok {
		b = append(b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\""...)
		b = append(b, PartURI(hint)...)
		b = append(b, "\"\n"...)
	}
	for _, r := range reports {
		b = append(b, "#EXT-X-RENDITION-REPORT:URI=\""...)
		b = append(b, r.URI...)
		b = append(b, "\",LAST-MSN="...)
		b = strconv.AppendUint(b, r.MSN, 10)
		b = append(b, ",LAST-PART="...)
		b = strconv.AppendInt(b, int64(r.Part), 10)
		b = append(b, '\n')
	}
	return b
}

// withParts returns the index of the first segment whose parts are listed: those that reach into the last 3 target
// durations (RFC 4.4.4.9).
func (p *Playlist) withParts() int {
	if p.plain {
		return len(p.segments)
	}
	var after time.Duration
	i := len(p.segments)
	for i > 0 && after < 3*p.cfg.TargetDuration {
		i--
		after += p.segments[i].length
	}
	return i
}

// deltas reports whether delta updates are offered. It is the same for the playlist's whole life.
func (p *Playlist) deltas() bool { return p.cfg.Window > longWindow }

// skipUntil is CAN-SKIP-UNTIL: at least 6 target durations (RFC 4.4.3.8).
func (p *Playlist) skipUntil() time.Duration { return 6 * p.cfg.TargetDuration }

// skippable returns how many segments a delta update leaves out. A server may always answer with the whole list, and
// this one does where a discontinuity stands in what would be sent: players must number it without seeing those before.
func (p *Playlist) skippable() int {
	if !p.deltas() || p.ended {
		return 0
	}
	var after time.Duration
	n := len(p.segments)
	for n > 0 && after < p.skipUntil() {
		n--
		if p.segments[n].discontinuity {
			return 0
		}
		after += p.segments[n].length
	}
	return n
}

// appendTo appends a segment as it stands behind one with the init segment given.
func (s *segment) appendTo(b []byte, init string, parts bool) []byte {
	if s.discontinuity {
		b = append(b, "#EXT-X-DISCONTINUITY\n"...)
	}
	if s.init != init || s.discontinuity {
		b = appendMap(b, s.init)
	}
	if !s.date.IsZero() {
		b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
		b = s.date.UTC().AppendFormat(b, dateFormat)
		b = append(b, '\n')
	}
	if parts {
		b = s.appendParts(b)
	}
	if !s.done {
		return b
	}
	if s.gap {
		b = append(b, "#EXT-X-GAP\n"...)
	}
	b = append(b, "#EXTINF:"...)
	b = appendTicks(b, s.ticks, s.scale)
	b = append(b, ",\n"...)
	b = append(b, SegmentURI(s.epoch, s.first, s.last)...)
	return append(b, '\n')
}

func appendMap(b []byte, init string) []byte {
	b = append(b, "#EXT-X-MAP:URI=\""...)
	b = append(b, InitURI(init)...)
	return append(b, "\"\n"...)
}

func (s *segment) appendParts(b []byte) []byte {
	for _, l := range s.parts {
		b = append(b, "#EXT-X-PART:DURATION="...)
		b = appendTicks(b, uint64(l.Duration), s.scale)
		b = append(b, ",URI=\""...)
		b = append(b, PartURI(l.ID())...)
		b = append(b, '"')
		if l.Independent {
			b = append(b, ",INDEPENDENT=YES"...)
		}
		if l.gap {
			b = append(b, ",GAP=YES"...)
		}
		b = append(b, '\n')
	}
	return b
}

// appendTicks prints n/scale seconds to 10 us.
func appendTicks(b []byte, n uint64, scale uint32) []byte {
	return strconv.AppendFloat(b, float64(n)/float64(scale), 'f', 5, 64)
}

// appendUp prints a duration in seconds, rounded up to 10 us: what bounds parts must not be rounded below them.
func appendUp(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, roundUp(d).Seconds(), 'f', 5, 64)
}

func roundUp(d time.Duration) time.Duration {
	const step = 10 * time.Microsecond
	return (d + step - 1).Truncate(step)
}
