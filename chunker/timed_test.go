package chunker

import (
	"math/rand/v2"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

// timed returns a cutter for a track beside another one, which begins at start.
func timed(t *testing.T, start time.Duration) *Cutter {
	t.Helper()
	c, err := New(Config{Key: testKey, Broadcast: "b", Track: "de", Epoch: 1_790_000_000, Start: start, Timed: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTimed: each sample lies where its timestamp says, also after pauses of the source, and a beginning in the middle is no
// discontinuity.
func TestTimed(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 5))
		f := feed{
			format: randomFormats[r.IntN(len(randomFormats))], rate: rates[r.IntN(len(rates))], gop: 1 + r.IntN(60),
			size: 100 + r.IntN(5000), length: time.Duration(2+r.IntN(4)) * time.Second, offset: time.Duration(r.Int64N(int64(100 * time.Hour))),
		}
		chunks := cut(t, timed(t, f.offset), f.format, f.units())
		checkChunks(t, chunks)
		checkLengths(t, chunks)
		if at := span(int64(chunks[0].DecodeTime), chunks[0].Timescale); at < f.offset-100*time.Millisecond || at > f.offset+100*time.Millisecond {
			t.Errorf("seed %d: it begins at %v, its source at %v", seed, at, f.offset)
		}
		for i, c := range chunks {
			if c.Flags.Has(envelope.Discontinuity) {
				t.Errorf("seed %d: chunk %d is a discontinuity", seed, i)
			}
		}
	}
}

// TestFill: silence takes the place of sound alone that does not come, what comes after lies where its timestamps say, and
// what belongs where the silence is already is left out.
func TestFill(t *testing.T) {
	for name, s := range map[string]Stream{"AAC": aacStream(), "Opus": opusStream()} {
		c := timed(t, time.Minute)
		if err := c.SetFormat(Format{Streams: []Stream{s}}); err != nil {
			t.Fatal(err)
		}
		if !c.format.Fillable() {
			t.Errorf("%s cannot be filled", name)
		}
		var chunks []envelope.Chunk
		take := func(out []envelope.Chunk, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			chunks = append(chunks, out...)
		}
		take(c.Fill(2 * time.Minute)) // nothing has begun
		frame := defaultFrame(s.Codec)
		send := func(from, to time.Duration) {
			t.Helper()
			for at := ticks(from, s.Timescale); at < ticks(to, s.Timescale); at += frame {
				take(c.Write(Unit{DTS: at, PTS: at, Data: [][]byte{stamp(frameHead(s), span(at, s.Timescale), 120)}, Captured: testStart.Add(span(at, s.Timescale))}))
			}
		}
		send(60*time.Second, 65*time.Second)
		for at := 65 * time.Second; at <= 75*time.Second; at += 250 * time.Millisecond {
			take(c.Fill(at))
		}
		send(70*time.Second, 80*time.Second) // the first half of it is late
		take(c.End())

		tracks := checkChunks(t, chunks)
		silent, first, last := 0, time.Duration(0), time.Duration(0)
		for _, h := range tracks[1] {
			if h.stamp < 0 {
				silent++
				continue
			}
			if off := (h.pts - h.stamp).Abs(); off > audioLimit {
				t.Fatalf("%s: a frame of %v lies at %v", name, h.stamp, h.pts)
			}
			if h.stamp > 65*time.Second && first == 0 {
				first = h.stamp
			}
			last = h.stamp
		}
		if want := int(10 * int64(s.Timescale) / frame); silent < want-3 || silent > want+3 {
			t.Errorf("%s: %d frames of silence, want %d", name, silent, want)
		}
		if first < 75*time.Second-50*time.Millisecond || first > 75*time.Second+50*time.Millisecond || last < 79*time.Second {
			t.Errorf("%s: sound goes on from %v to %v", name, first, last)
		}
		for i, c := range chunks {
			if c.Flags.Has(envelope.Discontinuity) {
				t.Errorf("%s: chunk %d is a discontinuity", name, i)
			}
		}
	}
}

// TestFillNothing: where no silence is known, none is made.
func TestFillNothing(t *testing.T) {
	for _, f := range []Format{{Streams: []Stream{mp3Stream()}}, {Streams: []Stream{h264Stream(), aacStream()}}} {
		if f.Fillable() {
			t.Errorf("%+v can be filled", f)
		}
		c := timed(t, 0)
		chunks := cut(t, c, f, feed{format: f, rate: 25, gop: 25, size: 1000, length: time.Second}.units())
		if out, err := c.Fill(time.Minute); len(out) > 0 || err == nil && len(chunks) == 0 {
			t.Errorf("%d chunks of nothing, %v", len(out), err)
		}
	}
	if (Format{}).Fillable() {
		t.Error("no stream can be filled")
	}
}
