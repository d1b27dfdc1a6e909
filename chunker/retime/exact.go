package retime

import (
	"encoding/binary"
	"math"
)

// NewExact returns a Timeline that begins at zero and leaves no room: at each discontinuity, and wherever a chunk does
// not begin where the one before ended, the next sample of the track that is furthest begins where its last one ended.
// Fragments are numbered from 1. It reads the samples' durations in every chunk.
func NewExact(init []byte) *Timeline {
	t := New(init)
	t.exact, t.ends, t.defaults = true, map[uint32]uint64{}, map[uint32]uint32{}
	walk(init, func(kind string, moov []byte) {
		if kind != "moov" {
			return
		}
		walk(moov, func(kind string, mvex []byte) {
			if kind != "mvex" {
				return
			}
			walk(mvex, func(kind string, b []byte) {
				// version, flags, track_ID, description index, default duration (ISO 14496-12, 8.8.3)
				if kind == "trex" && len(b) >= 16 {
					t.defaults[binary.BigEndian.Uint32(b[4:])] = binary.BigEndian.Uint32(b[12:])
				}
			})
		})
	})
	return t
}

// stretch is what a chunk has of one track, in the track's own units.
type stretch struct {
	id           uint32
	base, length uint64
}

func (t *Timeline) placeExactly(p Position, block []byte) [][]byte {
	start, moof := copyMoof(block)
	if moof == nil {
		return [][]byte{block}
	}
	var tracks []stretch
	walk(moof, func(kind string, b []byte) {
		switch {
		case kind == "traf":
			tracks = append(tracks, t.measure(b))
		case kind == "mfhd" && len(b) >= 8:
			t.sequence++
			binary.BigEndian.PutUint32(b[4:], t.sequence)
		}
	})
	breaks := !t.begun || p.Discontinuity || p.Epoch != t.last.Epoch || p.Timescale != t.last.Timescale ||
		p.DecodeTime != t.last.DecodeTime+uint64(t.last.Duration)
	if breaks {
		t.shift = math.MinInt64
		for _, s := range tracks {
			// Rounded up, so that no sample begins before the one ahead of it ends.
			need := -rescale(-(int64(t.ends[s.id]) - int64(s.base)), t.scale(s.id, p.Timescale), p.Timescale)
			t.shift = max(t.shift, need)
		}
		if t.shift == math.MinInt64 {
			t.shift = -int64(p.DecodeTime)
		}
	}
	t.last, t.begun = p, true
	t.shiftMoof(moof, p.Timescale)
	for _, s := range tracks {
		t.ends[s.id] = s.base + uint64(rescale(t.shift, p.Timescale, t.scale(s.id, p.Timescale))) + s.length
	}
	return [][]byte{block[:start], moof, block[start+len(moof):]}
}

func (t *Timeline) scale(id, otherwise uint32) uint32 {
	if s, ok := t.scales[id]; ok {
		return s
	}
	return otherwise
}

// measure reads where a traf begins and how long its samples last.
func (t *Timeline) measure(traf []byte) (s stretch) {
	var each uint32
	walk(traf, func(kind string, b []byte) {
		switch {
		case kind == "tfhd" && len(b) >= 8:
			s.id = binary.BigEndian.Uint32(b[4:])
			each = t.defaults[s.id]
			flags, at := binary.BigEndian.Uint32(b), 8
			if flags&0x1 != 0 { // base-data-offset (8.8.7)
				at += 8
			}
			if flags&0x2 != 0 { // sample-description-index
				at += 4
			}
			if flags&0x8 != 0 && len(b) >= at+4 {
				each = binary.BigEndian.Uint32(b[at:])
			}
		case kind == "tfdt" && len(b) >= 12 && b[0] == 1:
			s.base = binary.BigEndian.Uint64(b[4:])
		case kind == "tfdt" && len(b) >= 8 && b[0] == 0:
			s.base = uint64(binary.BigEndian.Uint32(b[4:]))
		case kind == "trun" && len(b) >= 8:
			s.length += runLength(b, each)
		}
	})
	return s
}

// runLength sums the durations of a trun's samples (8.8.8).
func runLength(b []byte, each uint32) (sum uint64) {
	flags, count, at := binary.BigEndian.Uint32(b), uint64(binary.BigEndian.Uint32(b[4:])), 8
	if flags&0x100 == 0 {
		return count * uint64(each)
	}
	for _, field := range [...]uint32{0x1, 0x4} { // data-offset, first-sample-flags
		if flags&field != 0 {
			at += 4
		}
	}
	step := 4
	for _, field := range [...]uint32{0x200, 0x400, 0x800} { // size, flags, composition time offset
		if flags&field != 0 {
			step += 4
		}
	}
	for ; count > 0 && at+4 <= len(b); count-- {
		sum += uint64(binary.BigEndian.Uint32(b[at:]))
		at += step
	}
	return sum
}
