package chunker

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"murmuration/chunker/envelope"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

var (
	testKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))
	testStart = time.Date(2026, 9, 21, 9, 0, 0, 0, time.UTC)

	// 1920x1080 baseline, without timing, and a picture parameter set; the second SPS is 1280x720.
	testSPS = []byte{
		0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04,
		0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20,
	}
	testSPS2 = []byte{
		0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x6c, 0x80, 0x00, 0x00, 0x03,
		0x00, 0x80, 0x00, 0x00, 0x1e, 0x07, 0x8c, 0x18, 0xcb,
	}
	testPPS = []byte{0x68, 0xcb, 0x8c, 0xb2}
)

func h264Stream() Stream {
	return Stream{Codec: &codecs.H264{SPS: testSPS, PPS: testPPS}, Timescale: 90000}
}

func aacStream() Stream {
	return Stream{Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
		Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2,
	}}, Timescale: 48000}
}

func opusStream() Stream { return Stream{Codec: &codecs.Opus{ChannelCount: 2}, Timescale: 48000} }

func mp3Stream() Stream {
	return Stream{Codec: &codecs.MPEG1Audio{SampleRate: 44100, ChannelCount: 2}, Timescale: 44100}
}

// millis makes a stream's timestamps whole milliseconds, as RTMP has them.
func millis(s Stream) Stream {
	s.Timescale, s.Resolution = 1000, time.Millisecond
	return s
}

// stamp is what the tests hide in each unit: when it was really due.
func stamp(prefix []byte, at time.Duration, size int) []byte {
	b := append(bytes.Clone(prefix), make([]byte, max(size, 10))...)
	// Seven bits a byte, so that no start code appears.
	for i := range 9 {
		b[len(prefix)+i] = 0x80 | byte(uint64(at)>>(7*i))&0x7f
	}
	return b
}

func readStamp(b []byte) time.Duration {
	var v uint64
	for i := range 9 {
		v |= uint64(b[i]&0x7f) << (7 * i)
	}
	return time.Duration(v)
}

// idr and slice are H.264 pictures, frame an audio frame that lasts as the codec's usual ones do.
func idr(at time.Duration, size int) [][]byte   { return [][]byte{stamp([]byte{0x65}, at, size)} }
func slice(at time.Duration, size int) [][]byte { return [][]byte{stamp([]byte{0x41}, at, size)} }

func frameHead(s Stream) []byte {
	switch s.Codec.(type) {
	case *codecs.Opus:
		return []byte{0xfc} // 20 ms
	case *codecs.MPEG1Audio:
		return []byte{0xff, 0xfb, 0x90, 0x00}
	}
	return []byte{0x20, 0x00}
}

// feed makes the units of a regular source, in order of decode time.
type feed struct {
	format   Format
	rate     float64       // pictures per second
	gop      int           // pictures between random access points; 0 for none
	bframes  bool          // a reordered pattern
	size     int           // bytes of a picture
	offset   time.Duration // of the source's timestamps
	length   time.Duration
	jitter   func(i int) time.Duration // of picture i's timestamps
	drift    float64                   // of the audio timestamps against the count of samples
	lateness time.Duration             // of the audio in order of arrival
}

func at(s Stream, d time.Duration) int64 {
	return int64(math.Round(float64(d) / float64(time.Second) * float64(s.Timescale)))
}

func (f feed) units() []Unit {
	var units []Unit
	type due struct {
		u    Unit
		when time.Duration
	}
	var video, audio []due
	for i, s := range f.format.Streams {
		if s.Codec.IsVideo() {
			for n := 0; ; n++ {
				t := time.Duration(float64(n) / f.rate * float64(time.Second))
				if t >= f.length {
					break
				}
				src := t + f.offset
				if f.jitter != nil {
					src += f.jitter(n)
				}
				shown := src
				if f.bframes { // I P B B P B B: a P is shown two pictures after its turn, others at once
					switch n % 3 {
					case 0:
						shown += time.Duration(1 / f.rate * float64(time.Second))
					case 1:
						shown += time.Duration(3 / f.rate * float64(time.Second))
					}
				}
				data := slice(t+shown-src, f.size)
				if f.gop > 0 && n%f.gop == 0 {
					data = idr(t+shown-src, f.size)
				}
				video = append(video, due{Unit{
					Stream: i, DTS: at(s, src), PTS: at(s, shown), Data: data, Captured: testStart.Add(t),
				}, t})
			}
			continue
		}
		dur := time.Duration(defaultFrame(s.Codec)) * time.Second / time.Duration(sampleRate(s.Codec))
		for n := 0; ; n++ {
			t := time.Duration(float64(n) * float64(dur) * (1 + f.drift))
			if t >= f.length {
				break
			}
			src := at(s, t+f.offset)
			audio = append(audio, due{Unit{
				Stream: i, DTS: src, PTS: src, Data: [][]byte{stamp(frameHead(s), t, 200)}, Captured: testStart.Add(t),
			}, t + f.lateness})
		}
	}
	for len(video)+len(audio) > 0 {
		if len(audio) == 0 || len(video) > 0 && video[0].when <= audio[0].when {
			units, video = append(units, video[0].u), video[1:]
		} else {
			units, audio = append(units, audio[0].u), audio[1:]
		}
	}
	return units
}

