package envelope

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/ipfs/go-cid"
)

// CBOR major types (RFC 8949, section 3.1).
const (
	majorUint   = 0
	majorNegInt = 1
	majorBytes  = 2
	majorText   = 3
	majorList   = 4
	majorMap    = 5
	majorTag    = 6
	majorSimple = 7
)

const (
	tagCID    = 42   // the one tag of dag-cbor
	cborFalse = 0xf4 // simple values
	cborTrue  = 0xf5
	cborNull  = 0xf6
	cborFloat = 0xfb // dag-cbor knows 64-bit floats only

	maxDepth = 8 // of nesting in an extension's value
)

// appendHead appends the head of an item: major type and argument, in the shortest form.
func appendHead(b []byte, major byte, arg uint64) []byte {
	major <<= 5
	switch {
	case arg < 24:
		return append(b, major|byte(arg))
	case arg <= math.MaxUint8:
		return append(b, major|24, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(arg))
	default:
		return binary.BigEndian.AppendUint64(append(b, major|27), arg)
	}
}

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, majorText, uint64(len(s))), s...)
}

func appendBytes(b, v []byte) []byte {
	return append(appendHead(b, majorBytes, uint64(len(v))), v...)
}

// appendCID appends a link: tag 42 over a byte string of a zero byte and the binary CID; null where undefined.
func appendCID(b []byte, c cid.Cid) []byte {
	if !c.Defined() {
		return append(b, cborNull)
	}
	s := c.KeyString()
	b = appendHead(b, majorTag, tagCID)
	b = appendHead(b, majorBytes, uint64(1+len(s)))
	b = append(b, 0)
	return append(b, s...)
}

// reader walks over canonical dag-cbor. The first error sticks; what is read after it is zero.
// It allocates nothing: what it returns are slices of its input, so no length can claim more than is there.
type reader struct {
	b   []byte // what is left
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
	}
	r.b = nil
}

// head reads the head of an item other than a simple value.
func (r *reader) head() (major byte, arg uint64) {
	if len(r.b) == 0 {
		r.fail("ends early")
		return 0, 0
	}
	first := r.b[0]
	r.b = r.b[1:]
	major, info := first>>5, first&31
	if info < 24 {
		return major, uint64(info)
	}
	if info > 27 {
		r.fail("indefinite length or reserved head %#x", first)
		return 0, 0
	}
	size := 1 << (info - 24)
	if len(r.b) < size {
		r.fail("ends early")
		return 0, 0
	}
	for _, c := range r.b[:size] {
		arg = arg<<8 | uint64(c)
	}
	r.b = r.b[size:]
	if smallest := [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24]; arg < smallest {
		r.fail("integer not in its shortest form")
		return 0, 0
	}
	return major, arg
}

// take reads n bytes.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail("ends early")
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// expect reads a head of the given major type, its argument at most limit.
func (r *reader) expect(what string, major byte, limit uint64) uint64 {
	m, arg := r.head()
	if r.err != nil {
		return 0
	}
	if m != major {
		r.fail("%s: major type %d instead of %d", what, m, major)
		return 0
	}
	if arg > limit {
		r.fail("%s: %d is over the limit of %d", what, arg, limit)
		return 0
	}
	return arg
}

func (r *reader) uint(what string, limit uint64) uint64 { return r.expect(what, majorUint, limit) }

func (r *reader) bytes(what string, limit uint64) []byte {
	return r.take(r.expect(what, majorBytes, limit))
}

func (r *reader) fixed(what string, size int) []byte {
	v := r.bytes(what, uint64(size))
	if r.err == nil && len(v) != size {
		r.fail("%s: %d bytes instead of %d", what, len(v), size)
		return nil
	}
	return v
}

// link reads a CID whose first bytes are as given (version, codec, hash, length of the digest).
func (r *reader) link(what string, prefix [4]byte) cid.Cid {
	if tag := r.expect(what, majorTag, tagCID); r.err == nil && tag != tagCID {
		r.fail("%s: tag %d", what, tag)
	}
	v := r.fixed(what, 1+len(prefix)+32)
	if r.err != nil {
		return cid.Undef
	}
	if v[0] != 0 || !bytes.Equal(v[1:5], prefix[:]) {
		r.fail("%s: not a CID of the kind that stands here", what)
		return cid.Undef
	}
	c, err := cid.Cast(v[1:])
	if err != nil {
		r.fail("%s: %v", what, err)
		return cid.Undef
	}
	return c
}

// null reads a null where one stands.
func (r *reader) null() bool {
	if len(r.b) > 0 && r.b[0] == cborNull {
		r.b = r.b[1:]
		return true
	}
	return false
}

// skip reads one canonical item of any kind.
func (r *reader) skip(depth int) {
	if depth > maxDepth {
		r.fail("nested too deep")
		return
	}
	if len(r.b) == 0 {
		r.fail("ends early")
		return
	}
	if r.b[0]>>5 == majorSimple {
		r.skipSimple()
		return
	}
	major, arg := r.head()
	if r.err != nil {
		return
	}
	switch major {
	case majorUint, majorNegInt:
		if arg > MaxInteger {
			r.fail("integer over the limit")
		}
	case majorBytes:
		r.take(arg)
	case majorText:
		if v := r.take(arg); !utf8.Valid(v) {
			r.fail("text is not UTF-8")
		}
	case majorList:
		for ; arg > 0 && r.err == nil; arg-- {
			r.skip(depth + 1)
		}
	case majorMap:
		var last []byte
		for i := uint64(0); i < arg && r.err == nil; i++ {
			key := r.take(r.expect("map key", majorText, MaxEncoded))
			if r.err != nil {
				return
			}
			if !utf8.Valid(key) || i > 0 && !keyLess(last, key) {
				r.fail("map keys out of order")
				return
			}
			last = key
			r.skip(depth + 1)
		}
	case majorTag:
		if arg != tagCID {
			r.fail("tag %d", arg)
			return
		}
		v := r.bytes("link", 1+128)
		if r.err != nil {
			return
		}
		if len(v) < 2 || v[0] != 0 {
			r.fail("link without its leading zero")
			return
		}
		if _, err := cid.Cast(v[1:]); err != nil {
			r.fail("link: %v", err)
		}
	}
}

func (r *reader) skipSimple() {
	switch first := r.b[0]; first {
	case cborFalse, cborTrue, cborNull:
		r.b = r.b[1:]
	case cborFloat:
		r.b = r.b[1:]
		v := r.take(8)
		if r.err != nil {
			return
		}
		if f := math.Float64frombits(binary.BigEndian.Uint64(v)); math.IsNaN(f) || math.IsInf(f, 0) {
			r.fail("float is not a number")
		}
	default:
		r.fail("simple value %#x", first)
	}
}

// keyLess is the order of map keys in dag-cbor: shorter first, then bytewise.
func keyLess(a, b []byte) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return bytes.Compare(a, b) < 0
}
