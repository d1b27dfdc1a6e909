package chunker

import (
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
