package chunker

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"murmuration/chunker/envelope"

	hlscodecs "github.com/bluenviron/gohlslib/v2/pkg/codecs"

	"github.com/bluenviron/gohlslib/v2/pkg/codecparams"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// ErrInit is wrapped by what Describe and Codecs return for bytes that are not an init segment of ours.
var ErrInit = errors.New("invalid init segment")

// Info describes a track by its init segment.
type Info struct {
	// Codecs is the RFC 6381 list for EXT-X-STREAM-INF, video first: "avc1.64001f,mp4a.40.2".
	Codecs string

	VideoCodec    string  // "H.264", ..., empty without video
	Width, Height int     // in pixels, zero without video
	FrameRate     float64 // pictures per second, zero where the codec's parameters do not say

	AudioCodec string // "AAC", ..., empty without audio
	SampleRate int    // samples per second, zero without audio
	Channels   int
}

// Codecs returns the RFC 6381 codecs of an init segment, for multivariant playlists.
func Codecs(init []byte) (string, error) {
	info, err := Describe(init)
	return info.Codecs, err
}

// Describe reads an init segment.
func Describe(init []byte) (Info, error) {
	if len(init) > envelope.MaxInit {
		return Info{}, fmt.Errorf("%w: %d bytes, over the limit of %d", ErrInit, len(init), envelope.MaxInit)
	}
	var boxes fmp4.Init
	if err := boxes.Unmarshal(bytes.NewReader(init)); err != nil {
		return Info{}, fmt.Errorf("%w: %w", ErrInit, err)
	}
	var info Info
	var names []string
	for _, t := range boxes.Tracks {
		if t.Codec == nil {
			return Info{}, fmt.Errorf("%w: track %d without a codec", ErrInit, t.ID)
		}
		name := info.add(t.Codec)
		if name == "" {
			return Info{}, fmt.Errorf("%w: %w: %s", ErrInit, ErrUnsupportedCodec, codecName(t.Codec))
		}
		names = append(names, name)
	}
	info.Codecs = strings.Join(names, ",")
	return info, nil
}

// add takes in one track and returns its RFC 6381 codec, empty where it is not known.
func (i *Info) add(c codecs.Codec) string {
	if c.IsVideo() {
		i.VideoCodec = codecName(c)
	} else {
		i.AudioCodec, i.SampleRate = codecName(c), sampleRate(c)
	}
	switch c := c.(type) {
	case *codecs.H264:
		var sps h264.SPS
		if sps.Unmarshal(c.SPS) == nil {
			i.Width, i.Height, i.FrameRate = sps.Width(), sps.Height(), plausibleRate(sps.FPS())
		}
		return codecparams.Marshal(&hlscodecs.H264{SPS: c.SPS, PPS: c.PPS})
	case *codecs.H265:
		var sps h265.SPS
		if sps.Unmarshal(c.SPS) == nil {
			i.Width, i.Height, i.FrameRate = sps.Width(), sps.Height(), plausibleRate(sps.FPS())
		}
		return codecparams.Marshal(&hlscodecs.H265{VPS: c.VPS, SPS: c.SPS, PPS: c.PPS})
	case *codecs.AV1:
		var seq av1.SequenceHeader
		if seq.Unmarshal(c.SequenceHeader) == nil {
			i.Width, i.Height = seq.Width(), seq.Height()
		}
		return codecparams.Marshal(&hlscodecs.AV1{SequenceHeader: c.SequenceHeader})
	case *codecs.VP9:
		i.Width, i.Height = c.Width, c.Height
		return codecparams.Marshal(&hlscodecs.VP9{
			Width: c.Width, Height: c.Height, Profile: c.Profile, BitDepth: c.BitDepth,
			ChromaSubsampling: c.ChromaSubsampling, ColorRange: c.ColorRange,
		})
	case *codecs.MPEG4Audio:
		i.Channels = aacChannels(c)
		return codecparams.Marshal(&hlscodecs.MPEG4Audio{Config: c.Config})
	case *codecs.Opus:
		i.Channels = c.ChannelCount
		return codecparams.Marshal(&hlscodecs.Opus{ChannelCount: c.ChannelCount})
	case *codecs.MPEG1Audio:
		i.Channels = c.ChannelCount
		return "mp4a.6B" // MPEG-1 audio in an esds box: object type 0x6B (MP4RA)
	}
	return ""
}

func aacChannels(c *codecs.MPEG4Audio) int {
	switch n := int(c.Config.ChannelConfig); n {
	case 0:
		return c.Config.ChannelCount //nolint:staticcheck // the only place that has it when a PCE gives the layout
	case 7:
		return 8
	default:
		return n
	}
}

// plausibleRate returns a frame rate that a codec's parameters claim, or zero where it cannot be one.
func plausibleRate(fps float64) float64 {
	if fps >= 1 && fps <= 300 {
		return fps
	}
	return 0
}

// claimedRate returns the frame rate by the video codec's parameters, or zero.
func claimedRate(c codecs.Codec) float64 {
	var info Info
	if configured(c) {
		info.add(c)
	}
	return info.FrameRate
}
