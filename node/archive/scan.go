package archive

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
)

// tailSize is how far back from the end of a file bytes may be other than what was written, after a power cut: syncBytes
// and one chunk of the largest size.
const (
	syncBytes = 32 << 20
	tailSize  = syncBytes + 2<<20
)

// scan walks over the sections of a file from off to end and calls visit for each, with the block's bytes for those
// that it had to read: envelopes, and all from verifyFrom on. The bytes are valid until visit returns. Sections whose hash
// was looked at and differs are passed over. It returns where the last good section ends, and how many bytes before that
// are in no good section.
func scan(f io.ReaderAt, off, end, verifyFrom int64, visit func(s section, block []byte) error) (good, damaged int64, err error) {
	buf := make([]byte, 0, 128<<10)
	good = off
	for off < end {
		s, err := readSection(f, off, end)
		switch {
		case errors.Is(err, errFrame):
			next, err := resync(f, off+1, end)
			if err != nil {
				return good, damaged, err
			}
			off = next
			continue
		case err != nil:
			return good, damaged, err
		}
		var block []byte
		if s.codec == codecCBOR || s.off >= verifyFrom {
			if cap(buf) < s.size {
				buf = make([]byte, 0, maxBlockSize)
			}
			block = buf[:s.size]
			right, err := s.readBlock(f, block)
			if err != nil {
				return good, damaged, err
			}
			if !right { // either its bytes or its length is damaged: whatever follows must prove itself
				next := s.end()
				if !plausible(f, next, end) {
					if next, err = resync(f, off+1, end); err != nil {
						return good, damaged, err
					}
				}
				off = next
				continue
			}
		} else if !plausible(f, s.end(), end) {
			// The length leads nowhere. The block is taken if its hash is right, which makes the length right, too.
			if cap(buf) < s.size {
				buf = make([]byte, 0, maxBlockSize)
			}
			right, err := s.readBlock(f, buf[:s.size])
			if err != nil {
				return good, damaged, err
			}
			if !right {
				if off, err = resync(f, off+1, end); err != nil {
					return good, damaged, err
				}
				continue
			}
			block = buf[:s.size]
		}
		if err := visit(s, block); err != nil {
			return good, damaged, err
		}
		damaged += s.off - good
		good = s.end()
		off = good
	}
	return good, damaged, nil
}

// plausible reports whether a section, or the end, is at off.
func plausible(f io.ReaderAt, off, end int64) bool {
	if off == end {
		return true
	}
	_, err := readSection(f, off, end)
	return err == nil
}

// resync looks from off on for the next section whose hash is right, and returns end where there is none.
func resync(f io.ReaderAt, off, end int64) (int64, error) {
	const step = 256 << 10
	buf := make([]byte, step+maxHead)
	var block []byte
	for ; off < end; off += step {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), end-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return end, err
		}
		if n == 0 {
			return end, nil
		}
		for i := 0; i < min(n, step); {
			// A CID's head stands one to four bytes after the beginning of its section.
			j := bytes.IndexByte(buf[i:n], 1)
			if j < 0 {
				break
			}
			i += j
			for back := 1; back <= maxVarint && back <= i; back++ {
				s, err := parseSection(buf[i-back:n], off+int64(i-back))
				if err != nil || s.head != back+cidSize || s.end() > end {
					continue
				}
				if block == nil {
					block = make([]byte, maxBlockSize)
				}
				right, err := s.readBlock(f, block)
				if err != nil {
					return end, err
				}
				if right {
					return s.off, nil
				}
			}
			i++
		}
		if off+step < end {
			off -= maxHead // so that a head across the border is seen whole
		}
	}
	return end, nil
}

func sha(b []byte) digest { return sha256.Sum256(b) }
