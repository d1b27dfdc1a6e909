package ingest

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg1audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// h264Params returns the parameters that an access unit carries, nil where it does not carry a whole set.
func h264Params(au [][]byte) *codecs.H264 {
	var c codecs.H264
	for _, nalu := range au {
		if len(nalu) < 2 {
			continue
		}
		switch h264.NALUType(nalu[0] & 0x1F) {
		case h264.NALUTypeSPS:
			if c.SPS == nil {
				c.SPS = nalu
			}
		case h264.NALUTypePPS:
			if c.PPS == nil {
				c.PPS = nalu
			}
		}
	}
	var sps h264.SPS
	if c.SPS == nil || c.PPS == nil || sps.Unmarshal(c.SPS) != nil {
		return nil
	}
	return &c
}

// h265Params is h264Params for H.265.
func h265Params(au [][]byte) *codecs.H265 {
	var c codecs.H265
	for _, nalu := range au {
		if len(nalu) < 3 {
			continue
		}
		switch h265.NALUType(nalu[0] >> 1 & 0x3F) {
		case h265.NALUType_VPS_NUT:
			if c.VPS == nil {
				c.VPS = nalu
			}
		case h265.NALUType_SPS_NUT:
			if c.SPS == nil {
				c.SPS = nalu
			}
		case h265.NALUType_PPS_NUT:
			if c.PPS == nil {
				c.PPS = nalu
			}
		}
	}
	var sps h265.SPS
	if c.VPS == nil || c.SPS == nil || c.PPS == nil || sps.Unmarshal(c.SPS) != nil {
		return nil
	}
	return &c
}

// av1Params returns the parameters of a temporal unit that carries a sequence header, else nil.
func av1Params(tu [][]byte) *codecs.AV1 {
	for _, obu := range tu {
		var seq av1.SequenceHeader
		if len(obu) > 0 && av1.OBUType(obu[0]>>3&0x0F) == av1.OBUTypeSequenceHeader && seq.Unmarshal(obu) == nil {
			return &codecs.AV1{SequenceHeader: obu}
		}
	}
	return nil
}

// withoutDelimiters drops temporal delimiters, which have no place in an MP4 sample (AV1-ISOBMFF 2.4), and OBUs that
// are empty.
func withoutDelimiters(tu [][]byte) [][]byte {
	out := tu[:0:0]
	for _, obu := range tu {
		if len(obu) > 0 && av1.OBUType(obu[0]>>3&0x0F) != av1.OBUTypeTemporalDelimiter {
			out = append(out, obu)
		}
	}
	return out
}

// vp9Params returns the parameters that a key frame carries, nil for another frame.
func vp9Params(frame []byte) *codecs.VP9 {
	var h vp9.Header
	if len(frame) == 0 || h.Unmarshal(frame) != nil || h.NonKeyFrame || h.ShowExistingFrame ||
		h.ColorConfig == nil || h.FrameSize == nil {
		return nil
	}
	return &codecs.VP9{
		Width: h.Width(), Height: h.Height(), Profile: h.Profile, BitDepth: h.ColorConfig.BitDepth,
		ChromaSubsampling: h.ChromaSubsampling(), ColorRange: h.ColorConfig.ColorRange,
	}
}

// mp3Params returns the parameters in the header of an MP3 frame, nil where it has none.
func mp3Params(frame []byte) *codecs.MPEG1Audio {
	var h mpeg1audio.FrameHeader
	if h.Unmarshal(frame) != nil || h.Layer != 3 {
		return nil
	}
	channels := 2
	if h.ChannelMode == mpeg1audio.ChannelModeMono {
		channels = 1
	}
	return &codecs.MPEG1Audio{SampleRate: h.SampleRate, ChannelCount: channels}
}

// inBandParams returns the parameters that an access unit in the given codec carries, nil where it carries none.
func inBandParams(c codecs.Codec, data [][]byte) codecs.Codec {
	if len(data) == 0 {
		return nil
	}
	switch c.(type) {
	case *codecs.H264:
		if p := h264Params(data); p != nil {
			return p
		}
	case *codecs.H265:
		if p := h265Params(data); p != nil {
			return p
		}
	case *codecs.AV1:
		if p := av1Params(data); p != nil {
			return p
		}
	case *codecs.VP9:
		if p := vp9Params(data[0]); p != nil {
			return p
		}
	case *codecs.MPEG1Audio:
		if p := mp3Params(data[0]); p != nil {
			return p
		}
	}
	return nil
}
