package playlist

import (
	"strconv"
	"time"
)

// vodLongest is the longest segment of a recording whose key frames are far apart: what a player downloads at once.
const vodLongest = 20 * time.Second

// VODConfig says how the playlist of a finished track is made. The zero value works.
type VODConfig struct {
	// Segment is the length that a segment is filled up to, a group of pictures being left whole. Default 2 s.
	Segment time.Duration
	// SegmentURI names the segment made of the chunks first to last of an epoch. Default SegmentURI (the function).
	SegmentURI func(epoch, first, last uint64) string
	// InitURI names an init segment (Part.Init). Default InitURI (the function).
	InitURI func(name string) string
}

// VODSegment is a segment of a finished track: parts[From:To] of those it was made from, consecutive chunks of one
// epoch with one init segment.
type VODSegment struct {
	From, To      int
	Epoch         uint64
	First, Last   uint64 // seq of its chunks
	Discontinuity bool   // EXT-X-DISCONTINUITY stands before it
	Date          time.Time
	Init          string
	Length        time.Duration
	Size          int // bytes

	ticks uint64
	scale uint32
}

// VOD is the media playlist of a track that has ended, from its first chunk to its last.
//
// A hole, where chunks are missing for good, becomes a discontinuity: players close it up, while EXT-X-GAP (RFC
// 4.4.4.7) is beyond ffmpeg and what is built on it. Chunks that nothing can be decoded from, because what they build on is missing, are
// left out: those between a hole and the next independent chunk, unless none follows for long.
type VOD struct {
	Segments    []VODSegment
	Left        []int // indices of the parts left out, end marks aside, ascending
	Length      time.Duration
	Independent bool // every segment starts with a random access point

	cfg VODConfig
}

// NewVOD makes the playlist of parts in ascending order. Parts that cannot be listed (no timescale, no duration, no
// init segment) are left out.
func NewVOD(parts []Part, cfg VODConfig) *VOD {
	if cfg.Segment <= 0 {
		cfg.Segment = 2 * time.Second
	}
	if cfg.SegmentURI == nil {
		cfg.SegmentURI = SegmentURI
	}
	if cfg.InitURI == nil {
		cfg.InitURI = InitURI
	}
	v := &VOD{cfg: cfg, Independent: true}
	for i := 0; i < len(parts); {
		if !listable(parts[i]) {
			if !parts[i].End {
				v.Left = append(v.Left, i)
			}
			i++
			continue
		}
		to := i + 1
		for to < len(parts) && listable(parts[to]) && follows(parts[to-1], parts[to]) {
			to++
		}
		v.stretch(parts, i, to)
		i = to
	}
	return v
}

func listable(p Part) bool {
	return !p.End && p.Timescale > 0 && p.Duration > 0 && p.Init != ""
}

// follows reports whether b goes on where a ended, in the same format.
func follows(a, b Part) bool {
	if a.ID().next() != b.ID() || b.Discontinuity || a.Init != b.Init || a.Timescale != b.Timescale {
		return false
	}
	end := a.DecodeTime + uint64(a.Duration)
	return ticks(max(end, b.DecodeTime)-min(end, b.DecodeTime), b.Timescale) <= timeJump
}

// stretch lists parts[from:to], which follow on each other, from the first random access point on.
func (v *VOD) stretch(parts []Part, from, to int) {
	begin := from
	var lost time.Duration
	for begin < to && !parts[begin].Independent {
		lost += parts[begin].Length()
		begin++
	}
	if begin == to && lost > vodLongest {
		begin = from // a feed without random access points is better than nothing
	}
	for i := from; i < begin; i++ {
		v.Left = append(v.Left, i)
	}
	var clock clock
	first := true
	for i := begin; i < to; {
		// What belongs together: from one random access point up to the next.
		next, group := i+1, parts[i].Length()
		for next < to && !parts[next].Independent && group+parts[next].Length() <= vodLongest {
			group += parts[next].Length()
			next++
		}
		n := len(v.Segments)
		// 250 ms of room: groups of pictures jitter by a frame, and a third of a second is nothing to a player.
		if first || !parts[i].Independent || v.Segments[n-1].Length+group > v.cfg.Segment+250*time.Millisecond {
			if !parts[i].Independent {
				v.Independent = false
			}
			v.Segments = append(v.Segments, VODSegment{
				From: i, To: i, Epoch: parts[i].Epoch, First: parts[i].Seq, Init: parts[i].Init,
				Discontinuity: first && n > 0, scale: parts[i].Timescale,
			})
			n++
			first = false
		}
		s := &v.Segments[n-1]
		for ; i < next; i++ {
			date := clock.date(parts[i].Captured, parts[i].Length())
			if s.From == s.To {
				s.Date = date
			}
			s.add(parts[i])
		}
	}
	for i := len(v.Segments) - 1; i >= 0 && v.Segments[i].From >= begin; i-- {
		v.Length += v.Segments[i].Length
	}
}

func (s *VODSegment) add(p Part) {
	s.To++
	s.Last = p.Seq
	s.Size += p.Size
	s.ticks += uint64(p.Duration)
	s.Length = ticks(s.ticks, s.scale)
}

// URI returns the URI of a segment, relative to the playlist.
func (v *VOD) URI(s VODSegment) string { return v.cfg.SegmentURI(s.Epoch, s.First, s.Last) }

// Bandwidth returns the peak and the mean bit rate of the segments, in bits per second. Segments under half the usual
// length do not count for the peak unless there are no others (RFC 4.4.6.2 lets them be).
func (v *VOD) Bandwidth() (peak, mean int) {
	var bytes, short int
	for _, s := range v.Segments {
		bytes += s.Size
		if s.Length < v.cfg.Segment/2 {
			short = max(short, rate(s.Size, s.Length))
			continue
		}
		peak = max(peak, rate(s.Size, s.Length))
	}
	mean = rate(bytes, v.Length)
	if peak == 0 {
		peak = short
	}
	return max(peak, mean), mean
}

// Render returns the text.
func (v *VOD) Render() []byte {
	b := make([]byte, 0, 256+len(v.Segments)*120)
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:7\n"...)
	if v.Independent {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	target := time.Second
	for _, s := range v.Segments {
		target = max(target, s.Length.Round(time.Second)) // RFC 4.4.3.1: rounded to whole seconds
	}
	b = append(b, "#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(target/time.Second), 10)
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"...)
	init := ""
	for _, s := range v.Segments {
		if s.Discontinuity {
			b = append(b, "#EXT-X-DISCONTINUITY\n"...)
		}
		// EXT-X-MAP holds until the next one (RFC 4.4.4.5), discontinuities notwithstanding; ffmpeg complains of an init
		// segment that comes twice.
		if s.Init != init {
			init = s.Init
			b = append(b, "#EXT-X-MAP:URI="...)
			b = append(b, quote(v.cfg.InitURI(init))...)
			b = append(b, '\n')
		}
		if !s.Date.IsZero() {
			b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
			b = s.Date.UTC().AppendFormat(b, dateFormat)
			b = append(b, '\n')
		}
		b = append(b, "#EXTINF:"...)
		b = appendTicks(b, s.ticks, s.scale)
		b = append(b, ",\n"...)
		b = append(b, v.URI(s)...)
		b = append(b, '\n')
	}
	return append(b, "#EXT-X-ENDLIST\n"...)
}
