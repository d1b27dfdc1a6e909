package testpicture

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"murmuration/chunker"
)

const (
	// quantiser is the QP of all pictures: fine enough for clean text.
	quantiser = 24
	// videoTimescale is the units per second of the picture's timestamps.
	videoTimescale = 90000
	// maxLate is the lateness up to which missed sound is made up for. After a longer pause (the machine slept) the
	// timestamps jump.
	maxLate = 2 * time.Second
)

// ErrSize says that a picture of that size or rate cannot be made.
var ErrSize = errors.New("impossible size or rate for the test picture")

// Sink takes what the picture produces, from one goroutine.
type Sink interface {
	Format(chunker.Format) error
	Unit(chunker.Unit) error
}

// Picture is a live test picture with sound. The zero value is ready to run.
//
// Besides the clock (see ReadBars) it has a lamp, from 576 to 624 of 640 across and 16 to 64 of 360 down, that is lit
// (amber, against dark grey-blue) for the first 100 ms of each second.
type Picture struct {
	// Width and Height are the size in pixels: even, from 160x90 to 1920x1080. Default 640x360.
	Width, Height int
	// Rate is the number of frames a second, 1 to 120. Default 30.
	Rate int
	// KeyInterval is the time between pictures that can be decoded by themselves. Default 2 s.
	KeyInterval time.Duration
	// NoSound leaves the sound out.
	NoSound bool
}

// defaults fills in and checks.
func (p Picture) defaults() (Picture, error) {
	if p.Width == 0 && p.Height == 0 {
		p.Width, p.Height = 640, 360
	}
	if p.Rate == 0 {
		p.Rate = 30
	}
	if p.KeyInterval == 0 {
		p.KeyInterval = 2 * time.Second
	}
	if p.Width < 160 || p.Height < 90 || p.Width > 1920 || p.Height > 1080 || p.Width%2 != 0 || p.Height%2 != 0 ||
		p.Rate < 1 || p.Rate > 120 || p.KeyInterval < 0 {
		return p, fmt.Errorf("%w: %dx%d at %d/s", ErrSize, p.Width, p.Height, p.Rate)
	}
	return p, nil
}

// Run makes pictures and sound in real time until ctx is done, then returns nil, or until the sink returns an error,
// then returns that.
//
// The first picture is made at the next multiple of 1/Rate after a full second of the wall clock, so that one picture
// falls on each full second. From then on time is the monotonic clock laid over the wall clock of the start: picture n
// has the timestamp n/Rate exactly, is made at that time, and shows the time at which it is made (which is also its
// Captured). A picture whose time has passed before it could be made is left out.
//
// The beep and the flash both begin at each full second, the flash exactly, the beep within half a frame of sound
// (11 ms).
func (p Picture) Run(ctx context.Context, sink Sink) error {
	p, err := p.defaults()
	if err != nil {
		return err
	}
	enc, scene := newEncoder(p.Width, p.Height, p.Rate), newScene(p.Width, p.Height)
	format := chunker.Format{Streams: []chunker.Stream{{
		Codec:     &codecs.H264{SPS: enc.sps, PPS: enc.pps},
		Timescale: videoTimescale,
	}}}
	if !p.NoSound {
		format.Streams = append(format.Streams, chunker.Stream{
			Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
				Type: mpeg4audio.ObjectTypeAACLC, SampleRate: sampleRate, ChannelConfig: 1, ChannelCount: 1, //nolint:staticcheck // read by the MP4 writer
			}},
			Timescale: sampleRate,
		})
	}
	if err := sink.Format(format); err != nil {
		return err
	}

	now := time.Now()
	start := now.Add(untilTick(now, p.Rate))
	keyFrames := max(int64(p.KeyInterval)*int64(p.Rate)/int64(time.Second), 1)
	var (
		picture  int64 // the next picture
		key      int64 // the picture at or after which the next one to be decoded by itself is due
		sound    int64 // the next frame of sound
		timer    = time.NewTimer(time.Until(start))
		speaking = newSpeaker(start)
	)
	defer timer.Stop()
	for {
		pictureDue := start.Add(span(picture, 1, int64(p.Rate)))
		soundDue := start.Add(span(sound, frameSamples, sampleRate))
		due := pictureDue
		if !p.NoSound && soundDue.Before(due) {
			due = soundDue
		}
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}

		now := start.Add(time.Since(start)) // so that a step of the wall clock does not show
		if !p.NoSound {
			if now.Sub(soundDue) > maxLate {
				sound = int64(now.Sub(start).Seconds() * sampleRate / frameSamples)
			}
			for ; !start.Add(span(sound, frameSamples, sampleRate)).After(now); sound++ {
				ts := sound * frameSamples
				err := sink.Unit(chunker.Unit{Stream: 1, DTS: ts, PTS: ts, Data: [][]byte{speaking.frame(sound)}, Captured: now})
				if err != nil {
					return err
				}
			}
		}
		if !pictureDue.After(now) {
			// The newest picture whose time has come: older ones are left out.
			picture = max(picture, int64(now.Sub(start))*int64(p.Rate)/int64(time.Second))
			ts := picture * videoTimescale / int64(p.Rate)
			idr := picture >= key
			if idr {
				key = (picture/keyFrames + 1) * keyFrames
			}
			data := enc.encode(scene.draw(now).YCbCr, idr)
			err := sink.Unit(chunker.Unit{Stream: 0, DTS: ts, PTS: ts, Data: data, Captured: now})
			if err != nil {
				return err
			}
			picture++
		}
	}
}

// span is n*num/den seconds, rounded up so that what is due then is not early.
func span(n, num, den int64) time.Duration {
	whole, rest := n*num/den, n*num%den
	return time.Duration(whole)*time.Second + time.Duration((rest*int64(time.Second)+den-1)/den)
}

// untilTick is the time from now to the next multiple of 1/rate after a full second.
func untilTick(now time.Time, rate int) time.Duration {
	into := int64(now.Nanosecond())
	n := (into*int64(rate) + int64(time.Second) - 1) / int64(time.Second)
	return span(n, 1, int64(rate)) - time.Duration(into)
}

// speaker chooses the frames of sound.
type speaker struct {
	offset int64 // samples from the full second before the start to the start
}

func newSpeaker(start time.Time) speaker {
	return speaker{offset: int64(start.Nanosecond()) * sampleRate / int64(time.Second)}
}

// frame returns frame n: of the beep whose onset is the frame nearest to a full second, or the hum.
func (s speaker) frame(n int64) []byte {
	for i := range int64(len(beep)) {
		// Were frame n the i-th of a beep, its onset would be this frame.
		onset := n - i + beepLead
		at := onset*frameSamples + s.offset
		// Distance of the onset from the nearest full second, in samples.
		d := (at%sampleRate + sampleRate + sampleRate/2) % sampleRate
		if d -= sampleRate / 2; d >= -frameSamples/2 && d < frameSamples/2 {
			return beep[i]
		}
	}
	return hum
}
