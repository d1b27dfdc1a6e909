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
	var s section
	budget := int64(guessBytes)
	ahead := false // s is the section at off already
	for off < end {
		if !ahead {
			if s, err = readSection(f, off, end); errors.Is(err, errFrame) {
				off, err = resync(f, off+1, end, &budget)
			} else if err == nil {
				ahead = true
			}
			if err != nil {
				return good, damaged, err
			}
			continue
		}
		var next section
		goesOn := s.end() == end
		if !goesOn {
			next, err = readSection(f, s.end(), end)
			if goesOn = err == nil; err != nil && !errors.Is(err, errFrame) {
				return good, damaged, err
			}
		}
		var block []byte
		// A length that leads nowhere may be damaged itself: the hash tells.
		if s.codec == codecCBOR || s.off >= verifyFrom || !goesOn {
			if cap(buf) < s.size {
				buf = make([]byte, 0, maxBlockSize)
			}
			block = buf[:s.size]
			right, err := s.readBlock(f, block)
			if err != nil {
				return good, damaged, err
			}
			if !right {
				if ahead, off = goesOn && s.end() < end, s.end(); !goesOn {
					if off, err = resync(f, s.off+1, end, &budget); err != nil {
						return good, damaged, err
					}
				}
				s = next
				continue
			}
		}
		if err := visit(s, block); err != nil {
			return good, damaged, err
		}
		damaged += s.off - good
		good = s.end()
		off, s, ahead = good, next, goesOn && good < end
	}
	return good, damaged, nil
}

// guessBytes is how much a scan hashes for sections that seem to begin somewhere and after which nothing seems to begin:
// blocks can be made that are full of such places.
const guessBytes = 256 << 20

// resync looks from off on for the next section whose hash is right, and returns end where there is none.
func resync(f io.ReaderAt, off, end int64, budget *int64) (int64, error) {
	const step = 64 << 10
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
				if !plausible(f, s.end(), end) {
					if *budget -= int64(s.size); *budget < 0 {
						continue
					}
				}
				if cap(block) < s.size {
					block = make([]byte, max(s.size, 128<<10))
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

// plausible reports whether the head of a section, or the end, is at off.
func plausible(f io.ReaderAt, off, end int64) bool {
	if off == end {
		return true
	}
	_, err := readSection(f, off, end)
	return err == nil
}

func sha(b []byte) digest { return sha256.Sum256(b) }
