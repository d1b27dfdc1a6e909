package shim

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"sync"

	"murmuration/playlist"
)

// zipper gzips one playlist again and again. Of a list of hours all but the end stays as it was: it is compressed once.
//
//	gzip header | head and body: blocks of deflate up to a byte boundary | tail: the last blocks | CRC-32, length
//	            └ kept, and added to                                     └ made anew
type zipper struct {
	head []byte
	body int // bytes of it that are in kept
	from []byte
	w    *flate.Writer
	kept bytes.Buffer
	sum  uint32
}

var gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255} // no name, no time, fastest (RFC 1952)

// zip returns the text, gzipped, in pieces that are not changed any more.
func (z *zipper) zip(t playlist.Text) [][]byte {
	if z.w == nil || !bytes.Equal(z.head, t.Head) || !z.grown(t.Body) {
		*z = zipper{head: t.Head}
		z.kept.Write(gzipHeader)
		z.w, _ = flate.NewWriter(&z.kept, flate.BestSpeed) // a level that exists
		z.add(t.Head)
	}
	if more := t.Body[z.body:]; len(more) > 0 {
		z.add(more)
		z.body, z.from = len(t.Body), t.Body
	}
	kept := z.kept.Bytes()
	var tail bytes.Buffer
	w := flaters.Get().(*flate.Writer)
	w.Reset(&tail)
	_, _ = w.Write(t.Tail) // a Buffer takes everything
	_ = w.Close()
	flaters.Put(w)
	sum := crc32.Update(z.sum, crc32.IEEETable, t.Tail)
	end := binary.LittleEndian.AppendUint32(tail.Bytes(), sum)
	end = binary.LittleEndian.AppendUint32(end, uint32(len(t.Head)+len(t.Body)+len(t.Tail)))
	return [][]byte{kept[:len(kept):len(kept)], end}
}

// zipOnce gzips a text of which nothing will be used again.
func zipOnce(t playlist.Text) [][]byte {
	var b bytes.Buffer
	z := gzippers.Get().(*gzip.Writer)
	z.Reset(&b)
	for _, piece := range [][]byte{t.Head, t.Body, t.Tail} {
		_, _ = z.Write(piece)
	}
	_ = z.Close()
	gzippers.Put(z)
	return [][]byte{b.Bytes()}
}

// A level that exists is no error.
var (
	flaters  = sync.Pool{New: func() any { w, _ := flate.NewWriter(nil, flate.BestSpeed); return w }}
	gzippers = sync.Pool{New: func() any { w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return w }}
)

// grown reports whether the body is the one before with more behind it.
func (z *zipper) grown(body []byte) bool {
	return len(body) >= z.body && (z.body == 0 || &body[0] == &z.from[0] || bytes.Equal(body[:z.body], z.from))
}

func (z *zipper) add(b []byte) {
	_, _ = z.w.Write(b)
	_ = z.w.Flush() // to a byte boundary
	z.sum = crc32.Update(z.sum, crc32.IEEETable, b)
}
