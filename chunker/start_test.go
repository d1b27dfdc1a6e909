package chunker

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"murmuration/chunker/envelope"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// TestStart: a feed cut from a later start of the timeline is cut as from 0, moved as a whole, sound and picture alike.
func TestStart(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		f := feed{
			format: randomFormats[r.IntN(len(randomFormats))], rate: rates[r.IntN(len(rates))], gop: 1 + r.IntN(120),
			bframes: r.IntN(2) == 0, size: 100 + r.IntN(5000), length: time.Duration(2+r.IntN(4)) * time.Second,
			offset: time.Duration(r.Int64N(int64(100 * time.Hour))),
		}
		start := 1 + time.Duration(r.Int64N(int64(100*time.Hour)))
		cutFrom := func(start time.Duration) []envelope.Chunk {
			c, err := New(Config{Key: testKey, Broadcast: "b", Track: "main", Epoch: 1_790_000_000, Start: start})
			if err != nil {
				t.Fatal(err)
			}
			return cut(t, c, f.format, f.units())
		}
		plain, moved := cutFrom(0), cutFrom(start)
		if len(plain) != len(moved) {
			t.Fatalf("seed %d: %d chunks instead of %d", seed, len(moved), len(plain))
		}
		tracks := checkChunks(t, moved)
		checkLengths(t, moved)
		if f.format.Streams[0].Codec.IsVideo() {
			checkSync(t, tracks, 15*time.Millisecond)
		}
		by := int64(moved[0].DecodeTime - plain[0].DecodeTime)
		if at := span(int64(moved[0].DecodeTime), moved[0].Timescale); at < start || at > start+time.Millisecond {
			t.Fatalf("seed %d: the timeline starts at %v, want %v", seed, at, start)
		}
		for i, m := range moved {
			p := plain[i]
			flags := p.Flags
			if i == 0 {
				flags |= envelope.Discontinuity
			}
			if int64(m.DecodeTime-p.DecodeTime) != by || m.Duration != p.Duration || m.Flags != flags || m.PartTarget != p.PartTarget ||
				m.Envelope.Init != p.Envelope.Init || !bytes.Equal(m.Init, p.Init) || !m.Captured.Equal(p.Captured) {
				t.Fatalf("seed %d, chunk %d: %+v instead of %+v, by %d", seed, i, m.Envelope, p.Envelope, by)
			}
			checkMoved(t, p, m, by)
		}
	}
}

// checkMoved wants the samples of a chunk to be those of another, later by so much in the lead stream's timescale.
func checkMoved(t *testing.T, plain, moved envelope.Chunk, by int64) {
	t.Helper()
	var a, b fmp4.Parts
	if len(plain.Block) == 0 {
		return
	}
	if err := a.Unmarshal(plain.Block); err != nil {
		t.Fatal(err)
	}
	if err := b.Unmarshal(moved.Block); err != nil {
		t.Fatal(err)
	}
	if len(a[0].Tracks) != len(b[0].Tracks) {
		t.Fatalf("%d streams instead of %d", len(b[0].Tracks), len(a[0].Tracks))
	}
	for i, was := range a[0].Tracks {
		is := b[0].Tracks[i]
		if len(is.Samples) != len(was.Samples) || was.ID == 1 && int64(is.BaseTime-was.BaseTime) != by {
			t.Fatalf("stream %d: %d samples from %d instead of %d from %d", is.ID, len(is.Samples), is.BaseTime, len(was.Samples), was.BaseTime)
		}
		for k := range was.Samples {
			if !bytes.Equal(was.Samples[k].Payload, is.Samples[k].Payload) {
				t.Fatalf("stream %d: sample %d is another", is.ID, k)
			}
		}
	}
}
