// Package retime shifts the decode times of chunks, so that those of several timelines make one MP4. It changes nothing
// else of a chunk, and never the bytes that it is given: others share them.
package retime

import (
	"encoding/binary"
	"math/big"
)

// Position is what must be known of a chunk to place it (its envelope says all of it).
type Position struct {
	Epoch         uint64
	Timescale     uint32 // units per second of DecodeTime and Duration
	DecodeTime    uint64
	Duration      uint32
	Discontinuity bool
}

// Timeline keeps the decode times of one MP4 going across discontinuities: an origin that restarted begins at another
// time, which HLS players are told by EXT-X-DISCONTINUITY and readers of a plain file cannot be. Chunks that need no
// shift pass unchanged. It is not safe for concurrent use.
//
//	moof
//	└ traf (one a track)
//	  ├ tfhd   track_ID
//	  ├ tfdt   baseMediaDecodeTime, 32 or 64 bit: what is shifted
//	  └ trun   the samples' durations: where the chunk ends
type Timeline struct {
	scales map[uint32]uint32 // by track_ID
	last   Position
	begun  bool
	shift  int64 // in 1/last.Timescale seconds

	exact    bool
	ends     map[uint32]uint64 // by track_ID: where the track's next sample may begin
	defaults map[uint32]uint32 // by track_ID: duration of a sample that does not tell
	sequence uint32
}

// New returns a Timeline for chunks that need this init segment. The first chunk stays where it is; a little room is
// left at each discontinuity.
func New(init []byte) *Timeline {
	t := &Timeline{scales: map[uint32]uint32{}}
	walk(init, func(kind string, moov []byte) {
		if kind != "moov" {
			return
		}
		walk(moov, func(kind string, trak []byte) {
			if kind == "trak" {
				t.addTrack(trak)
			}
		})
	})
	return t
}

func (t *Timeline) addTrack(trak []byte) {
	var id, scale uint32
	walk(trak, func(kind string, b []byte) {
		switch kind {
		case "tkhd": // version, flags, two times, track_ID (ISO 14496-12, 8.3.2)
			if len(b) >= 24 {
				id = binary.BigEndian.Uint32(b[12+8*int(b[0]&1):])
			}
		case "mdia":
			walk(b, func(kind string, b []byte) { // version, flags, two times, timescale (8.4.2)
				if kind == "mdhd" && len(b) >= 24 {
					scale = binary.BigEndian.Uint32(b[12+8*int(b[0]&1):])
				}
			})
		}
	})
	if scale > 0 {
		t.scales[id] = scale
	}
}

// room is left at a discontinuity, in fractions of a second (1/10): sound and picture of a chunk do not end together,
// and the longer of them must not be overtaken by what follows.
const room = 10

// Place returns the chunk's bytes, in order, with its decode times where they follow on from the chunk before.
func (t *Timeline) Place(p Position, block []byte) [][]byte {
	if t.exact {
		return t.placeExactly(p, block)
	}
	if t.begun && (p.Discontinuity || p.Epoch != t.last.Epoch || p.Timescale != t.last.Timescale) {
		end := int64(t.last.DecodeTime) + t.shift + int64(t.last.Duration) + int64(t.last.Timescale/room)
		t.shift = rescale(end, t.last.Timescale, p.Timescale) - int64(p.DecodeTime)
	}
	t.last, t.begun = p, true
	if t.shift == 0 {
		return [][]byte{block}
	}
	start, moof := copyMoof(block)
	if moof == nil {
		return [][]byte{block}
	}
	t.shiftMoof(moof, p.Timescale)
	return [][]byte{block[:start], moof, block[start+len(moof):]}
}

// copyMoof returns a copy of the body of a block's moof, and where it stands.
func copyMoof(block []byte) (start int, moof []byte) {
	walk(block, func(kind string, body []byte) {
		if kind == "moof" && moof == nil {
			start = cap(block) - cap(body) // where body stands in block
			moof = append([]byte{}, body...)
		}
	})
	return start, moof
}

func (t *Timeline) shiftMoof(moof []byte, from uint32) {
	walk(moof, func(kind string, traf []byte) {
		if kind == "traf" {
			t.shiftTraf(traf, from)
		}
	})
}

func (t *Timeline) shiftTraf(traf []byte, from uint32) {
	scale := from
	walk(traf, func(kind string, b []byte) {
		switch {
		case kind == "tfhd" && len(b) >= 8:
			if s, ok := t.scales[binary.BigEndian.Uint32(b[4:])]; ok {
				scale = s
			}
		case kind == "tfdt" && len(b) >= 12 && b[0] == 1:
			binary.BigEndian.PutUint64(b[4:], binary.BigEndian.Uint64(b[4:])+uint64(rescale(t.shift, from, scale)))
		case kind == "tfdt" && len(b) >= 8 && b[0] == 0:
			binary.BigEndian.PutUint32(b[4:], binary.BigEndian.Uint32(b[4:])+uint32(rescale(t.shift, from, scale)))
		}
	})
}

// rescale converts n units of 1/from seconds to units of 1/to.
func rescale(n int64, from, to uint32) int64 {
	if from == to {
		return n
	}
	v := big.NewInt(n)
	v.Mul(v, big.NewInt(int64(to)))
	return v.Div(v, big.NewInt(int64(from))).Int64()
}

// walk calls f with the type and the body of each box in b. It stops at what is no box.
func walk(b []byte, f func(kind string, body []byte)) {
	for len(b) >= 8 {
		size, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		switch {
		case size == 1 && len(b) >= 16:
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		case size == 0:
			size = uint64(len(b))
		}
		if size < head || size > uint64(len(b)) {
			return
		}
		f(string(b[4:8]), b[head:size])
		b = b[size:]
	}
}
