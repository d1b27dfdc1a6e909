package chunker

import (
	"strings"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

func TestVariableRate(t *testing.T) {
	for name, jitter := range map[string]func(int) time.Duration{
		"jitter": func(i int) time.Duration { return time.Duration(i*7919%21) * time.Millisecond },
		"slower": func(i int) time.Duration { return time.Duration(max(i-90, 0)) * 33 * time.Millisecond },
		"faster": func(i int) time.Duration { return -time.Duration(max(i-90, 0)) * 12 * time.Millisecond },
	} {
		for _, format := range []Format{av(), {Streams: []Stream{h264Stream()}}} {
			f := feed{format: format, rate: 30, gop: 45, size: 500, length: 10 * time.Second, jitter: jitter}
			chunks := cut(t, newCutter(t, nil), f.format, f.units())
			tracks := checkChunks(t, chunks)
			checkLengths(t, chunks)
			if len(tracks[1]) != 300 {
				t.Errorf("%s: %d pictures", name, len(tracks[1]))
			}
		}
	}
}

func TestNoKeyFrames(t *testing.T) {
	f := lively(40 * time.Second)
	f.gop = 0
	var log strings.Builder
	chunks := cut(t, newCutter(t, &log), f.format, f.units())
	checkChunks(t, chunks)
	checkLengths(t, chunks)
	if len(chunks) < 90 {
		t.Errorf("%d chunks", len(chunks))
	}
	for _, want := range []string{"no key frame came", "no key frames"} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("log does not say %q once: %s", want, log.String())
		}
	}
	// All pictures random access points: chunks stay whole.
	f.gop = 1
	chunks = cut(t, newCutter(t, nil), f.format, f.units())
	checkChunks(t, chunks)
	if len(chunks) > 180 {
		t.Errorf("%d chunks", len(chunks))
	}
}

func TestLargePictures(t *testing.T) {
	f := lively(10 * time.Second)
	f.size = 300 << 10
	units := f.units()
	chunks := cut(t, newCutter(t, nil), f.format, units)
	if tracks := checkChunks(t, chunks); len(tracks[1]) != 300 {
		t.Errorf("%d pictures", len(tracks[1]))
	}

	f.size = 1000
	units = f.units()
	for i, u := range units {
		if u.Stream == 0 && u.Captured.Sub(testStart) > 4*time.Second {
			units[i].Data = slice(4*time.Second, envelope.MaxBlock)
			break
		}
	}
	var log strings.Builder
	chunks = cut(t, newCutter(t, &log), f.format, units)
	tracks := checkChunks(t, chunks)
	if len(tracks[1]) != 300-29 || len(discontinuities(chunks)) != 1 {
		t.Errorf("%d pictures, discontinuities at %v", len(tracks[1]), discontinuities(chunks))
	}
	if !strings.Contains(log.String(), "1048581 bytes") {
		t.Errorf("log: %s", log.String())
	}
}

// TestPictureNeverComes: the format promises video, but only sound flows for a long time.
func TestPictureNeverComes(t *testing.T) {
	f := lively(30 * time.Second)
	var log strings.Builder
	chunks := cut(t, newCutter(t, &log), f.format, without(f.units(), 0, 0, 20*time.Second))
	tracks := checkChunks(t, chunks)
	checkLengths(t, chunks)
	checkSync(t, tracks, 40*time.Millisecond)
	if len(tracks[1]) != 300 || len(discontinuities(chunks)) != 1 {
		t.Errorf("%d pictures, discontinuities at %v", len(tracks[1]), discontinuities(chunks))
	}
	if end := chunks[len(chunks)-1].Time(); (end - 18*time.Second).Abs() > 100*time.Millisecond {
		t.Errorf("ends at %v", end)
	}
	if strings.Count(log.String(), "level=WARN") != 1 {
		t.Errorf("log: %s", log.String())
	}
}

// TestShort: streams that end while the frame rate is still being measured.
func TestShort(t *testing.T) {
	for n := range 12 {
		for _, format := range randomFormats {
			f := feed{format: format, rate: 30, gop: 60, size: 100, length: time.Second}
			units := f.units()[:n]
			chunks := cut(t, newCutter(t, nil), format, units)
			tracks := checkChunks(t, chunks)
			pictures := 0
			for _, u := range units {
				if format.Streams[u.Stream].Codec.IsVideo() {
					pictures++
				}
			}
			if format.Streams[0].Codec.IsVideo() && len(tracks[1]) != pictures {
				t.Errorf("%d pictures of %d", len(tracks[1]), pictures)
			}
		}
	}
}
