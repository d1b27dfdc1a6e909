package chunker

import (
	"strings"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

func TestVideoStalls(t *testing.T) {
	for _, pause := range []time.Duration{300 * time.Millisecond, 700 * time.Millisecond, 3 * time.Second, 20 * time.Second} {
		t.Run(pause.String(), func(t *testing.T) {
			f := lively(30 * time.Second)
			c := newCutter(t, nil)
			if err := c.SetFormat(f.format); err != nil {
				t.Fatal(err)
			}
			var chunks []envelope.Chunk
			for _, u := range without(f.units(), 0, 3050*time.Millisecond, 3050*time.Millisecond+pause) {
				out, err := c.Write(u)
				if err != nil {
					t.Fatal(err)
				}
				chunks = append(chunks, out...)
				// While the picture stays away, chunks leave at most the margin and a part late.
				if n := len(chunks); n > 0 && u.Captured.After(testStart.Add(time.Second)) {
					last := chunks[n-1]
					if late := u.Captured.Sub(testStart) - last.Time() - last.DurationTime(); late > 650*time.Millisecond {
						t.Fatalf("at %v the newest chunk ends %v ago", u.Captured.Sub(testStart), late)
					}
				}
			}
			out, err := c.End()
			if err != nil {
				t.Fatal(err)
			}
			chunks = append(chunks, out...)
			tracks := checkChunks(t, chunks)
			checkLengths(t, chunks)
			checkSync(t, tracks, 40*time.Millisecond)
			if pause < 10*time.Second {
				checkTimes(t, tracks, time.Millisecond)
			}
			for i := 1; i < len(tracks[1]); i++ {
				if tracks[1][i].dts != tracks[1][i-1].end && len(discontinuities(chunks)) == 0 {
					t.Fatalf("picture %d: hole of decode times", i)
				}
			}
		})
	}
}

func TestSoundStalls(t *testing.T) {
	for _, pause := range []time.Duration{25 * time.Millisecond, 300 * time.Millisecond, 4 * time.Second, 20 * time.Second} {
		t.Run(pause.String(), func(t *testing.T) {
			f := lively(20 * time.Second)
			var log strings.Builder
			chunks := cut(t, newCutter(t, &log), f.format, without(f.units(), 1, 3*time.Second, 3*time.Second+pause))
			tracks := checkChunks(t, chunks)
			checkLengths(t, chunks)
			checkTimes(t, tracks, 35*time.Millisecond)
			for i := 1; i < len(tracks[2]); i++ {
				if hole := tracks[2][i].dts - tracks[2][i-1].end; hole > time.Millisecond {
					t.Fatalf("hole of %v in the sound at %v", hole, tracks[2][i].dts)
				}
			}
			if strings.Contains(log.String(), "sound stays away") != (pause > 2*time.Second) {
				t.Errorf("log: %q", log.String())
			}
			if end := tracks[2][len(tracks[2])-1].end; (end - 20*time.Second).Abs() > 100*time.Millisecond {
				t.Errorf("sound ends at %v", end)
			}
		})
	}
}

// TestSoundComesLate: multiplexers send sound well after the picture it belongs to.
func TestSoundComesLate(t *testing.T) {
	for _, late := range []time.Duration{700 * time.Millisecond, 1600 * time.Millisecond, -700 * time.Millisecond} {
		t.Run(late.String(), func(t *testing.T) {
			f := lively(20 * time.Second)
			f.lateness = late
			chunks := cut(t, newCutter(t, nil), f.format, f.units())
			tracks := checkChunks(t, chunks)
			checkLengths(t, chunks)
			checkTimes(t, tracks, 35*time.Millisecond)
			if lost := 938 - len(tracks[2]); late.Abs() < time.Second && lost > 50 {
				t.Errorf("%d audio frames lost", lost)
			}
		})
	}
}

func TestAlone(t *testing.T) {
	for name, stream := range map[string]Stream{
		"AAC": aacStream(), "Opus": opusStream(), "MP3": mp3Stream(), "AAC in ms": millis(aacStream()), "MP3 in ms": millis(mp3Stream()),
	} {
		t.Run(name, func(t *testing.T) {
			f := feed{format: Format{Streams: []Stream{stream}}, length: 20 * time.Second}
			units := f.units()
			chunks := cut(t, newCutter(t, nil), f.format, units)
			tracks := checkChunks(t, chunks)
			checkLengths(t, chunks)
			checkTimes(t, tracks, 5*time.Millisecond)
			if len(tracks[1]) != len(units) || len(discontinuities(chunks)) != 0 {
				t.Errorf("%d frames of %d, discontinuities at %v", len(tracks[1]), len(units), discontinuities(chunks))
			}
		})
		t.Run(name+" with gaps", func(t *testing.T) {
			f := feed{format: Format{Streams: []Stream{stream}}, length: 20 * time.Second}
			units := without(without(f.units(), 0, 3*time.Second, 3200*time.Millisecond), 0, 9*time.Second, 15*time.Second)
			chunks := cut(t, newCutter(t, nil), f.format, units)
			checkChunks(t, chunks)
			checkLengths(t, chunks)
			if d := discontinuities(chunks); len(d) == 0 || len(d) > 2 {
				t.Errorf("discontinuities at %v", d)
			}
		})
	}
	t.Run("video", func(t *testing.T) {
		f := feed{format: Format{Streams: []Stream{h264Stream()}}, rate: 25, gop: 250, bframes: true, size: 900, length: 21 * time.Second}
		var log strings.Builder
		chunks := cut(t, newCutter(t, &log), f.format, f.units())
		tracks := checkChunks(t, chunks)
		checkLengths(t, chunks)
		checkTimes(t, tracks, time.Millisecond)
		if strings.Count(log.String(), "level=WARN") != 1 || !strings.Contains(log.String(), "key frames are far apart") {
			t.Errorf("log: %s", log.String())
		}
	})
}

// TestVideoAlonePauses: nothing but pictures tells the time, and they pause.
func TestVideoAlonePauses(t *testing.T) {
	for _, pause := range []time.Duration{200 * time.Millisecond, 900 * time.Millisecond, 5 * time.Second} {
		f := feed{format: Format{Streams: []Stream{h264Stream()}}, rate: 30, gop: 60, size: 900, length: 15 * time.Second}
		chunks := cut(t, newCutter(t, nil), f.format, without(f.units(), 0, 2500*time.Millisecond, 2500*time.Millisecond+pause))
		tracks := checkChunks(t, chunks)
		checkLengths(t, chunks)
		if pause < time.Second {
			checkTimes(t, tracks, time.Millisecond)
		}
	}
	// From thirty pictures a second to two, for good.
	f := feed{format: Format{Streams: []Stream{h264Stream()}}, rate: 30, gop: 60, size: 900, length: 40 * time.Second}
	var units []Unit
	for i, u := range f.units() {
		if i < 90 || i%15 == 0 {
			units = append(units, u)
		}
	}
	chunks := cut(t, newCutter(t, nil), f.format, units)
	tracks := checkChunks(t, chunks)
	checkLengths(t, chunks)
	if len(tracks[1]) != len(units) {
		t.Errorf("%d pictures of %d", len(tracks[1]), len(units))
	}
}
