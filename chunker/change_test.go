package chunker

import (
	"bytes"
	"testing"
	"time"

	"murmuration/chunker/envelope"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

func TestInterrupt(t *testing.T) {
	f := lively(5 * time.Second)
	c := newCutter(t, nil)
	var chunks []envelope.Chunk
	add := func(out []envelope.Chunk, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, out...)
	}
	for round := range 3 {
		if err := c.SetFormat(f.format); err != nil {
			t.Fatal(err)
		}
		f.offset = time.Duration(round) * 7 * time.Second
		for i, u := range f.units() {
			if i < 7 && round > 0 {
				continue // it comes back between two key frames
			}
			add(c.Write(u))
		}
		add(c.Interrupt())
	}
	add(c.End())
	if _, err := c.Interrupt(); err == nil {
		t.Error("interrupted after the end")
	}
	tracks := checkChunks(t, chunks)
	checkLengths(t, chunks)
	if d := discontinuities(chunks); len(d) != 2 {
		t.Errorf("discontinuities at %v", d)
	}
	for _, c := range chunks {
		if c.Flags.Has(envelope.Discontinuity) && !c.Flags.Has(envelope.Independent) {
			t.Error("a discontinuity that nothing can start at")
		}
	}
	checkSync(t, tracks, 15*time.Millisecond) // where half a frame overlaps, drawn in later
}

func TestParametersChange(t *testing.T) {
	f := lively(9 * time.Second)
	units := f.units()
	for i, u := range units {
		if u.Stream != 0 || u.Data[0][0] != 0x65 {
			continue
		}
		sps := testSPS
		if u.Captured.Sub(testStart) >= 4*time.Second {
			sps = testSPS2
		}
		// As encoders send them: delimiter, parameter sets, picture.
		units[i].Data = [][]byte{{0x09, 0xf0}, sps, testPPS, u.Data[0], {0x0c, 0xff, 0x80}}
	}
	chunks := cut(t, newCutter(t, nil), f.format, units)
	tracks := checkChunks(t, chunks)
	checkLengths(t, chunks)
	checkTimes(t, tracks, time.Millisecond)
	if d := discontinuities(chunks); len(d) != 1 || (d[0]-4*time.Second).Abs() > time.Millisecond {
		t.Errorf("discontinuities at %v", d)
	}
	if bytes.Contains(chunks[3].Block, testSPS) || bytes.Contains(chunks[0].Block, []byte{0x09, 0xf0}) {
		t.Error("parameter sets stay in the stream though the init segment has them")
	}
	first, _ := Describe(chunks[0].Init)
	var last Info
	for _, c := range chunks {
		if c.Init != nil {
			last, _ = Describe(c.Init)
		}
	}
	if first.Width != 1920 || last.Width != 1280 || last.Codecs != "avc1.64001f,mp4a.40.2" {
		t.Errorf("%+v then %+v", first, last)
	}
}

// TestParametersInBand: a source that names its codec, but brings the parameters with the pictures only.
func TestParametersInBand(t *testing.T) {
	f := lively(4 * time.Second)
	f.format.Streams[0].Codec = &codecs.H264{}
	units := f.units()
	for i, u := range units {
		if u.Stream == 0 && u.Data[0][0] == 0x65 {
			units[i].Data = [][]byte{testSPS, testPPS, u.Data[0]}
		}
	}
	chunks := cut(t, newCutter(t, nil), f.format, units)
	if tracks := checkChunks(t, chunks); len(tracks[1]) != 120 || len(discontinuities(chunks)) != 0 {
		t.Errorf("%d pictures", len(tracks[1]))
	}
}

func TestFormatChanges(t *testing.T) {
	c := newCutter(t, nil)
	var chunks []envelope.Chunk
	for i, format := range []Format{
		av(),
		{Streams: []Stream{opusStream()}},
		{Streams: []Stream{mp3Stream(), millis(h264Stream())}},
		{Streams: []Stream{h264Stream()}},
		{Streams: []Stream{mp3Stream()}},
		av(),
	} {
		if err := c.SetFormat(format); err != nil {
			t.Fatal(err)
		}
		f := feed{
			format: format, rate: 25, gop: 50, size: 1000, length: 3 * time.Second, offset: time.Duration(i) * 3 * time.Second,
		}
		for _, u := range f.units() {
			out, err := c.Write(u)
			if err != nil {
				t.Fatal(err)
			}
			chunks = append(chunks, out...)
		}
	}
	out, err := c.End()
	if err != nil {
		t.Fatal(err)
	}
	chunks = append(chunks, out...)
	if d := discontinuities(chunks); len(d) != 5 {
		t.Errorf("discontinuities at %v", d)
	}
	last := time.Duration(0)
	for i, c := range chunks {
		if c.Time() < last-time.Microsecond {
			t.Errorf("chunk %d goes back to %v from %v", i, c.Time(), last)
		}
		last = c.Time() + c.DurationTime()
		if c.Duration > c.PartTarget || c.PartTargetTime().Round(time.Millisecond) != chunks[0].PartTargetTime() {
			t.Errorf("chunk %d: %v, part target %v", i, c.DurationTime(), c.PartTargetTime())
		}
	}
}

// TestParametersComeBack: a source changed its parameters in the stream; the next starts with those it announced.
func TestParametersComeBack(t *testing.T) {
	f := lively(2 * time.Second)
	c := newCutter(t, nil)
	var inits []string
	for round := range 2 {
		if err := c.SetFormat(f.format); err != nil {
			t.Fatal(err)
		}
		units := f.units()
		if round == 0 {
			for i, u := range units {
				if u.Stream == 0 && i > 30 && u.Data[0][0] == 0x65 {
					units[i].Data = [][]byte{testSPS2, testPPS, u.Data[0]}
				}
			}
		}
		chunks := write(t, c, units)
		out, err := c.Interrupt()
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range append(chunks, out...) {
			if n := len(inits); n == 0 || inits[n-1] != ch.Envelope.Init.String() {
				inits = append(inits, ch.Envelope.Init.String())
			}
		}
	}
	if len(inits) != 3 || inits[0] != inits[2] {
		t.Errorf("init segments %v", inits)
	}
}
