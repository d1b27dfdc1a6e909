package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg1audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	tscodecs "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"murmuration/chunker"
)

const (
	tsTimescale = 90000
	// tsAttempts is how often the search for the streams' parameters begins anew when the bytes it meets are bad.
	tsAttempts = 20
)

// ReadTS takes an MPEG-TS stream: H.264 or H.265, AAC, Opus or MP3. Without Realtime it takes bytes as they come, for
// a pipe from a live encoder. Bad bytes are skipped, counted and told in the log. It returns nil at the end, and ctx's
// error when ctx is done, even while a read hangs (which then goes on in the background until r returns).
func ReadTS(ctx context.Context, r io.Reader, sink Sink, config ReadConfig) error {
	t := &tsSource{ctx: ctx, sink: sink, log: logger(config.Log), clock: newClock()}
	t.feed = feed{sink: sink, log: t.log}
	if config.Realtime {
		t.pacer = newPacer()
	}
	seeker, ok := r.(io.Seeker)
	if config.Loop && !ok {
		return errors.New("MPEG-TS: a pipe cannot be played in a loop")
	}
	for {
		units := t.units
		if err := t.round(newPump(ctx, r)); err != nil {
			return err
		}
		if !config.Loop {
			return nil
		}
		if t.units == units {
			return fmt.Errorf("MPEG-TS: %w", ErrNoStreams)
		}
		if _, err := seeker.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("MPEG-TS: %w", err)
		}
		t.timeline.again()
		t.started = false
	}
}

// tsSource is one ReadTS.
type tsSource struct {
	ctx   context.Context
	sink  Sink
	log   *slog.Logger
	clock clock
	feed  feed
	pacer *pacer

	timeline timeline
	started  bool  // a timestamp was seen in this round
	newest   int64 // the last timestamp, unwrapped
	units    int   // handed on
	bad      int   // places in the input that could not be read
}

// round reads the input once, to its end.
func (t *tsSource) round(input io.Reader) error {
	r := &mpegts.Reader{R: input}
	for attempt := 1; ; attempt++ {
		err := r.Initialize()
		if err == nil {
			break
		}
		if ctxErr := t.ctx.Err(); ctxErr != nil {
			return ctxErr
		}
		var failed *inputError
		if errors.As(err, &failed) {
			return fmt.Errorf("MPEG-TS: %w", failed.error)
		}
		if errors.Is(err, io.EOF) || attempt == tsAttempts {
			return fmt.Errorf("MPEG-TS: %w (%w)", ErrNoStreams, err)
		}
		t.complain(err)
	}
	r.OnDecodeError(t.complain)
	if err := t.choose(r); err != nil {
		return err
	}
	for {
		err := r.Read()
		var failed *inputError
		switch {
		case err == nil:
		case t.ctx.Err() != nil:
			return t.ctx.Err()
		case errors.Is(err, io.EOF):
			if err := t.feed.start(); err != nil {
				return fmt.Errorf("MPEG-TS: %w", err)
			}
			return nil
		case errors.As(err, &failed):
			return fmt.Errorf("MPEG-TS: %w", failed.error)
		default:
			return err
		}
	}
}

// complain counts what could not be read, and tells of it more and more rarely.
func (t *tsSource) complain(err error) {
	t.bad++
	if t.bad&(t.bad-1) == 0 {
		t.log.Warn("bad MPEG-TS data skipped", "times", t.bad, "err", err)
	}
}

// choose takes the first video and the first audio stream that can be taken, and says what is left out.
func (t *tsSource) choose(r *mpegts.Reader) error {
	var taken [2]bool
	var refused [2]error
	for _, track := range r.Tracks() {
		k, name, supported := tsCodec(track.Codec)
		log := t.log.With("pid", track.PID, "codec", name)
		switch {
		case !supported && k < 0:
			log.Info("a stream that is neither video nor audio is left out")
		case !supported:
			err := unsupported(k.String(), name)
			if refused[k] == nil {
				refused[k] = err
			}
			log.Warn("a stream is left out", "err", err)
		case taken[k]:
			log.Warn("a stream is left out: only the first of its kind is taken")
		default:
			taken[k] = true
			log.Info("stream taken", "kind", k)
			t.attach(r, track)
		}
	}
	if !taken[video] && refused[video] != nil {
		return fmt.Errorf("MPEG-TS: %w", refused[video])
	}
	if !taken[video] && !taken[audio] {
		if refused[audio] != nil {
			return fmt.Errorf("MPEG-TS: %w", refused[audio])
		}
		return fmt.Errorf("MPEG-TS: %w", ErrNoStreams)
	}
	for k, ok := range taken {
		if !ok {
			if err := t.feed.absent(kind(k)); err != nil {
				return err
			}
		}
	}
	return nil
}

