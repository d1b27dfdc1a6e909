// Package split takes the picture or the sound alone out of init segments and chunks that hold both. It copies the
// boxes that say where samples are, and never the samples.
package split

import "encoding/binary"

// Kind is what is wanted, as the number that its track has in an MP4 of picture and sound (chunker/FORMAT.md, 3).
type Kind uint32

const (
	// Picture is the track of the video.
	Picture Kind = 1
	// Sound is the track of the audio beside a video.
	Sound Kind = 2
)

// Init returns an init segment with this track alone. What is no init segment comes back as it is.
func Init(init []byte, kind Kind) []byte {
	out := make([]byte, 0, len(init))
	walk(init, func(name string, whole, body []byte) {
		if name == "moov" {
			out = appendBox(out, "moov", initBoxes(body, kind))
		} else {
			out = append(out, whole...)
		}
	})
	return out
}

func initBoxes(moov []byte, kind Kind) (out []byte) {
	walk(moov, func(name string, whole, body []byte) {
		switch name {
		case "trak":
			if trackOf(body) != kind {
				return
			}
		case "mvex":
			var kept []byte
			walk(body, func(name string, whole, b []byte) {
				// version, flags, track_ID (ISO 14496-12, 8.8.3)
				if name != "trex" || len(b) >= 8 && Kind(binary.BigEndian.Uint32(b[4:])) == kind {
					kept = append(kept, whole...)
				}
			})
			out = appendBox(out, "mvex", kept)
			return
		}
		out = append(out, whole...)
	})
	return out
}

func trackOf(trak []byte) (id Kind) {
	walk(trak, func(name string, _, b []byte) { // version, flags, two times, track_ID (8.3.2)
		if name == "tkhd" && len(b) >= 24 {
			id = Kind(binary.BigEndian.Uint32(b[12+8*int(b[0]&1):]))
		}
	})
	return id
}

// Chunk returns a chunk with this track alone, in pieces that share its bytes. Where the track has nothing in it, the chunk
// has none. What is no chunk of ours comes back as it is.
//
//	moof
//	├ mfhd
//	└ traf        the one that is kept
//	  ├ tfhd      track_ID; offsets count from the moof's start
//	  ├ tfdt
//	  └ trun      data offset: written anew; sizes: how much of the mdat is the track's
//	mdat
func Chunk(block []byte, kind Kind) [][]byte {
	var moof []byte
	var runs []int // where in moof the data offsets stand
	from, to := len(block), 0
	ok, found := true, false
	walk(block, func(name string, _, body []byte) {
		if name != "moof" || found {
			return
		}
		found = true
		moof = make([]byte, 8, len(body)+8)
		walk(body, func(name string, whole, b []byte) {
			if name == "traf" && fragmentOf(b) != kind {
				return
			}
			base := len(moof)
			moof = append(moof, whole...)
			if name != "traf" {
				return
			}
			ok = eachRun(moof[base:], func(at, start, size int) {
				runs = append(runs, base+at)
				from, to = min(from, start), max(to, start+size)
			}) && ok
		})
	})
	if to == 0 {
		from = 0 // none of it here
	}
	if !ok || !found || from > to || to > len(block) {
		return [][]byte{block}
	}
	binary.BigEndian.PutUint32(moof, uint32(len(moof)))
	copy(moof[4:], "moof")
	moved := len(moof) + 8 - from
	for _, at := range runs {
		binary.BigEndian.PutUint32(moof[at:], binary.BigEndian.Uint32(moof[at:])+uint32(moved))
	}
	moof = binary.BigEndian.AppendUint32(moof, uint32(to-from+8))
	moof = append(moof, "mdat"...)
	return [][]byte{moof, block[from:to]}
}

func fragmentOf(traf []byte) (id Kind) {
	walk(traf, func(name string, _, b []byte) {
		if name == "tfhd" && len(b) >= 8 {
			id = Kind(binary.BigEndian.Uint32(b[4:]))
		}
	})
	return id
}

// eachRun calls f for each trun of a traf with where its data offset stands, and the place and size of its samples in the
// chunk. It reports whether all of them tell both.
func eachRun(traf []byte, f func(at, start, size int)) bool {
	ok := true
	walk(traf, func(_ string, _, inner []byte) {
		walk(inner, func(name string, _, b []byte) {
			if name != "trun" {
				return
			}
			const offset, first, duration, size, flag, composition = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800 // 8.8.8
			if len(b) < 12 || binary.BigEndian.Uint32(b)&(offset|size) != offset|size {
				ok = false
				return
			}
			flags, count, at := binary.BigEndian.Uint32(b), int(binary.BigEndian.Uint32(b[4:])), 12
			if flags&first != 0 {
				at += 4
			}
			step, field := 0, 0
			for _, f := range [...]uint32{duration, size, flag, composition} {
				if f == size {
					field = step
				}
				if flags&f != 0 {
					step += 4
				}
			}
			sum := 0
			for ; count > 0 && at+step <= len(b); count-- {
				sum += int(binary.BigEndian.Uint32(b[at+field:]))
				at += step
			}
			start := int(int32(binary.BigEndian.Uint32(b[8:])))
			if count > 0 || start < 0 || sum < 0 {
				ok = false
				return
			}
			f(cap(traf)-cap(b)+8, start, sum)
		})
	})
	return ok
}

func appendBox(out []byte, name string, body []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)+8))
	return append(append(out, name...), body...)
}

// walk calls f with the type, the whole and the body of each box in b, which share its bytes and capacity. It stops at what
// is no box of ours.
func walk(b []byte, f func(name string, whole, body []byte)) {
	for len(b) >= 8 {
		size := uint64(binary.BigEndian.Uint32(b))
		if size < 8 || size > uint64(len(b)) {
			return
		}
		f(string(b[4:8]), b[:size], b[8:size])
		b = b[size:]
	}
}
