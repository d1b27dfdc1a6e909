package chunker

import (
	"errors"
	"fmt"

	"murmuration/chunker/envelope"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

var (
	// ErrUnsupportedCodec is wrapped by what SetFormat returns for a codec that cannot be cut; the error names it.
	ErrUnsupportedCodec = errors.New("unsupported codec")
	// ErrFormat is wrapped by what SetFormat returns for a format that makes no sense.
	ErrFormat = errors.New("invalid format")
)

const (
	// videoTimescale is the timescale of all video tracks: the customary one, which holds the usual frame rates exactly
	// or to 1/180000 s.
	videoTimescale = 90000
	// opusRate is the rate at which Opus timestamps count, whatever the rate of the sound (RFC 7845, section 4).
	opusRate = 48000

	maxTimescale = 1 << 30
	maxRate      = 384000 // samples per second
	minRate      = 4000
)

// supported lists the codecs for error messages.
const supported = "supported are H.264, H.265, AV1, VP9, AAC, Opus and MP3"

// codecName names a codec for people.
func codecName(c codecs.Codec) string {
	switch c.(type) {
	case *codecs.H264:
		return "H.264"
	case *codecs.H265:
		return "H.265"
	case *codecs.AV1:
		return "AV1"
	case *codecs.VP9:
		return "VP9"
	case *codecs.MPEG4Audio:
		return "AAC"
	case *codecs.Opus:
		return "Opus"
	case *codecs.MPEG1Audio:
		return "MP3"
	case *codecs.AC3:
		return "AC-3"
	case *codecs.EAC3:
		return "E-AC-3"
	case *codecs.FLAC:
		return "FLAC"
	case *codecs.LPCM:
		return "LPCM"
	case *codecs.MJPEG:
		return "Motion JPEG"
	case *codecs.MPEG4Video:
		return "MPEG-4 Visual"
	case *codecs.MPEG1Video:
		return "MPEG-1/2 video"
	case nil:
		return "no codec"
	default:
		return fmt.Sprintf("%T", c)
	}
}

// Fillable reports whether the format is sound alone of which silence is known, so that a Cutter can put it where none
// comes: AAC with one or two channels, and Opus.
func (f Format) Fillable() bool {
	if len(f.Streams) != 1 || f.Streams[0].Codec == nil || f.Streams[0].Codec.IsVideo() {
		return false
	}
	data, _ := silence(f.Streams[0].Codec)
	return data != nil
}

// check holds a format against what the cutter can do.
func (f Format) check() error {
	if len(f.Streams) == 0 {
		return fmt.Errorf("%w: no streams", ErrFormat)
	}
	var video, audio int
	for i, s := range f.Streams {
		if s.Timescale == 0 || s.Timescale > maxTimescale {
			return fmt.Errorf("%w: timescale %d of stream %d", ErrFormat, s.Timescale, i)
		}
		switch c := s.Codec.(type) {
		case *codecs.H264, *codecs.H265, *codecs.AV1, *codecs.VP9:
			video++
		case *codecs.MPEG4Audio, *codecs.Opus, *codecs.MPEG1Audio:
			audio++
			if rate := sampleRate(c); rate < minRate || rate > maxRate {
				return fmt.Errorf("%w: %s at %d samples/s", ErrFormat, codecName(c), rate)
			}
		default:
			return fmt.Errorf("%w: %s (stream %d); %s", ErrUnsupportedCodec, codecName(c), i, supported)
		}
	}
	if video > 1 || audio > 1 {
		return fmt.Errorf("%w: %d video and %d audio streams, one of each is possible", ErrFormat, video, audio)
	}
	return nil
}

// sampleRate returns the samples per second of an audio codec's timeline.
func sampleRate(c codecs.Codec) int {
	switch c := c.(type) {
	case *codecs.MPEG4Audio:
		return c.Config.SampleRate
	case *codecs.Opus:
		return opusRate
	case *codecs.MPEG1Audio:
		return c.SampleRate
	}
	return 0
}

// configured tells whether the codec has all its parameters, so that an init segment can be written.
func configured(c codecs.Codec) bool {
	switch c := c.(type) {
	case *codecs.H264:
		return len(c.SPS) > 0 && len(c.PPS) > 0
	case *codecs.H265:
		return len(c.VPS) > 0 && len(c.SPS) > 0 && len(c.PPS) > 0
	case *codecs.AV1:
		return len(c.SequenceHeader) > 0
	case *codecs.VP9:
		return c.Width > 0 && c.Height > 0
	}
	return true
}

// marshalInit writes the init segment: video as track 1 and audio after it.
func marshalInit(video, audio codecs.Codec) ([]byte, error) {
	var init fmp4.Init
	if c, ok := video.(*codecs.H265); ok && len(c.SPS) < 13 {
		return nil, fmt.Errorf("%w: H.265 SPS of %d bytes", ErrFormat, len(c.SPS))
	}
	if video != nil {
		init.Tracks = append(init.Tracks, &fmp4.InitTrack{ID: 1, TimeScale: videoTimescale, Codec: video})
	}
	if audio != nil {
		init.Tracks = append(init.Tracks, &fmp4.InitTrack{
			ID: len(init.Tracks) + 1, TimeScale: uint32(sampleRate(audio)), Codec: audio,
		})
	}
	var buf seekablebuffer.Buffer
	if err := init.Marshal(&buf); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if buf.Len() > envelope.MaxInit {
		return nil, fmt.Errorf("%w: init segment of %d bytes, over the limit of %d", ErrFormat, buf.Len(), envelope.MaxInit)
	}
	return buf.Bytes(), nil
}
