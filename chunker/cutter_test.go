package chunker

import (
	"fmt"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

var rates = []float64{
	10, 12, 15, 24000. / 1001, 24, 25, 30000. / 1001, 30, 48, 50, 60000. / 1001, 60, 90, 120,
}

// checkTimes holds every sample's place against when it was due: the distance is one for all, but for within.
func checkTimes(t testing.TB, tracks map[int][]shown, within time.Duration) {
	t.Helper()
	base := tracks[1][0].pts - tracks[1][0].stamp
	for id, samples := range tracks {
		for i, s := range samples {
			if s.stamp < 0 {
				continue
			}
			if off := (s.pts - s.stamp - base).Abs(); off > within {
				t.Fatalf("track %d: sample %d is off by %v, at %v", id, i, off, s.pts)
			}
		}
	}
}

func TestFrameRates(t *testing.T) {
	for _, rate := range rates {
		for _, coarse := range []bool{false, true} {
			for _, bframes := range []bool{false, true} {
				for _, offset := range []time.Duration{0, 1400 * time.Millisecond, 13 * time.Hour} {
					t.Run(fmt.Sprintf("%.3f/ms=%v/b=%v/%v", rate, coarse, bframes, offset), func(t *testing.T) {
						f := feed{
							format: Format{Streams: []Stream{h264Stream(), aacStream()}}, offset: offset,
							rate: rate, gop: int(rate * 2), bframes: bframes, size: 3000, length: 7 * time.Second,
						}
						within := 100 * time.Microsecond
						if coarse {
							f.format.Streams[0] = millis(f.format.Streams[0])
							f.format.Streams[1] = millis(f.format.Streams[1])
							within = 2 * time.Millisecond
						}
						units := f.units()
						chunks := cut(t, newCutter(t, nil), f.format, units)
						tracks := checkChunks(t, chunks)
						checkLengths(t, chunks)
						checkTimes(t, tracks, within)
						var pictures, frames int
						for _, u := range units {
							if u.Stream == 0 {
								pictures++
							} else {
								frames++
							}
						}
						if len(tracks[1]) != pictures {
							t.Errorf("%d pictures, want %d", len(tracks[1]), pictures)
						}
						if got := len(tracks[2]); got < frames-1 || got > frames {
							t.Errorf("%d audio frames, want %d", got, frames)
						}
						for i, c := range chunks {
							if c.Flags.Has(envelope.Discontinuity) {
								t.Errorf("chunk %d is a discontinuity", i)
							}
						}
						frame := time.Duration(float64(time.Second) / rate)
						target := chunks[0].PartTargetTime()
						if target < 200*time.Millisecond || target > 304*time.Millisecond || target < frame {
							t.Errorf("part target %v", target)
						}
						if tracks[1][0].dts != 0 {
							t.Errorf("starts at %v", tracks[1][0].dts)
						}
					})
				}
			}
		}
	}
}

// TestDelay: a chunk leaves with the picture after its last, or with the sound that belongs to it.
func TestDelay(t *testing.T) {
	for _, rate := range rates {
		f := lively(6 * time.Second)
		f.rate = rate
		c := newCutter(t, nil)
		if err := c.SetFormat(f.format); err != nil {
			t.Fatal(err)
		}
		frame := time.Duration(float64(time.Second) / rate)
		for _, u := range f.units() {
			chunks, err := c.Write(u)
			if err != nil {
				t.Fatal(err)
			}
			for _, ch := range chunks {
				now, start := u.Captured.Sub(testStart), ch.Captured.Sub(testStart)
				if (start - ch.Time()).Abs() > time.Millisecond {
					t.Fatalf("%.2f: captured at %v, starts at %v", rate, start, ch.Time())
				}
				// The next picture comes when the last one's duration ends: no later than that. At the start the
				// measuring holds back more.
				if late := now - start - ch.DurationTime(); late > time.Millisecond && start > measureLongSpan+frame {
					t.Fatalf("%.2f: chunk at %v leaves %v late", rate, start, late)
				}
			}
		}
	}
}
