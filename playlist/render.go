package playlist

import (
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
	b := make([]byte, 0, 1024+len(p.segments)*160)
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

	segments := p.segments
	init := ""
	if skip {
		if n := p.skippable(); n > 0 {
			b = append(b, "#EXT-X-SKIP:SKIPPED-SEGMENTS="...)
			b = strconv.AppendInt(b, int64(n), 10)
			b = append(b, '\n')
			init = segments[n-1].init
			segments = segments[n:]
		}
	}
	parts := p.withParts(segments)
	for i, s := range segments {
		if s.discontinuity {
			b = append(b, "#EXT-X-DISCONTINUITY\n"...)
		}
		if s.init != init || s.discontinuity {
			init = s.init
			b = append(b, "#EXT-X-MAP:URI=\""...)
			b = append(b, InitURI(init)...)
			b = append(b, "\"\n"...)
		}
		if !s.date.IsZero() {
			b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
			b = s.date.UTC().AppendFormat(b, dateFormat)
			b = append(b, '\n')
		}
		if i >= parts {
			b = s.appendParts(b)
		}
		b = s.appendSegment(b)
	}
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
func (p *Playlist) withParts(segments []*segment) int {
	if p.plain {
		return len(segments)
	}
	var after time.Duration
	i := len(segments)
	for i > 0 && after < 3*p.cfg.TargetDuration {
		i--
		after += segments[i].length
	}
	return i
}

// deltas reports whether delta updates are offered. It is the same for the playlist's whole life.
func (p *Playlist) deltas() bool { return p.cfg.Window > longWindow }

// skipUntil is CAN-SKIP-UNTIL: at least 6 target durations (RFC 4.4.3.8).
func (p *Playlist) skipUntil() time.Duration { return 6 * p.cfg.TargetDuration }

// skippable returns how many segments a delta update leaves out. A server may always answer with the whole list, and
// this one does where a discontinuity stands in it.
func (p *Playlist) skippable() int {
	if !p.deltas() || p.ended {
		return 0
	}
	for _, s := range p.segments {
		if s.discontinuity {
			return 0
		}
	}
	var after time.Duration
	n := len(p.segments)
	for n > 0 && after < p.skipUntil() {
		n--
		after += p.segments[n].length
	}
	return n
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

func (s *segment) appendSegment(b []byte) []byte {
	if !s.done {
		return b
	}
	if s.text == nil {
		t := make([]byte, 0, 64)
		if s.gap {
			t = append(t, "#EXT-X-GAP\n"...)
		}
		t = append(t, "#EXTINF:"...)
		t = appendTicks(t, s.ticks, s.scale)
		t = append(t, ",\n"...)
		t = append(t, SegmentURI(s.epoch, s.parts[0].Seq, s.parts[len(s.parts)-1].Seq)...)
		t = append(t, '\n')
		s.text = t
	}
	return append(b, s.text...)
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
