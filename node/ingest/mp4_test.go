package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"murmuration/chunker"
)

// dropper is a Sink that checks the order of calls and keeps nothing.
type dropper struct {
	t       *testing.T
	streams int
	units   int
}

var errEnough = errors.New("enough")

func (d *dropper) Format(f chunker.Format) error {
	d.streams = len(f.Streams)
	return nil
}

func (d *dropper) Unit(u chunker.Unit) error {
	if u.Stream >= d.streams || len(u.Data) == 0 {
		d.t.Fatalf("unit of stream %d of %d with %d pieces", u.Stream, d.streams, len(u.Data))
	}
	if d.units++; d.units > 1000 {
		return errEnough
	}
	return nil
}

func (d *dropper) Interrupt() error { return nil }

// FuzzMP4 feeds files that were tampered with. They may fail, but not crash or ask for more memory than they have bytes.
func FuzzMP4(f *testing.F) {
	for name, a := range map[string][]string{
		"a.mp4": args(testVideo, testAudio, x264, aac, []string{"-t", "0.3", "-s", "64x36"}),
		"b.mp4": args(testVideo, testAudio, x264, aac, []string{"-t", "0.3", "-s", "64x36", "-movflags", "frag_keyframe"}),
		"c.mp4": args(testVideo, testAudio, x264, aac, []string{"-t", "0.3", "-s", "64x36", "-movflags", "empty_moov+default_base_moof"}),
	} {
		b, err := os.ReadFile(made(f, name, a...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &mp4Source{ctx: t.Context(), log: logger(nil), r: bytes.NewReader(b), size: int64(len(b)), pacer: nil}
		m.feed = feed{sink: &dropper{t: t}, log: m.log}
		if m.open() != nil || m.begin() != nil {
			return
		}
		m.round() //nolint:errcheck // must not panic
	})
}

func FuzzTS(f *testing.F) {
	b, err := os.ReadFile(made(f, "a.ts", args(testVideo, testAudio, x264, aac, []string{"-t", "0.3", "-s", "64x36"})...))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		ReadTS(t.Context(), bytes.NewReader(b), &dropper{t: t}, ReadConfig{}) //nolint:errcheck // must not panic
	})
}

func FuzzSplitNALs(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 3}, 4)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = n&3 + 1
		units, err := splitNALs(b, n)
		if err != nil {
			return
		}
		total := 0
		for _, u := range units {
			if len(u) == 0 {
				t.Error("empty NAL unit")
			}
			total += n + len(u)
		}
		if total > len(b) {
			t.Errorf("%d bytes out of %d", total, len(b))
		}
	})
}

// A long file is not read into memory: what is read before the first unit is a small part of it.
func TestMP4IsNotReadWhole(t *testing.T) {
	path := made(t, "a.mp4", args(testVideo, testAudio, x264, aac, []string{"-b:v", "8M", "-movflags", "faststart"})...)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	counted := &countingReaderAt{r: file}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := &mp4Source{ctx: ctx, log: logger(nil), r: counted, size: info.Size(), pacer: newPacer()}
	m.feed = feed{sink: newRecorder(), log: m.log}
	if err := errors.Join(m.open(), m.begin()); err != nil {
		t.Fatal(err)
	}
	if err := m.round(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if counted.n > info.Size()/4 {
		t.Errorf("%d of %d bytes were read", counted.n, info.Size())
	}
}

type countingReaderAt struct {
	r io.ReaderAt
	n int64
}

func (c *countingReaderAt) ReadAt(b []byte, offset int64) (int, error) {
	n, err := c.r.ReadAt(b, offset)
	c.n += int64(n)
	return n, err
}

func TestTimelineGoesOn(t *testing.T) {
	l := new(timeline)
	for i := range 10 {
		l.place(video, int64(i)*3600, 7200, tsTimescale)
	}
	l.again()
	if got := l.place(video, 0, 7200, tsTimescale); got != 36000 {
		t.Errorf("the second round starts at %d", got)
	}
}
