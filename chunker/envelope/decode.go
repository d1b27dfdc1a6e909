package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/ipfs/go-cid"
)

var (
	// ErrFormat is wrapped by what Decode returns for bytes that are not a canonical envelope within the bounds.
	ErrFormat = errors.New("malformed envelope")
	// ErrVersion is returned by Decode for an envelope of a version that this program does not know.
	ErrVersion = errors.New("unknown envelope version")
)

// Decode reads an encoded envelope. It takes the one canonical encoding only, so that Encode gives the same bytes
// back and one envelope has one CID. It checks all bounds and that the fields agree, but not the signature.
func Decode(raw []byte) (*Envelope, error) {
	if len(raw) > MaxEncoded {
		return nil, fmt.Errorf("%w: %d bytes, over the limit of %d", ErrFormat, len(raw), MaxEncoded)
	}
	r := reader{b: raw}
	n := r.expect("envelope", majorList, MaxInteger)
	v := r.uint("version", MaxInteger)
	if r.err == nil && v != versionPlain && v != versionSealed {
		return nil, fmt.Errorf("%w %d", ErrVersion, v)
	}
	sealed := v == versionSealed
	want := uint64(elements)
	if sealed {
		want++
	}
	if r.err == nil && n != want {
		r.fail("%d elements instead of %d", n, want)
	}
	e := new(Envelope)
	e.read(&r, sealed)
	if r.err == nil && len(r.b) != 0 {
		r.fail("%d bytes after the end", len(r.b))
	}
	if r.err != nil {
		return nil, r.err
	}
	return e, nil
}

// read reads the fields after the version.
func (e *Envelope) read(r *reader, sealed bool) {
	copy(e.Channel[:], r.fixed("channel", len(e.Channel)))
	e.Broadcast = r.name("broadcast")
	e.Track = r.name("track")
	e.Epoch = r.uint("epoch", MaxInteger)
	e.Seq = r.uint("seq", MaxInteger)
	e.Timescale = uint32(r.uint("timescale", math.MaxUint32))
	e.DecodeTime = r.uint("decode time", MaxInteger)
	e.Duration = uint32(r.uint("duration", math.MaxUint32))
	e.PartTarget = uint32(r.uint("part target", math.MaxUint32))
	e.Captured = time.UnixMicro(int64(r.uint("captured", MaxInteger))).UTC()
	e.Flags = Flags(r.uint("flags", math.MaxUint32))
	if !e.Flags.Has(End) || !r.null() {
		e.Init = r.link("init", prefixRaw)
	}
	e.Block = r.link("block", prefixRaw)
	e.BlockSize = uint32(r.uint("block size", MaxBlock-1))
	e.FragmentSize = uint32(r.uint("fragment size", MaxBlock))
	hashes := r.bytes("fragments", MaxEncoded)
	if r.err != nil {
		return
	}
	if err := e.check(len(hashes)); err != nil {
		r.fail("%v", err)
		return
	}
	if len(hashes) > 0 {
		e.Fragments = make([][HashSize]byte, len(hashes)/HashSize)
		for i := range e.Fragments {
			copy(e.Fragments[i][:], hashes[i*HashSize:])
		}
	}
	links := min(MaxPrevious, bits.Len64(e.Seq)) // how many powers of two are at most Seq
	if n := r.expect("previous", majorList, uint64(links)); n > 0 {
		e.Previous = make([]cid.Cid, n)
		for i := range e.Previous {
			e.Previous[i] = r.link("previous", prefixCBOR)
		}
	}
	if sealed {
		e.readKey(r)
	}
	e.readExtensions(r)
	copy(e.Signature[:], r.fixed("signature", len(e.Signature)))
}

// readKey reads the key that a sealed chunk names.
func (e *Envelope) readKey(r *reader) {
	if n := r.expect("key", majorList, 2); r.err == nil && n != 2 {
		r.fail("a key of %d elements", n)
	}
	e.Key = Key{Scheme: uint8(r.uint("scheme", maxScheme)), Number: r.uint("key number", MaxInteger)}
	if r.err == nil && !e.Key.Sealed() {
		r.fail("a sealed chunk of scheme 0")
	}
}

func (e *Envelope) readExtensions(r *reader) {
	n := r.expect("extensions", majorMap, MaxExtensions)
	if n == 0 {
		return
	}
	e.Extensions = make([]Extension, n)
	var last []byte
	for i := range e.Extensions {
		key := r.take(r.expect("extension", majorText, MaxName))
		if r.err == nil && (checkName(key) != nil || i > 0 && !keyLess(last, key)) {
			r.fail("extension keys out of order or not names")
		}
		last = key
		start := r.b
		r.skip(0)
		if r.err != nil {
			return
		}
		e.Extensions[i] = Extension{Key: string(key), Value: bytes.Clone(start[:len(start)-len(r.b)])}
	}
}

// check holds the fields against each other, before anything is allocated for the fragments' hashes.
func (e *Envelope) check(hashBytes int) error {
	if e.Timescale == 0 || e.PartTarget == 0 {
		return errors.New("timescale or part target is zero")
	}
	if e.Duration > e.PartTarget {
		return fmt.Errorf("duration %d is over the part target %d", e.Duration, e.PartTarget)
	}
	if end := e.Flags.Has(End); end != (e.BlockSize == 0) || end != (e.Duration == 0) {
		return errors.New("an end mark has no block and no duration, all else has both")
	}
	if e.FragmentSize < MinFragment {
		return fmt.Errorf("fragment size %d is under %d", e.FragmentSize, MinFragment)
	}
	if want := HashSize * e.fragmentCount(); hashBytes != want {
		return fmt.Errorf("%d bytes of fragment hashes instead of %d", hashBytes, want)
	}
	return nil
}

// name reads a broadcast id or a track name.
func (r *reader) name(what string) string {
	v := r.take(r.expect(what, majorText, MaxName))
	if r.err != nil {
		return ""
	}
	if err := checkName(v); err != nil {
		r.fail("%s: %v", what, err)
		return ""
	}
	if string(v) == mainTrack {
		return mainTrack // by far the most frequent, not worth an allocation
	}
	return string(v)
}

const mainTrack = "main"
