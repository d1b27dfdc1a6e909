package ingest

import (
	"encoding/binary"
	"fmt"
	"io"
)

// box is a box that was read whole: its type, its bytes with the header, and its payload.
type box struct {
	kind           string
	whole, payload []byte
}

// nextBox takes the first box off b.
func nextBox(b []byte) (first box, rest []byte, err error) {
	if len(b) < 8 {
		return box{}, nil, fmt.Errorf("%w: %d stray bytes in a box", ErrBadMP4, len(b))
	}
	size, header := uint64(binary.BigEndian.Uint32(b)), uint64(8)
	switch {
	case size == 0:
		size = uint64(len(b))
	case size == 1 && len(b) >= 16:
		size, header = binary.BigEndian.Uint64(b[8:]), 16
	}
	if size < header || size > uint64(len(b)) {
		return box{}, nil, fmt.Errorf("%w: box %q of %d bytes where %d are left", ErrBadMP4, b[4:8], size, len(b))
	}
	return box{string(b[4:8]), b[:size], b[header:size]}, b[size:], nil
}

// eachBox calls f for each box in b.
func eachBox(b []byte, f func(box) error) error {
	for len(b) >= 8 { // QuickTime ends lists with four zero bytes
		first, rest, err := nextBox(b)
		if err != nil {
			return err
		}
		if err := f(first); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// find returns the payload of the first box along a path, nil where there is none.
func find(b []byte, path ...string) []byte {
	for len(b) >= 8 {
		first, rest, err := nextBox(b)
		if err != nil {
			return nil
		}
		if first.kind == path[0] {
			if len(path) == 1 {
				return first.payload
			}
			return find(first.payload, path[1:]...)
		}
		b = rest
	}
	return nil
}

// boxPlace is a box at the top of a file.
type boxPlace struct {
	kind         string
	offset, size int64
	header       int64
	cut          bool // it reaches past the end of the file
}

// boxAt reads the header of the box at an offset. It returns io.EOF at the end of the file.
func boxAt(r io.ReaderAt, offset, fileSize int64) (boxPlace, error) {
	if offset+8 > fileSize {
		return boxPlace{}, io.EOF
	}
	var h [16]byte
	if _, err := r.ReadAt(h[:min(16, fileSize-offset)], offset); err != nil {
		return boxPlace{}, err
	}
	p := boxPlace{kind: string(h[4:8]), offset: offset, size: int64(binary.BigEndian.Uint32(h[:])), header: 8}
	switch p.size {
	case 0:
		p.size = fileSize - offset
	case 1:
		p.header = 16
		p.size = int64(min(binary.BigEndian.Uint64(h[8:]), 1<<62))
	}
	if p.size < p.header {
		return p, fmt.Errorf("%w: box %q of %d bytes", ErrBadMP4, p.kind, p.size)
	}
	if p.size > fileSize-offset {
		p.cut, p.size = true, fileSize-offset
	}
	return p, nil
}

// load reads a box's payload, of at most limit bytes.
func (p boxPlace) load(r io.ReaderAt, limit int64) ([]byte, error) {
	n := p.size - p.header
	if p.cut {
		return nil, fmt.Errorf("%w: in the middle of a box %q", ErrTruncated, p.kind)
	}
	if n > limit {
		return nil, fmt.Errorf("%w: box %q of %d bytes", ErrBadMP4, p.kind, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(r, p.offset+p.header, n), b); err != nil {
		return nil, err
	}
	return b, nil
}

// fields reads big-endian numbers off a payload. After it ran short, everything is zero and short is set.
type fields struct {
	b     []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if len(f.b) < n {
		f.b, f.short = nil, true
		return make([]byte, n)
	}
	out := f.b[:n]
	f.b = f.b[n:]
	return out
}

func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.take(8)) }

// wide reads a number that is 32 bits in version 0 of a box and 64 in version 1.
func (f *fields) wide(version byte) uint64 {
	if version == 0 {
		return uint64(f.u32())
	}
	return f.u64()
}

// full reads the version and flags of a full box.
func (f *fields) full() (version byte, flags uint32) {
	v := f.u32()
	return byte(v >> 24), v & 0xFFFFFF
}

// count reads the number of entries of the given size that follow, and checks that they do.
func (f *fields) count(size int) int {
	n := f.u32()
	if uint64(n)*uint64(size) > uint64(len(f.b)) {
		f.short = true
		return 0
	}
	return int(n)
}
