package chunker

import (
	"math/rand/v2"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

// checkSafe holds what must be true whatever comes in.
func checkSafe(t testing.TB, chunks []envelope.Chunk) map[int][]shown {
	t.Helper()
	tracks := checkChunks(t, chunks)
	for i, c := range chunks {
		if c.Duration > c.PartTarget || len(c.Block) >= envelope.MaxBlock {
			t.Fatalf("chunk %d: %v of %v, %d bytes", i, c.DurationTime(), c.PartTargetTime(), len(c.Block))
		}
	}
	return tracks
}

// run feeds units to a Cutter that may be interrupted, and ends it.
func run(t testing.TB, f Format, units []Unit, interruptAt int) []envelope.Chunk {
	t.Helper()
	c := newCutter(t, nil)
	if err := c.SetFormat(f); err != nil {
		t.Fatal(err)
	}
	var chunks []envelope.Chunk
	keep := func(out []envelope.Chunk, err error) {
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, out...)
	}
	for i, u := range units {
		if i == interruptAt {
			keep(c.Interrupt())
		}
		keep(c.Write(u))
	}
	keep(c.End())
	return chunks
}

var randomFormats = []Format{
	{Streams: []Stream{h264Stream(), aacStream()}},
	{Streams: []Stream{millis(h264Stream()), millis(aacStream())}},
	{Streams: []Stream{opusStream(), h264Stream()}},
	{Streams: []Stream{h264Stream(), mp3Stream()}},
	{Streams: []Stream{h264Stream()}},
	{Streams: []Stream{aacStream()}},
	{Streams: []Stream{mp3Stream()}},
}

// TestRandomFeeds: feeds of any shape, disturbed at random.
func TestRandomFeeds(t *testing.T) {
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := feed{
			format: randomFormats[r.IntN(len(randomFormats))], rate: rates[r.IntN(len(rates))], gop: 1 + r.IntN(120),
			bframes: r.IntN(2) == 0, size: 100 + r.IntN(20000), length: time.Duration(2+r.IntN(8)) * time.Second,
			offset: time.Duration(r.Int64N(int64(100 * time.Hour))), drift: (r.Float64() - 0.5) / 1000,
			lateness: time.Duration(r.Int64N(int64(1600*time.Millisecond))) - 800*time.Millisecond,
		}
		units := f.units()
		for range r.IntN(4) {
			from := time.Duration(r.Int64N(int64(f.length)))
			switch stream := r.IntN(len(f.format.Streams)+1) - 1; r.IntN(3) {
			case 0:
				units = shift(f, units, stream, from, time.Duration(r.Int64N(int64(20*time.Second)))-10*time.Second)
			case 1:
				if rest := without(units, max(stream, 0), from, from+time.Duration(r.Int64N(int64(4*time.Second)))); len(rest) > 0 {
					units = rest
				}
			case 2:
				for i := range units { // network order
					if k := i + r.IntN(3); r.IntN(20) == 0 && k < len(units) {
						units[i], units[k] = units[k], units[i]
					}
				}
			}
		}
		chunks := run(t, f.format, units, r.IntN(2*len(units)))
		checkSafe(t, chunks)
		if len(chunks) == 0 {
			t.Fatalf("seed %d: nothing comes out", seed)
		}
	}
}

// TestRandomLoss: pictures and sound lost here and there stay in step.
func TestRandomLoss(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 2))
		f := feed{
			format: randomFormats[r.IntN(4)], rate: rates[r.IntN(len(rates))], gop: 1 + r.IntN(120), size: 500, length: 20 * time.Second,
			bframes: r.IntN(2) == 0, lateness: time.Duration(r.Int64N(int64(500 * time.Millisecond))),
		}
		var units []Unit
		gone := time.Duration(0)
		for _, u := range f.units() {
			at := u.Captured.Sub(testStart)
			if r.IntN(200) == 0 {
				gone = at + time.Duration(r.Int64N(int64(400*time.Millisecond)))
			}
			if at >= gone {
				units = append(units, u)
			}
		}
		chunks := run(t, f.format, units, -1)
		tracks := checkSafe(t, chunks)
		if f.format.Streams[0].Codec.IsVideo() {
			checkSync(t, tracks, 40*time.Millisecond)
		}
	}
}

