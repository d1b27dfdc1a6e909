package episub

import (
	"math/bits"
	"time"
)

// ID names a chunk within its track. It equals chunker/envelope's ID.
type ID struct {
	Epoch, Seq uint64
}

// Bounds of the protocol.
const (
	// MaxStripes is the largest number of stripes a track can be split into.
	MaxStripes = 16
	// MaxFragments is the largest number of fragments of one chunk: a block stays below 1 MiB and a fragment is 8 KiB.
	MaxFragments = 128
	// MaxNeighbours is how many neighbours a machine can hold.
	MaxNeighbours = 64
)

// EnvelopeIndex stands for the envelope where a fragment index is expected.
const EnvelopeIndex = -1

// Chunk is what a verified envelope says about a chunk, as far as dissemination is concerned.
type Chunk struct {
	ID           ID
	Fragments    int           // how many fragments the block has, 1 to MaxFragments
	FragmentSize int           // bytes of each fragment but the last
	Size         int           // bytes of the block
	EnvelopeSize int           // bytes of the encoded envelope
	Time         time.Duration // decode time on the track's timeline
	Duration     time.Duration // of the chunk
	Independent  bool          // starts with a random access point
}

// valid reports whether c can be carried.
func (c *Chunk) valid() bool {
	return c.Fragments > 0 && c.Fragments <= MaxFragments && c.Size > 0 && c.Duration > 0
}

// bytes returns the size of fragment i.
func (c *Chunk) bytes(i int) int {
	switch i {
	case EnvelopeIndex:
		return c.EnvelopeSize
	case c.Fragments - 1:
		return max(c.Size-i*c.FragmentSize, 1)
	default:
		return c.FragmentSize
	}
}

// bitset is a set of fragment indexes.
type bitset [MaxFragments / 64]uint64

func (b *bitset) has(i int) bool { return b[i>>6]&(1<<(i&63)) != 0 }
func (b *bitset) set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b *bitset) unset(i int)    { b[i>>6] &^= 1 << (i & 63) }
func (b *bitset) empty() bool    { return b[0]|b[1] == 0 }
func (b *bitset) count() int     { return bits.OnesCount64(b[0]) + bits.OnesCount64(b[1]) }

// first returns the lowest index at or after i, or -1.
func (b *bitset) first(i int) int {
	for w := i >> 6; w < len(b); w++ {
		x := b[w]
		if w == i>>6 {
			x &= ^uint64(0) << (i & 63)
		}
		if x != 0 {
			return w<<6 + bits.TrailingZeros64(x)
		}
	}
	return -1
}

// fill returns the set of 0 to n-1.
func fill(n int) bitset {
	switch {
	case n <= 0:
		return bitset{}
	case n < 64:
		return bitset{1<<n - 1}
	case n < 128:
		return bitset{^uint64(0), 1<<(n-64) - 1}
	}
	return bitset{^uint64(0), ^uint64(0)}
}

func (b bitset) minus(c bitset) bitset { return bitset{b[0] &^ c[0], b[1] &^ c[1]} }
func (b bitset) or(c bitset) bitset    { return bitset{b[0] | c[0], b[1] | c[1]} }
