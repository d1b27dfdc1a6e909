package envelope

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"
)

var (
	// ErrBlock is wrapped by what CheckBlock returns for bytes that are not the envelope's block.
	ErrBlock = errors.New("not the block of this envelope")
	// ErrFragment is wrapped by what CheckFragment returns for bytes that are not that fragment.
	ErrFragment = errors.New("not the fragment of this envelope")
	// ErrInit is wrapped by what CheckInit returns for bytes that are not the envelope's init segment.
	ErrInit = errors.New("not the init segment of this envelope")
)

// The first bytes of the two kinds of CID: version 1, codec, SHA2-256, 32 bytes of digest.
var (
	prefixRaw  = [4]byte{1, 0x55, 0x12, 32}
	prefixCBOR = [4]byte{1, 0x71, 0x12, 32}
)

func sum(prefix [4]byte, b []byte) cid.Cid {
	var buf [4 + sha256.Size]byte
	copy(buf[:], prefix[:])
	digest := sha256.Sum256(b)
	copy(buf[4:], digest[:])
	c, err := cid.Cast(buf[:])
	if err != nil {
		panic(err) // the bytes are ours
	}
	return c
}

// RawCID returns the CID of a block or an init segment: version 1, raw, SHA2-256.
func RawCID(block []byte) cid.Cid { return sum(prefixRaw, block) }

func fragmentHash(b []byte) (h [HashSize]byte) {
	digest := sha256.Sum256(b)
	copy(h[:], digest[:])
	return h
}

// FragmentSize returns the fragment size in bytes to cut a block of size bytes with so that it spreads well: about 16
// fragments, the stripes of a track (mesh/PROTOCOL.md), or a small multiple of that; none over DefaultFragment; and each, with
// what surrounds it, filling whole packets. A fragment that needs a few bytes of a further packet is lost a third more often
// than one of three packets.
func FragmentSize(size int) int {
	const (
		stripes = 16
		most    = MaxBlock / DefaultFragment // fragments that the mesh carries
		packet  = 1390                       // what a QUIC packet of 1441 bytes, as most paths carry, has room for
		around  = 55                         // of a fragment: topic, group, header, protobuf tags
		up      = packet / 3                 // from two thirds of a packet on it is rounded up: few fragments more, few stripes idle
	)
	each := max((size+stripes*DefaultFragment-1)/(stripes*DefaultFragment), 1) // fragments a stripe
	even := (size + each*stripes - 1) / (each * stripes)
	packets := min((even+around+up)/packet, (DefaultFragment+around)/packet)
	return max(packets*packet-around, (size+most-1)/most, MinFragment)
}

// SetBlock fills Block, BlockSize, FragmentSize and Fragments from a block. A fragmentSize of zero means
// DefaultFragment.
func (e *Envelope) SetBlock(block []byte, fragmentSize int) {
	if fragmentSize == 0 {
		fragmentSize = DefaultFragment
	}
	e.Block = RawCID(block)
	e.BlockSize = uint32(len(block))
	e.FragmentSize = uint32(fragmentSize)
	e.Fragments = make([][HashSize]byte, 0, e.fragmentCount())
	for i := range cap(e.Fragments) {
		lo, hi := e.FragmentRange(i)
		e.Fragments = append(e.Fragments, fragmentHash(block[lo:hi]))
	}
}

// fragmentCount is how many fragments a block of BlockSize has.
func (e *Envelope) fragmentCount() int {
	if e.FragmentSize == 0 {
		return 0
	}
	return int((uint64(e.BlockSize) + uint64(e.FragmentSize) - 1) / uint64(e.FragmentSize))
}

// FragmentRange returns where fragment i lies in the block: block[lo:hi]. Outside of the fragments it is empty.
func (e *Envelope) FragmentRange(i int) (lo, hi int) {
	if i < 0 || i >= e.fragmentCount() {
		return 0, 0
	}
	lo = i * int(e.FragmentSize)
	return lo, min(lo+int(e.FragmentSize), int(e.BlockSize))
}

// CheckBlock checks that block is the whole block of the envelope: its size and its CID.
func (e *Envelope) CheckBlock(block []byte) error {
	if len(block) != int(e.BlockSize) {
		return fmt.Errorf("%w: %d bytes instead of %d", ErrBlock, len(block), e.BlockSize)
	}
	if RawCID(block) != e.Block {
		return fmt.Errorf("%w: its hash differs", ErrBlock)
	}
	return nil
}

// CheckFragment checks that b is fragment i of the block: its size and its hash.
func (e *Envelope) CheckFragment(i int, b []byte) error {
	if i < 0 || i >= len(e.Fragments) {
		return fmt.Errorf("%w: no fragment %d of %d", ErrFragment, i, len(e.Fragments))
	}
	if lo, hi := e.FragmentRange(i); len(b) != hi-lo {
		return fmt.Errorf("%w: fragment %d has %d bytes instead of %d", ErrFragment, i, len(b), hi-lo)
	}
	if fragmentHash(b) != e.Fragments[i] {
		return fmt.Errorf("%w: the hash of fragment %d differs", ErrFragment, i)
	}
	return nil
}

// CheckInit checks that init is the init segment that the chunk needs.
func (e *Envelope) CheckInit(init []byte) error {
	if len(init) > MaxInit {
		return fmt.Errorf("%w: %d bytes, over the limit of %d", ErrInit, len(init), MaxInit)
	}
	if !e.Init.Defined() || RawCID(init) != e.Init {
		return fmt.Errorf("%w: its hash differs", ErrInit)
	}
	return nil
}