// FuzzCutter turns bytes into units: three bytes each say which stream, what kind of picture, and how time goes on.
func FuzzCutter(f *testing.F) {
	f.Add(byte(0), []byte{0, 33, 1, 1, 21, 0, 2, 33, 1, 1, 21, 0, 2, 33, 1})
	f.Add(byte(4), []byte{0, 33, 0, 2, 33, 0, 2, 200, 7, 2, 33, 0, 6, 33, 0, 2, 33, 0})
	f.Add(byte(2), []byte{0, 0, 6, 1, 255, 5, 8, 255, 5, 12, 10, 4, 3, 3, 3})
	f.Fuzz(func(t *testing.T, which byte, script []byte) {
		format := randomFormats[int(which)%len(randomFormats)]
		var clocks [2]int64
		var units []Unit
		for ; len(script) >= 3 && len(units) < 2000; script = script[3:] {
			i := int(script[0]&1) % len(format.Streams)
			s := format.Streams[i]
			step := int64(script[1]) * int64(s.Timescale) / 1000
			switch script[2] & 7 {
			case 4:
				step = -step
			case 5:
				step *= 100
			case 6:
				step *= 1 << 40 // overflows now and then
			case 7:
				step = -step * 1 << 20
			}
			clocks[i] += step
			u := Unit{Stream: i, DTS: clocks[i], PTS: clocks[i] + int64(script[2]>>3)*step, Captured: testStart}
			if s.Codec.IsVideo() {
				u.Data = slice(0, 100)
				switch script[0] >> 1 & 7 {
				case 0:
					u.Data = idr(0, 100)
				case 2:
					u.Data = [][]byte{testSPS2, testPPS, idr(0, 100)[0]}
				case 3:
					u.Data = [][]byte{{}, {0x67}, {0x68}}
				case 4:
					u.Data = idr(0, 300<<10)
				}
			} else {
				for range script[0]>>1&7 + 1 {
					u.Data = append(u.Data, stamp(frameHead(s), 0, 100))
				}
			}
			units = append(units, u)
		}
		checkSafe(t, run(t, format, units, len(units)/2))
	})
}

// FuzzPictures: what codecs' parsers do with bytes that are no pictures.
func FuzzPictures(f *testing.F) {
	f.Add(byte(0), []byte{0x67, 1, 2, 3, 4}, []byte{0x65, 1})
	f.Add(byte(1), []byte{0x42, 1, 1}, []byte{0x26, 1})
	f.Add(byte(2), []byte{0x0a, 0x0b, 0, 0, 0}, []byte{0x32, 2, 0x10, 1})
	f.Add(byte(3), []byte{0x82, 0x49, 0x83, 0x42, 0, 7, 0x7f, 0, 0x43, 0x70}, []byte{})
	f.Fuzz(func(t *testing.T, which byte, a, b []byte) {
		streams := codecStreams()
		format := Format{Streams: []Stream{streams[int(which)%len(streams)]}}
		c := newCutter(t, nil)
		if err := c.SetFormat(format); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			data := [][]byte{a, b}
			if i%3 == 1 {
				data = [][]byte{b}
			}
			if _, err := c.Write(Unit{DTS: int64(i) * 3000, PTS: int64(i) * 3000, Data: data, Captured: testStart}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.End(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDescribe(f *testing.F) {
	for _, s := range codecStreams() {
		if init, err := marshalInit(s.Codec, nil); err == nil {
			f.Add(init)
		}
	}
	init, err := marshalInit(h264Stream().Codec, aacStream().Codec)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(init)
	f.Fuzz(func(_ *testing.T, init []byte) { _, _ = Describe(init) })
}
