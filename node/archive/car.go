package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs/go-cid"
	car "github.com/ipld/go-car/v2"
)

// The file, as the CARv2 specification has it:
//
//	0    pragma            11 bytes
//	11   CARv2 header      40 bytes; zero until the file is sealed
//	51   CARv1 header      59 bytes: its length, {"roots": [CID], "version": 1}; the root is a placeholder until Finish
//	110  sections          each: length as varint, CID (36 bytes), block
//	...  index             MultihashIndexSorted, once sealed
//
// go-car's read-write blockstore is not used: it keeps every CID in a tree in memory (some 200 bytes a block), reads
// the whole file to resume, and refuses a file whose last section is torn.
const (
	payloadStart  = car.PragmaSize + car.HeaderSize
	rootStart     = payloadStart + 14 // where the root's 36 bytes stand
	sectionsStart = payloadStart + 59

	cidSize      = 4 + sha256.Size
	maxBlockSize = 2<<20 - 1 // of a section; bitswap's limit is 2 MiB
	maxVarint    = 4         // bytes of a section's length, in its shortest form
	maxHead      = maxVarint + cidSize
)

// codec is the second byte of a CID: what kind of block it is.
type codec byte

const (
	codecRaw  codec = 0x55 // chunks, init segments, files of one block
	codecPB   codec = 0x70 // UnixFS directories and files of several blocks
	codecCBOR codec = 0x71 // envelopes
)

// digest is the SHA2-256 that a CID ends with. It names the bytes; the codec only says how to read them.
type digest [sha256.Size]byte

// asDigest returns the digest of a CID of the kind that the store keeps: version 1, one of the three codecs, SHA2-256.
func asDigest(c cid.Cid) (d digest, k codec, ok bool) {
	s := c.KeyString()
	if len(s) != cidSize || s[0] != 1 || s[2] != 0x12 || s[3] != sha256.Size {
		return d, 0, false
	}
	k = codec(s[1])
	copy(d[:], s[4:])
	return d, k, k == codecRaw || k == codecPB || k == codecCBOR
}

// asCID is the inverse of asDigest.
func asCID(d digest, k codec) cid.Cid {
	var b [cidSize]byte
	b[0], b[1], b[2], b[3] = 1, byte(k), 0x12, sha256.Size
	copy(b[4:], d[:])
	c, err := cid.Cast(b[:])
	if err != nil {
		panic(err) // the bytes are ours
	}
	return c
}

// noRoot is the root of a recording that has no view yet.
var noRoot = asCID(digest{}, codecPB)

// fileHead returns the first 110 bytes of an unsealed file.
func fileHead(root cid.Cid) []byte {
	b := make([]byte, 0, sectionsStart)
	b = append(b, car.Pragma...)
	b = append(b, make([]byte, car.HeaderSize)...)
	b = append(b, 58, 0xa2, 0x65)
	b = append(b, "roots"...)
	b = append(b, 0x81, 0xd8, 42, 0x58, cidSize+1, 0)
	b = append(b, root.KeyString()...)
	b = append(b, 0x67)
	b = append(b, "version"...)
	return append(b, 1)
}

// headRoot returns the root that stands in the first bytes of a file.
func headRoot(head []byte) (cid.Cid, bool) {
	if len(head) < sectionsStart {
		return cid.Undef, false
	}
	c, err := cid.Cast(head[rootStart : rootStart+cidSize])
	if err != nil || c == noRoot {
		return cid.Undef, false
	}
	d, _, ok := asDigest(c)
	if !ok || !bytes.Equal(fileHead(c)[payloadStart:], head[payloadStart:sectionsStart]) {
		return cid.Undef, false
	}
	_ = d
	return c, true
}

// sealedEnd returns where the sections of a sealed file end, from its first bytes and its size; false for a file that
// is not sealed, or whose header makes no sense.
func sealedEnd(head []byte, size int64) (end int64, ok bool) {
	if len(head) < sectionsStart || !bytes.Equal(head[:car.PragmaSize], car.Pragma) {
		return 0, false
	}
	var h car.Header
	if _, err := h.ReadFrom(bytes.NewReader(head[car.PragmaSize:payloadStart])); err != nil {
		return 0, false
	}
	end = int64(h.DataOffset + h.DataSize)
	if h.DataOffset != payloadStart || end < sectionsStart || end > size || h.IndexOffset != uint64(end) {
		return 0, false
	}
	return end, true
}

// sealedHeader returns the CARv2 header of a file whose sections end at end.
func sealedHeader(end int64) []byte {
	h := car.NewHeader(uint64(end - payloadStart))
	h.Characteristics.SetFullyIndexed(true)
	var b bytes.Buffer
	h.WriteTo(&b) //nolint:errcheck // a buffer takes everything
	return b.Bytes()
}

// section is where a block lies.
type section struct {
	off    int64 // of its length
	head   int   // bytes before the block
	size   int   // bytes of the block
	codec  codec
	digest digest
}

func (s section) data() int64 { return s.off + int64(s.head) }
func (s section) end() int64  { return s.off + int64(s.head) + int64(s.size) }

// appendSection appends a block as a section.
func appendSection(b []byte, k codec, d digest, block []byte) []byte {
	b = binary.AppendUvarint(b, uint64(cidSize+len(block)))
	b = append(b, 1, byte(k), 0x12, sha256.Size)
	b = append(b, d[:]...)
	return append(b, block...)
}

// sectionSize returns how many bytes a block of size bytes takes in the file.
func sectionSize(size int) int64 {
	var b [binary.MaxVarintLen64]byte
	return int64(binary.PutUvarint(b[:], uint64(cidSize+size)) + cidSize + size)
}

var errFrame = errors.New("no section here")

// parseSection reads the head of the section at off from b, which holds the file's bytes from there on. It takes what
// the store writes and nothing else.
func parseSection(b []byte, off int64) (section, error) {
	if len(b) > maxHead {
		b = b[:maxHead]
	}
	length, n := binary.Uvarint(b)
	if n <= 0 || n > maxVarint || n > 1 && b[n-1] == 0 || length < cidSize || length > cidSize+maxBlockSize || len(b) < n+cidSize {
		return section{}, errFrame
	}
	c := b[n : n+cidSize]
	s := section{off: off, head: n + cidSize, size: int(length) - cidSize, codec: codec(c[1])}
	if c[0] != 1 || c[2] != 0x12 || c[3] != sha256.Size || s.codec != codecRaw && s.codec != codecPB && s.codec != codecCBOR {
		return section{}, errFrame
	}
	copy(s.digest[:], c[4:])
	return s, nil
}

// readSection reads the head of the section at off of a file whose sections end at end.
func readSection(f io.ReaderAt, off, end int64) (section, error) {
	var buf [maxHead]byte
	n, err := f.ReadAt(buf[:min(maxHead, max(end-off, 0))], off)
	if n == 0 && err != nil && !errors.Is(err, io.EOF) {
		return section{}, fmt.Errorf("read: %w", err)
	}
	s, err := parseSection(buf[:n], off)
	if err == nil && s.end() > end {
		return section{}, errFrame
	}
	return s, err
}

// readBlock reads the block of a section into b, which is as long, and reports whether its hash is right.
func (s section) readBlock(f io.ReaderAt, b []byte) (bool, error) {
	if n, err := f.ReadAt(b[:s.size], s.data()); n < s.size {
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, fmt.Errorf("read: %w", err)
	}
	return sha256.Sum256(b[:s.size]) == s.digest, nil
}
