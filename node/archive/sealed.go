package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"

	"github.com/multiformats/go-multicodec"
	"github.com/multiformats/go-multihash"
)

// The index of a sealed file, as go-car's MultihashIndexSorted is marshalled:
//
//	codec          varint, 0x0401: two bytes
//	hash functions int32, 1
//	  function     uint64, 0x12
//	  widths       int32, 1
//	    width      uint32, 40
//	    bytes      uint64
//	    entries    digest (32), offset from the CARv1 header on (uint64), ascending by digest
const (
	indexHead  = 2 + 4 + 8 + 4 + 4 + 8
	indexWidth = 40
)

// sealedIndex finds blocks in the index of a sealed file without reading it whole.
type sealedIndex struct{ rows }

func indexHeader(count int) []byte {
	b := binary.AppendUvarint(nil, uint64(multicodec.CarMultihashIndexSorted))
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint64(b, multihash.SHA2_256)
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, indexWidth)
	return binary.LittleEndian.AppendUint64(b, uint64(count)*indexWidth)
}

// openIndex reads the head of the index at off of a file; false where none is there that this store wrote whole.
func openIndex(f io.ReaderAt, off, size int64) (*sealedIndex, bool) {
	count := (size - off - indexHead) / indexWidth
	if count < 0 || off+indexHead+count*indexWidth != size {
		return nil, false
	}
	head := make([]byte, indexHead)
	if _, err := f.ReadAt(head, off); err != nil || !bytes.Equal(head, indexHeader(int(count))) {
		return nil, false
	}
	return &sealedIndex{rows{f: f, start: off + indexHead, count: count, width: indexWidth, key: len(digest{})}}, true
}

// find returns the offset in the file of the section with a digest.
func (x *sealedIndex) find(d digest) (off int64, ok bool, err error) {
	b, err := x.rows.find(d[:])
	if err != nil || b == nil {
		return 0, false, err
	}
	return payloadStart + int64(binary.LittleEndian.Uint64(b[len(d):])), true, nil
}

// writeIndex writes an index of entries, ascending by digest, at off and returns where it ends.
func writeIndex(f file, off int64, entries []indexEntry) (end int64, err error) {
	w := bufio.NewWriterSize(io.NewOffsetWriter(f, off), 256<<10)
	w.Write(indexHeader(len(entries))) //nolint:errcheck // Flush tells
	var b [indexWidth]byte
	for _, e := range entries {
		copy(b[:], e.digest[:])
		binary.LittleEndian.PutUint64(b[len(e.digest):], uint64(e.off-payloadStart))
		w.Write(b[:]) //nolint:errcheck // Flush tells
	}
	if err := w.Flush(); err != nil {
		return off, err
	}
	return off + indexHead + int64(len(entries))*indexWidth, nil
}

type indexEntry struct {
	digest digest
	off    int64
}
