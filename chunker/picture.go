package chunker

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// errNoPicture is returned for a unit that holds nothing to decode (parameter sets alone, garbage).
var errNoPicture = errors.New("no picture in the unit")

// picture is a video unit made ready for an MP4 sample.
type picture struct {
	rap     bool         // decoding can start here
	codec   codecs.Codec // the codec with the parameters that the picture needs; the one passed in where they did not change
	payload []byte
}

// readPicture turns a unit's data into a sample's payload. It finds random access points and parameters that
// changed in the stream, and leaves out what the init segment or the container already says.
func readPicture(current codecs.Codec, data [][]byte) (picture, error) {
	switch c := current.(type) {
	case *codecs.H264:
		return readH264(c, data)
	case *codecs.H265:
		return readH265(c, data)
	case *codecs.AV1:
		return readAV1(c, data)
	case *codecs.VP9:
		return readVP9(c, data)
	}
	return picture{}, errNoPicture
}

// parameterSet follows one kind of parameter set through an access unit.
type parameterSet struct {
	have  []byte                    // in force, in the init segment
	id    func([]byte) (uint, bool) // of a set's NAL unit, nil where one set of the kind at a time is assumed
	next  []byte                    // the one that replaces it
	same  bool                      // the one in force was repeated
	extra [][]byte                  // others, kept in the stream
}

// see takes in a NAL unit of the kind.
func (p *parameterSet) see(nalu []byte) {
	switch {
	case bytes.Equal(nalu, p.have):
		p.same = true
	case len(p.have) == 0 || p.replaces(nalu):
		if p.next != nil && !bytes.Equal(p.next, nalu) {
			p.extra = append(p.extra, nalu)
			return
		}
		p.next = nalu
	default:
		p.extra = append(p.extra, nalu)
	}
}

func (p *parameterSet) replaces(nalu []byte) bool {
	if p.id == nil {
		return true
	}
	a, okA := p.id(p.have)
	b, okB := p.id(nalu)
	return !okA || !okB || a == b
}

// settle decides after the whole unit was seen: the set that the init segment must hold. A set that merely comes
// beside the one in force stays in the stream.
func (p *parameterSet) settle() (set []byte, changed bool) {
	if p.next == nil {
		return p.have, false
	}
	if p.same {
		p.extra = append(p.extra, p.next)
		return p.have, false
	}
	return bytes.Clone(p.next), true
}

// golomb reads the unsigned Exp-Golomb number at the start of b (H.264, 9.1); parameter set ids are at most 255.
func golomb(b []byte) (uint, bool) {
	bit := func(i int) uint { return uint(b[i/8]>>(7-i%8)) & 1 }
	zeros := 0
	for ; ; zeros++ {
		if zeros > 8 || zeros >= 8*len(b) {
			return 0, false
		}
		if bit(zeros) == 1 {
			break
		}
	}
	if 2*zeros >= 8*len(b) {
		return 0, false
	}
	v := uint(1)
	for i := 1; i <= zeros; i++ {
		v = v<<1 | bit(zeros+i)
	}
	return v - 1, true
}

// idAt returns a function that reads a parameter set's id at a byte of the NAL unit.
func idAt(offset int) func([]byte) (uint, bool) {
	return func(nalu []byte) (uint, bool) {
		if len(nalu) <= offset {
			return 0, false
		}
		return golomb(nalu[offset:])
	}
}

func readH264(c *codecs.H264, data [][]byte) (picture, error) {
	p := picture{codec: c}
	sps := parameterSet{have: c.SPS, id: idAt(4)} // after the NAL unit's header, profile, constraints, level
	pps := parameterSet{have: c.PPS, id: idAt(1)}
	slices := false
	nalus := make([][]byte, 0, len(data))
	for _, n := range data {
		if len(n) == 0 {
			continue
		}
		switch h264.NALUType(n[0] & 0x1f) {
		case h264.NALUTypeSPS:
			sps.see(n)
		case h264.NALUTypePPS:
			pps.see(n)
		case h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeFillerData,
			h264.NALUTypeEndOfSequence, h264.NALUTypeEndOfStream:
		case h264.NALUTypeIDR:
			p.rap, slices = true, true
			nalus = append(nalus, n)
		case h264.NALUTypeNonIDR, h264.NALUTypeDataPartitionA:
			slices = true
			nalus = append(nalus, n)
		default:
			nalus = append(nalus, n)
		}
	}
	newSPS, changedSPS := sps.settle()
	newPPS, changedPPS := pps.settle()
	if changedSPS || changedPPS {
		p.codec = &codecs.H264{SPS: newSPS, PPS: newPPS}
	}
	if !slices {
		return p, errNoPicture
	}
	p.payload = lengthPrefixed(sps.extra, pps.extra, nalus)
	return p, nil
}

