package unixfs

import (
	"encoding/binary"
	"math"
	"math/bits"

	"murmuration/chunker"
)

// maxReferences is how many chunks a segment index has room for, by its 16-bit count: four and a half hours. A longer
// MP4 has none.
const maxReferences = math.MaxUint16

// index returns the segment indices of a movie (ISO 14496-12, 8.16.3), which stand between its init segment and its first
// chunk, one for each of its streams. By them a player of the plain file knows how long it is and where to seek to; without
// them, a browser reads from chunk to chunk to the end before it shows anything.
//
//	sidx, version 1, for each stream
//	├ reference_ID: 1 the lead stream, 2 the sound beside it (chunker/FORMAT.md, 3); the stream's timescale (ffmpeg takes it for that)
//	├ earliest_presentation_time: the first decode time, since that is what ffmpeg takes it for
//	├ first_offset: over the index that follows
//	└ for each chunk: bytes, duration up to the next, whether it is independent
//
// An entry that spans several fragments, or sound without an index, makes ffmpeg 5 lose its way after a seek.
func (l *layout) index(m movie, media chunker.Info) []byte {
	n := len(m.parts)
	if n > maxReferences {
		return nil
	}
	first, last := l.parts[m.parts[0]], l.parts[m.parts[n-1]]
	scales := []uint32{first.Timescale}
	if media.VideoCodec != "" && media.AudioCodec != "" && media.SampleRate > 0 {
		scales = append(scales, uint32(media.SampleRate))
	}
	size := 40 + 12*n
	b := make([]byte, 0, size*len(scales))
	for k, scale := range scales {
		at := func(t uint64) uint64 { return rescale(t, first.Timescale, scale) }
		b = binary.BigEndian.AppendUint32(b, uint32(size))
		b = append(b, "sidx\x01\x00\x00\x00"...)
		b = binary.BigEndian.AppendUint32(b, uint32(k+1))
		b = binary.BigEndian.AppendUint32(b, scale)
		b = binary.BigEndian.AppendUint64(b, at(first.DecodeTime))
		b = binary.BigEndian.AppendUint64(b, uint64(size*(len(scales)-1-k)))
		b = binary.BigEndian.AppendUint32(b, uint32(n))
		for j, i := range m.parts {
			p := l.parts[i]
			next := last.DecodeTime + uint64(last.Duration)
			if j+1 < n {
				next = l.parts[m.parts[j+1]].DecodeTime
			}
			next = max(next, p.DecodeTime)
			var access uint32
			if p.Independent {
				access = 1<<31 | 1<<28 // starts with a stream access point of type 1
			}
			b = binary.BigEndian.AppendUint32(b, uint32(p.Size))
			b = binary.BigEndian.AppendUint32(b, uint32(min(at(next)-at(p.DecodeTime), math.MaxUint32)))
			b = binary.BigEndian.AppendUint32(b, access)
		}
	}
	return b
}

// rescale converts t units of 1/from seconds to units of 1/to, rounded down.
func rescale(t uint64, from, to uint32) uint64 {
	hi, lo := bits.Mul64(t, uint64(to))
	if hi >= uint64(from) {
		return math.MaxUint64
	}
	q, _ := bits.Div64(hi, lo, uint64(from))
	return q
}
