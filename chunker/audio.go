package chunker

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg1audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

const (
	// audioLimit is how far a frame may lie from where the count of samples puts it before frames are filled in or
	// left out. With the resolution of a source's timestamps it stays under 40 ms, where people begin to notice.
	audioLimit = 30 * time.Millisecond
	// audioDrift is the mean distance at which the count of samples is drawn back to the source's clock.
	audioDrift = 4 * time.Millisecond
	// audioSettled is the mean distance at which that ends.
	audioSettled = 500 * time.Microsecond

	maxAudioFrame = 64 << 10 // bytes; AAC at its largest is 6144 bits a channel
)

// sample is one sample of a track on the media timeline, in the track's timescale.
type sample struct {
	dts, dur int64
	pts      int64
	rap      bool
	payload  []byte
	captured time.Time
}

// audioTrack lays audio frames end to end: their times come from the count of samples, and the source's timestamps
// (often whole milliseconds) only say where frames are missing and how the two clocks drift.
type audioTrack struct {
	clock
	id    int  // track id
	index int  // in Format.Streams
	alone bool // there is no video to keep in step with
	codec codecs.Codec

	next    int64    // where the next frame starts
	started bool     // a frame has come since the last anchor
	ready   []sample // whose duration is final
	held    *sample  // the newest, whose duration the next frame decides
	bytes   int      // in ready and held

	mean     float64 // smoothed distance of the source's timestamps from the count, in samples
	settling bool    // the count is being drawn to the source's clock
	absent   bool    // the source sends none: nothing waits for it
	filled   bool    // silence was put in since the last frame
	frame    int64   // duration of the latest frame
	captured time.Time
}

// frameDuration returns the samples in an encoded frame, zero for one that cannot be read.
func frameDuration(c codecs.Codec, data []byte) int64 {
	switch c := c.(type) {
	case *codecs.MPEG4Audio:
		if c.Config.FrameLengthFlag {
			return 960
		}
		return 1024
	case *codecs.Opus:
		if d := opus.PacketDuration2(data); d <= 5760 { // RFC 6716: at most 120 ms
			return d
		}
	case *codecs.MPEG1Audio:
		var h mpeg1audio.FrameHeader
		if h.Unmarshal(data) == nil && h.SampleRate == c.SampleRate {
			return int64(h.SampleCount())
		}
	}
	return 0
}

// defaultFrame is the usual duration of a codec's frames, in samples.
func defaultFrame(c codecs.Codec) int64 {
	switch c := c.(type) {
	case *codecs.Opus:
		return 960
	case *codecs.MPEG1Audio:
		if c.SampleRate < 32000 {
			return 576
		}
		return 1152
	default:
		return frameDuration(c, nil)
	}
}

// silence returns an encoded frame of silence and its duration, nil for codecs where none is known.
func silence(c codecs.Codec) ([]byte, int64) {
	switch c := c.(type) {
	case *codecs.MPEG4Audio:
		// A raw_data_block whose channels have no spectral data (ISO 14496-3, 4.4.2).
		switch c.Config.ChannelConfig {
		case 1:
			return []byte{0x00, 0xc8, 0x00, 0x80, 0x23, 0x80}, frameDuration(c, nil)
		case 2:
			return []byte{0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80}, frameDuration(c, nil)
		}
	case *codecs.Opus:
		return []byte{0xfc, 0xff, 0xfe}, 960 // CELT, fullband, 20 ms, stereo
	}
	return nil, 0
}

// reset prepares for a new anchor. Frames before floor (in samples) will be left out.
func (a *audioTrack) reset(floor int64) {
	a.next = max(floor, a.next)
	a.started, a.settling, a.mean = false, false, 0
}

// push appends a frame that starts where the last one ended.
func (a *audioTrack) push(data []byte, dur int64, captured time.Time) {
	a.release()
	a.held = &sample{dts: a.next, pts: a.next, dur: dur, rap: true, payload: data, captured: captured}
	a.bytes += len(data)
	a.next += dur
}

// release lets the newest frame go with the duration it has.
func (a *audioTrack) release() {
	if a.held != nil {
		a.ready = append(a.ready, *a.held)
		a.held = nil
	}
}

// fill puts silence up to a time, in whole frames.
func (a *audioTrack) fill(to int64) {
	data, dur := silence(a.codec)
	if data == nil {
		return
	}
	for a.next+dur <= to {
		a.push(data, dur, time.Time{})
		a.filled = true
	}
}

// add takes in a frame whose source timestamp lies at t. It tells whether it was used.
func (a *audioTrack) add(t int64, data []byte, dur int64, captured time.Time) bool {
	limit := ticks(audioLimit, a.out)
	if !a.started && t+dur/2 < a.next {
		return false
	}
	off := t - a.next
	if off > limit || off > 0 && !a.started {
		a.fill(t)
		a.close(t)
		off, a.mean, a.settling = t-a.next, 0, false
	}
	if off < -limit {
		return false
	}
	a.started = true
	a.mean += (float64(off) - a.mean) / 32
	dur += a.correction(dur)
	a.frame, a.absent, a.filled, a.captured = dur, false, false, captured
	a.push(data, dur, captured)
	return true
}

// close bridges what is left to t, less than a frame or more where no silence is known.
func (a *audioTrack) close(t int64) {
	gap := t - a.next
	switch {
	case gap <= 0:
	case a.alone:
		a.outBase -= gap // nothing to keep in step with: the frames stay end to end
	default:
		if a.held != nil {
			a.held.dur += gap // the frame before lasts until here
		}
		a.next = t
	}
}

// shorten takes a piece off the oldest frame and draws all that follows up to it.
func (a *audioTrack) shorten(by int64) {
	a.ready[0].dur -= by
	for i := range a.ready[1:] {
		a.ready[i+1].dts -= by
		a.ready[i+1].pts -= by
	}
	if a.held != nil {
		a.held.dts -= by
		a.held.pts -= by
	}
	a.next -= by
	a.outBase -= by
}

// correction returns how much longer or shorter a frame is declared, so that the count of samples follows the
// source's clock: nothing at all until the drift is worth it, and never more than a fiftieth of the frame.
func (a *audioTrack) correction(dur int64) int64 {
	scale := float64(a.out) / float64(time.Second)
	size := max(a.mean, -a.mean)
	if size > float64(audioDrift)*scale {
		a.settling = true
	} else if size < float64(audioSettled)*scale {
		a.settling = false
	}
	if !a.settling {
		return 0
	}
	if a.alone {
		a.outBase -= int64(a.mean)
		a.mean = 0
		return 0
	}
	c := min(max(int64(a.mean/4), -dur/50), dur/50)
	a.mean -= float64(c)
	return c
}

// take removes and returns the frames that start before end, up to a number of bytes; held as well if flush is set.
func (a *audioTrack) take(end int64, limit int, flush bool) []sample {
	if flush {
		a.release()
	}
	n, size := 0, 0
	for n < len(a.ready) && n < maxSamples && a.ready[n].dts < end && size+len(a.ready[n].payload) <= limit {
		size += len(a.ready[n].payload)
		n++
	}
	taken := a.ready[:n:n]
	a.ready = a.ready[n:]
	a.bytes -= size
	return taken
}