func readH265(c *codecs.H265, data [][]byte) (picture, error) {
	p := picture{codec: c}
	vps := parameterSet{have: c.VPS}
	sps := parameterSet{have: c.SPS}
	pps := parameterSet{have: c.PPS, id: idAt(2)}
	slices := false
	nalus := make([][]byte, 0, len(data))
	for _, n := range data {
		if len(n) < 2 {
			continue
		}
		switch typ := h265.NALUType(n[0]>>1) & 0x3f; typ {
		case h265.NALUType_VPS_NUT:
			vps.see(n)
		case h265.NALUType_SPS_NUT:
			sps.see(n)
		case h265.NALUType_PPS_NUT:
			pps.see(n)
		case h265.NALUType_AUD_NUT, h265.NALUType_EOS_NUT, h265.NALUType_EOB_NUT, h265.NALUType_FD_NUT:
		default:
			if typ < h265.NALUType_VPS_NUT {
				slices = true
			}
			if typ >= h265.NALUType_BLA_W_LP && typ <= h265.NALUType_CRA_NUT {
				p.rap = true
			}
			nalus = append(nalus, n)
		}
	}
	newVPS, changedVPS := vps.settle()
	newSPS, changedSPS := sps.settle()
	newPPS, changedPPS := pps.settle()
	if changedVPS || changedSPS || changedPPS {
		p.codec = &codecs.H265{VPS: newVPS, SPS: newSPS, PPS: newPPS}
	}
	if !slices {
		return p, errNoPicture
	}
	p.payload = lengthPrefixed(vps.extra, sps.extra, pps.extra, nalus)
	return p, nil
}

// lengthPrefixed joins NAL units, each behind its length in four bytes (ISO 14496-15, 4.3.3).
func lengthPrefixed(lists ...[][]byte) []byte {
	size := 0
	for _, l := range lists {
		for _, n := range l {
			size += 4 + len(n)
		}
	}
	b := make([]byte, 0, size)
	for _, l := range lists {
		for _, n := range l {
			b = append(b, byte(len(n)>>24), byte(len(n)>>16), byte(len(n)>>8), byte(len(n)))
			b = append(b, n...)
		}
	}
	return b
}

// Types of OBUs that mediacommon does not name (AV1 specification, 6.2.2).
const (
	obuFrameHeader = 3
	obuFrame       = 6
	obuPadding     = 15
)

func readAV1(c *codecs.AV1, data [][]byte) (picture, error) {
	p := picture{codec: c}
	obus := make(av1.Bitstream, 0, len(data))
	sequence := parameterSet{have: c.SequenceHeader}
	pictures := false
	for _, o := range data {
		if len(o) < 2 {
			continue // a temporal delimiter, or nothing
		}
		typ := o[0] >> 3 & 0xf
		switch typ {
		case byte(av1.OBUTypeTemporalDelimiter), obuPadding:
			continue
		case byte(av1.OBUTypeSequenceHeader):
			sequence.see(withoutSize(o))
		case obuFrameHeader, obuFrame:
			pictures = true
			// show_existing_frame (1 bit), frame_type (2 bits, 0 is a key frame), show_frame (1 bit)
			if body := obuBody(o); len(body) > 0 && body[0]>>4 == 1 {
				p.rap = true
			}
		}
		obus = append(obus, o)
	}
	if header, changed := sequence.settle(); changed {
		p.codec = &codecs.AV1{SequenceHeader: header}
	}
	if !pictures {
		return p, errNoPicture
	}
	payload, err := obus.Marshal()
	if err != nil {
		return p, fmt.Errorf("%w: %w", errNoPicture, err)
	}
	p.payload = payload
	return p, nil
}

// obuBody returns an OBU without its header and size.
func obuBody(o []byte) []byte {
	n := 1
	if o[0]&4 != 0 { // extension
		n++
	}
	if o[0]&2 != 0 { // size, LEB128
		for n < len(o) && o[n]&0x80 != 0 {
			n++
		}
		n++
	}
	return o[min(n, len(o)):]
}

// withoutSize returns an OBU without its size field, the form in which codecs.AV1 holds the sequence header.
func withoutSize(o []byte) []byte {
	if o[0]&2 == 0 {
		return o
	}
	head := []byte{o[0] &^ 2}
	if o[0]&4 != 0 && len(o) > 1 {
		head = append(head, o[1])
	}
	return append(head, obuBody(o)...)
}

func readVP9(c *codecs.VP9, data [][]byte) (picture, error) {
	p := picture{codec: c}
	frame := bytes.Join(data, nil)
	var h vp9.Header
	if len(frame) == 0 || h.Unmarshal(frame) != nil {
		return p, errNoPicture
	}
	p.payload = frame
	if h.ShowExistingFrame || h.NonKeyFrame {
		return p, nil
	}
	p.rap = true
	next := codecs.VP9{
		Width: h.Width(), Height: h.Height(), Profile: h.Profile,
		BitDepth: h.ColorConfig.BitDepth, ChromaSubsampling: h.ChromaSubsampling(), ColorRange: h.ColorConfig.ColorRange,
	}
	if next != *c {
		p.codec = &next
	}
	return p, nil
}
