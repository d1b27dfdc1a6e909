package chunker

import (
	"strings"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

// av is a format of H.264 and AAC; lively a feed of it.
func av() Format { return Format{Streams: []Stream{h264Stream(), aacStream()}} }

func lively(length time.Duration) feed {
	return feed{format: av(), rate: 30, gop: 30, size: 2000, length: length}
}

// shift moves the timestamps of the units that are due at or after from. A negative stream means all.
func shift(f feed, units []Unit, stream int, from, by time.Duration) []Unit {
	for i, u := range units {
		if stream >= 0 && u.Stream != stream || u.Captured.Before(testStart.Add(from)) {
			continue
		}
		d := at(f.format.Streams[u.Stream], by)
		units[i].DTS, units[i].PTS = u.DTS+d, u.PTS+d
	}
	return units
}

// without leaves out the units of a stream that are due in a time.
func without(units []Unit, stream int, from, to time.Duration) []Unit {
	var rest []Unit
	for _, u := range units {
		if t := u.Captured.Sub(testStart); u.Stream == stream && t >= from && t < to {
			continue
		}
		rest = append(rest, u)
	}
	return rest
}

func discontinuities(chunks []envelope.Chunk) (at []time.Duration) {
	for _, c := range chunks {
		if c.Flags.Has(envelope.Discontinuity) {
			at = append(at, c.Time())
		}
	}
	return at
}

// checkSync holds sound against picture: neighbours on the media timeline were due within a distance of each other.
func checkSync(t testing.TB, tracks map[int][]shown, within time.Duration) {
	t.Helper()
	sound := tracks[2]
	for _, p := range tracks[1] {
		for len(sound) > 1 && (sound[0].end <= p.pts || sound[0].stamp < 0) {
			sound = sound[1:]
		}
		if len(sound) == 0 || sound[0].pts > p.pts || sound[0].stamp < 0 || p.sync && sound[0].chunk < p.chunk {
			continue // nothing to compare with, or the end of what was before a break
		}
		if off := (p.stamp - p.pts) - (sound[0].stamp - sound[0].pts); off.Abs() > within {
			t.Fatalf("at %v sound and picture are %v apart", p.pts, off)
		}
	}
}

func TestJumps(t *testing.T) {
	for _, by := range []time.Duration{
		1500 * time.Millisecond, 10 * time.Second, 100 * time.Hour, -1500 * time.Millisecond, -time.Minute, -100 * time.Hour,
	} {
		for _, from := range []time.Duration{4 * time.Second, 4500 * time.Millisecond} { // at a key frame, and between two
			t.Run(by.String()+"/"+from.String(), func(t *testing.T) {
				f := lively(10 * time.Second)
				chunks := cut(t, newCutter(t, nil), f.format, shift(f, f.units(), -1, from, by))
				tracks := checkChunks(t, chunks)
				checkLengths(t, chunks[:len(chunks)-1])
				checkSync(t, tracks, 40*time.Millisecond)
				if len(tracks[1]) != 300 {
					t.Errorf("%d pictures", len(tracks[1]))
				}
				want := 1
				if from%time.Second != 0 {
					want = 0 // joined without a seam, since nothing can start there
				}
				if d := discontinuities(chunks); len(d) != want {
					t.Errorf("discontinuities at %v", d)
				}
				if end := chunks[len(chunks)-1].Time(); (end - 10*time.Second).Abs() > 50*time.Millisecond {
					t.Errorf("ends at %v", end)
				}
			})
		}
	}
}

func TestWrap(t *testing.T) {
	for name, wrap := range map[string]func(*feed) (bits [2]uint){
		"33 bits at 90 kHz": func(f *feed) [2]uint {
			f.format.Streams[1].Timescale = 90000
			f.offset = (1<<33)*time.Second/90000 - 5*time.Second
			return [2]uint{33, 33}
		},
		"32 bits of milliseconds": func(f *feed) [2]uint {
			f.format = Format{Streams: []Stream{millis(h264Stream()), millis(aacStream())}}
			f.offset = (1<<32)*time.Millisecond - 5*time.Second
			return [2]uint{32, 32}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := lively(10 * time.Second)
			f.bframes = true
			size := wrap(&f)
			units := f.units()
			for i, u := range units {
				units[i].DTS = u.DTS & (1<<size[u.Stream] - 1)
				units[i].PTS = u.PTS & (1<<size[u.Stream] - 1)
			}
			chunks := cut(t, newCutter(t, nil), f.format, units)
			tracks := checkChunks(t, chunks)
			checkLengths(t, chunks)
			checkTimes(t, tracks, 3*time.Millisecond)
			if len(discontinuities(chunks)) != 0 || len(tracks[1]) != 300 {
				t.Errorf("discontinuities at %v, %d pictures", discontinuities(chunks), len(tracks[1]))
			}
		})
	}
}

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

func TestStreamsPart(t *testing.T) {
	f := lively(20 * time.Second)
	chunks := cut(t, newCutter(t, nil), f.format, shift(f, f.units(), 0, 4*time.Second, 30*time.Second))
	tracks := checkChunks(t, chunks)
	checkLengths(t, chunks[:len(chunks)-1])
	// The picture alone jumped: the sound is laid beside it as it comes in, half a second or so later.
	checkSync(t, tracks, time.Second)
	if len(tracks[1]) != 600 || len(tracks[2]) < 880 {
		t.Errorf("%d pictures, %d audio frames", len(tracks[1]), len(tracks[2]))
	}
}

func TestDrift(t *testing.T) {
	for _, drift := range []float64{0.0001, -0.0001, 0.002, -0.002} {
		for _, coarse := range []bool{false, true} {
			f := lively(3 * time.Minute)
			f.drift, f.size = drift, 200
			if coarse {
				f.format = Format{Streams: []Stream{millis(h264Stream()), millis(aacStream())}}
			}
			units := f.units()
			// The sound's clock is off: its timestamps are right, its frames a little long or short.
			tracks := checkChunks(t, cut(t, newCutter(t, nil), f.format, units))
			checkTimes(t, tracks, 15*time.Millisecond)
		}
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