// tsCodec tells what a stream is. A kind under 0 is neither video nor audio.
func tsCodec(c tscodecs.Codec) (k kind, name string, supported bool) {
	switch c.(type) {
	case *tscodecs.H264:
		return video, "H.264", true
	case *tscodecs.H265:
		return video, "H.265", true
	case *tscodecs.MPEG4Audio:
		return audio, "AAC", true
	case *tscodecs.Opus:
		return audio, "Opus", true
	case *tscodecs.MPEG1Audio:
		return audio, "MPEG audio", true
	case *tscodecs.MPEG1Video:
		return video, "MPEG-1/2 video", false
	case *tscodecs.MPEG4Video:
		return video, "MPEG-4 part 2 video", false
	case *tscodecs.MPEG4AudioLATM:
		return audio, "AAC in LATM", false
	case *tscodecs.AC3:
		return audio, "AC-3", false
	case *tscodecs.EAC3:
		return audio, "E-AC-3", false
	}
	return -1, strings.TrimPrefix(fmt.Sprintf("%T", c), "*codecs."), false
}

// attach has a stream's data sent to the feed.
func (t *tsSource) attach(r *mpegts.Reader, track *mpegts.Track) {
	switch c := track.Codec.(type) {
	case *tscodecs.H264:
		r.OnDataH264(track, func(pts, dts int64, au [][]byte) error {
			if p := h264Params(au); p != nil {
				if err := t.feed.codec(video, p, tsTimescale, 0); err != nil {
					return err
				}
			}
			return t.unit(video, pts, dts, au)
		})
	case *tscodecs.H265:
		r.OnDataH265(track, func(pts, dts int64, au [][]byte) error {
			if p := h265Params(au); p != nil {
				if err := t.feed.codec(video, p, tsTimescale, 0); err != nil {
					return err
				}
			}
			return t.unit(video, pts, dts, au)
		})
	case *tscodecs.MPEG4Audio:
		r.OnDataMPEG4Audio(track, func(pts int64, aus [][]byte) error {
			if err := t.feed.codec(audio, &codecs.MPEG4Audio{Config: c.Config}, tsTimescale, 0); err != nil {
				return err
			}
			return t.frames(pts, aus, func([]byte) (int, int) { return 1024, c.SampleRate })
		})
	case *tscodecs.Opus:
		r.OnDataOpus(track, func(pts int64, packets [][]byte) error {
			if err := t.feed.codec(audio, &codecs.Opus{ChannelCount: c.ChannelCount}, tsTimescale, 0); err != nil { //nolint:staticcheck // filled in by the reader
				return err
			}
			return t.frames(pts, packets, func(p []byte) (int, int) { return int(opus.PacketDuration2(p)), 48000 })
		})
	case *tscodecs.MPEG1Audio:
		r.OnDataMPEG1Audio(track, func(pts int64, frames [][]byte) error {
			p := mp3Params(frames[0])
			if p == nil {
				err := unsupported("audio", "MPEG audio layer II")
				if t.feed.lanes[video].absent {
					return fmt.Errorf("MPEG-TS: %w", err)
				}
				t.complain(err)
				return t.feed.absent(audio)
			}
			if err := t.feed.codec(audio, p, tsTimescale, 0); err != nil {
				return err
			}
			return t.frames(pts, frames, func(f []byte) (int, int) {
				var h mpeg1audio.FrameHeader
				if h.Unmarshal(f) != nil {
					return 1152, p.SampleRate
				}
				return h.SampleCount(), h.SampleRate
			})
		})
	}
}

// frames hands on the audio frames of one packet. length tells a frame's samples and their rate.
func (t *tsSource) frames(pts int64, frames [][]byte, length func([]byte) (samples, rate int)) error {
	ahead := time.Duration(0)
	for _, f := range frames {
		at := pts + int64(ahead*tsTimescale+time.Second/2)/int64(time.Second)
		if err := t.unit(audio, at, at, [][]byte{f}); err != nil {
			return err
		}
		samples, rate := length(f)
		ahead += time.Duration(samples) * time.Second / time.Duration(max(rate, 1))
	}
	return nil
}

// unit places, paces and hands on an access unit.
func (t *tsSource) unit(k kind, pts, dts int64, data [][]byte) error {
	if len(data) == 0 {
		return nil
	}
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	reorder := (pts - dts) << 31 >> 31 // in 33 bits, signed
	if !t.started {
		t.started, t.newest = true, dts&(1<<33-1)
	}
	t.newest += (dts - t.newest) << 31 >> 31
	at := t.newest
	placed := t.timeline.place(k, at, reorder, tsTimescale)
	if t.pacer != nil {
		if err := t.pacer.wait(t.ctx, seconds(placed, tsTimescale)); err != nil {
			return err
		}
	}
	t.units++
	return t.feed.unit(k, chunker.Unit{DTS: placed, PTS: placed + reorder, Data: data, Captured: t.clock.now()})
}
