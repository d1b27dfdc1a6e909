package chunker

import (
	"math"
	"slices"
	"time"
)

const (
	// Enough pictures to know the frame rate: this many intervals over this long, or the longer time alone.
	measureIntervals = 10
	measureSpan      = 250 * time.Millisecond
	measureLongSpan  = 400 * time.Millisecond
	// What ends measuring whatever comes.
	measureUnits      = 200
	measureBytes      = 8 << 20
	measureAudioAhead = 1500 * time.Millisecond

	defaultFrameRate = 30
)

// partTarget returns PART-TARGET for a frame duration: as many whole frames as come nearest to want, rounded up to a
// millisecond, and 2 ms more where timestamps are whole milliseconds, since n frames then last up to 1 ms longer.
func partTarget(want, frame time.Duration, coarse bool) time.Duration {
	n := max(1, math.Round(float64(want)/float64(frame)))
	// frame is rounded to a nanosecond: n frames may come out n/2 ns too long.
	target := (time.Duration(n)*(frame-1) + time.Millisecond - 1).Truncate(time.Millisecond)
	if coarse {
		target += 2 * time.Millisecond
	}
	return max(target, time.Millisecond)
}

// frameDurationOf measures the duration of a frame from decode timestamps in units of scale. The duration that the
// codec's parameters claim, zero for none, is taken where it agrees. Zero means that it cannot be told.
func frameDurationOf(dts []int64, scale uint32, resolution, claimed time.Duration) time.Duration {
	var gaps []float64
	for i := 1; i < len(dts); i++ {
		if d, ok := sub(dts[i], dts[i-1]); ok && d > 0 && d < 1<<40 {
			gaps = append(gaps, float64(d)*float64(time.Second)/float64(scale))
		}
	}
	if len(gaps) == 0 {
		return claimed
	}
	slices.Sort(gaps)
	median := gaps[len(gaps)/2]
	// The median alone is 33 ms where 33.3 is meant: take the mean of all that lie near it.
	near := median/10 + float64(resolution)
	sum, n := 0.0, 0.0
	for _, g := range gaps {
		if math.Abs(g-median) <= near {
			sum += g
			n++
		}
	}
	frame := time.Duration(math.Round(sum / n))
	if claimed > 0 && (claimed-frame).Abs() <= frame/50+2*resolution/time.Duration(n) {
		return claimed
	}
	return frame
}

// coarse tells whether a stream's timestamps are whole milliseconds or worse.
func (s Stream) coarse() bool { return s.Resolution >= time.Millisecond || s.Timescale <= 1000 }

// measured tells whether enough pictures are held back to know the frame rate.
func (c *Cutter) measured() bool {
	first, last := c.units[0], c.units[len(c.units)-1]
	size := 0
	for _, p := range c.measuring {
		size += len(p.payload)
	}
	d, ok := sub(last.DTS, first.DTS)
	if !ok || d < 0 || d > maxDelta || len(c.units) >= measureUnits || size >= measureBytes {
		return true
	}
	long := span(d, c.video.in)
	if n := len(c.stash); n > 0 {
		if a, ok := sub(c.stash[n-1].DTS, c.stash[0].DTS); !ok || a < 0 || a > maxDelta ||
			span(a, c.audio.in) >= measureAudioAhead+c.slack {
			return true
		}
	}
	return long >= measureLongSpan || long >= measureSpan && len(c.units) > measureIntervals
}

// settleTarget fixes PART-TARGET from what has come so far.
func (c *Cutter) settleTarget() {
	if c.target != 0 {
		return
	}
	frame := time.Second / defaultFrameRate
	coarse := false
	if c.video != nil {
		s := c.format.Streams[c.video.index]
		coarse = s.coarse()
		var claimed time.Duration
		if rate := claimedRate(c.video.wanted); rate > 0 {
			claimed = time.Duration(math.Round(float64(time.Second) / rate))
		}
		dts := make([]int64, len(c.units))
		for i, u := range c.units {
			dts[i] = u.DTS
		}
		resolution := max(s.Resolution, time.Second/time.Duration(s.Timescale))
		if f := frameDurationOf(dts, s.Timescale, resolution, claimed); f > 0 {
			frame = f
		}
	} else {
		dur := c.audio.frame
		if dur == 0 {
			dur = defaultFrame(c.audio.codec)
		}
		frame = span(dur, c.audio.out)
	}
	// A picture every two seconds or less is no frame rate to build parts on.
	frame = min(max(frame, time.Millisecond), 2*time.Second)
	c.target = partTarget(c.cfg.Target, frame, coarse)
	c.part = ticks(c.target, c.scale)
	c.cfg.Log.Info("part target settled", "part_target", c.target, "frame", frame,
		"broadcast", c.cfg.Broadcast, "track", c.cfg.Track)
}