// newCutter returns a Cutter that logs into the test.
func newCutter(t testing.TB, log *strings.Builder) *Cutter {
	t.Helper()
	cfg := Config{Key: testKey, Broadcast: "b", Track: "main", Epoch: 1_790_000_000}
	if log != nil {
		cfg.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cut runs units through a Cutter, to the end mark.
func cut(t testing.TB, c *Cutter, f Format, units []Unit) []envelope.Chunk {
	t.Helper()
	if err := c.SetFormat(f); err != nil {
		t.Fatal(err)
	}
	chunks := write(t, c, units)
	out, err := c.End()
	if err != nil {
		t.Fatal(err)
	}
	return append(chunks, out...)
}

// shown is a sample as a player finds it.
type shown struct {
	dts, pts, end time.Duration // on the media timeline
	stamp         time.Duration // of our making, -1 for silence
	sync          bool
	chunk         int
}

// checkChunks holds chunks against what every output must keep to, and returns the samples by track id.
func checkChunks(t testing.TB, chunks []envelope.Chunk) map[int][]shown {
	t.Helper()
	tracks := map[int][]shown{}
	ends := map[int]uint64{}
	inits := map[string]fmp4.Init{}
	var init fmp4.Init
	for i, c := range chunks {
		e, err := envelope.Decode(c.Raw)
		if err != nil {
			t.Fatalf("chunk %d: %v", i, err)
		}
		if err := e.Verify(); err != nil {
			t.Fatalf("chunk %d: %v", i, err)
		}
		if err := e.CheckBlock(c.Block); err != nil {
			t.Fatalf("chunk %d: %v", i, err)
		}
		if e.Seq != uint64(i) {
			t.Fatalf("chunk %d has seq %d", i, e.Seq)
		}
		for k, p := range e.Previous {
			if p != envelope.CID(chunks[i-1<<k].Raw) {
				t.Fatalf("chunk %d: link %d is wrong", i, k)
			}
		}
		if want := min(previousLinks, int(math.Log2(float64(max(i, 1))))+1); i > 0 && len(e.Previous) != want {
			t.Fatalf("chunk %d: %d links, want %d", i, len(e.Previous), want)
		}
		last := i == len(chunks)-1
		if e.Flags.Has(envelope.End) != last {
			t.Fatalf("chunk %d of %d: end mark %v", i, len(chunks), !last)
		}
		if c.PartTargetTime().Round(time.Millisecond) != chunks[0].PartTargetTime().Round(time.Millisecond) {
			t.Fatalf("chunk %d: part target %v was %v", i, c.PartTargetTime(), chunks[0].PartTargetTime())
		}
		if i > 0 && c.Timescale == chunks[i-1].Timescale {
			if p := chunks[i-1]; p.DecodeTime+uint64(p.Duration) != c.DecodeTime {
				t.Fatalf("chunk %d starts at %d, the one before ends at %d", i, c.DecodeTime, p.DecodeTime+uint64(p.Duration))
			}
		} else if i > 0 && !c.Flags.Has(envelope.Discontinuity) && !last {
			t.Fatalf("chunk %d: timescale changed without a discontinuity", i)
		}
		if last {
			break
		}
		if c.Init != nil {
			if err := e.CheckInit(c.Init); err != nil {
				t.Fatalf("chunk %d: %v", i, err)
			}
			var in fmp4.Init
			if err := in.Unmarshal(bytes.NewReader(c.Init)); err != nil {
				t.Fatalf("chunk %d: %v", i, err)
			}
			inits[e.Init.KeyString()] = in
		} else if e.Flags.Has(envelope.Independent) {
			t.Fatalf("chunk %d is independent without an init segment", i)
		}
		var ok bool
		if init, ok = inits[e.Init.KeyString()]; !ok {
			t.Fatalf("chunk %d: its init segment was never sent", i)
		}
		var parts fmp4.Parts
		if err := parts.Unmarshal(c.Block); err != nil || len(parts) != 1 {
			t.Fatalf("chunk %d: %d parts, %v", i, len(parts), err)
		}
		checkPart(t, i, c, parts[0], init, tracks, ends)
	}
	return tracks
}

func checkPart(
	t testing.TB, i int, c envelope.Chunk, part *fmp4.Part, init fmp4.Init, tracks map[int][]shown, ends map[int]uint64,
) {
	t.Helper()
	video := init.Tracks[0].Codec.IsVideo()
	independent := !video
	for _, track := range part.Tracks {
		scale := time.Duration(init.Tracks[track.ID-1].TimeScale)
		isVideo := init.Tracks[track.ID-1].Codec.IsVideo()
		clockTime := func(v uint64) time.Duration { return time.Duration(float64(v) / float64(scale) * float64(time.Second)) }
		dts := track.BaseTime
		if dts < ends[track.ID] {
			t.Fatalf("chunk %d: track %d goes back from %d to %d", i, track.ID, ends[track.ID], dts)
		}
		var sum uint64
		for k, s := range track.Samples {
			if s.Duration == 0 || s.Duration > 1<<31 || s.PTSOffset < 0 {
				t.Fatalf("chunk %d: sample %d of track %d lasts %d, offset %d", i, k, track.ID, s.Duration, s.PTSOffset)
			}
			payload, mark := s.Payload, time.Duration(-1)
			if isVideo {
				payload = payload[5:]
			} else {
				payload = payload[min(len(frameHead(Stream{Codec: init.Tracks[track.ID-1].Codec})), len(payload)):]
			}
			if len(payload) >= 100 {
				mark = readStamp(payload)
			}
			pts := dts + sum + uint64(s.PTSOffset)
			tracks[track.ID] = append(tracks[track.ID], shown{
				dts: clockTime(dts + sum), pts: clockTime(pts), end: clockTime(dts + sum + uint64(s.Duration)),
				stamp: mark, sync: !s.IsNonSyncSample, chunk: i,
			})
			sum += uint64(s.Duration)
		}
		ends[track.ID] = dts + sum
		if isVideo {
			independent = !track.Samples[0].IsNonSyncSample
		}
		if lead := isVideo || !video; lead && dts == c.DecodeTime && sum != uint64(c.Duration) {
			t.Fatalf("chunk %d: declared %d, its samples last %d", i, c.Duration, sum)
		}
	}
	if independent != c.Flags.Has(envelope.Independent) {
		t.Fatalf("chunk %d: independent %v", i, c.Flags.Has(envelope.Independent))
	}
}

// checkLengths holds the durations against LLHLS.md: at most PART-TARGET, and at least 85 % of it but for those exempt.
func checkLengths(t testing.TB, chunks []envelope.Chunk) {
	t.Helper()
	for i, c := range chunks[:len(chunks)-1] {
		next := chunks[i+1]
		if c.Duration > c.PartTarget {
			t.Fatalf("chunk %d lasts %v, part target %v", i, c.DurationTime(), c.PartTargetTime())
		}
		alone := len(c.Init) > 0 && !bytes.Contains(c.Init, []byte("avc1")) // sound alone: every chunk is independent
		if ends := envelope.Discontinuity | envelope.End; next.Flags&ends != 0 ||
			!alone && next.Flags.Has(envelope.Independent) {
			continue
		}
		if c.DurationTime() < c.PartTargetTime()*85/100 {
			t.Fatalf("chunk %d lasts %v, part target %v", i, c.DurationTime(), c.PartTargetTime())
		}
	}
}

// write gives units to a Cutter and returns the chunks that they complete.
func write(t testing.TB, c *Cutter, units []Unit) (chunks []envelope.Chunk) {
	t.Helper()
	for _, u := range units {
		out, err := c.Write(u)
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, out...)
	}
	return chunks
}
