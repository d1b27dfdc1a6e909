package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// rows is a table of fixed-width rows in a file, ascending by a digest's first bytes.
type rows struct {
	f     io.ReaderAt
	start int64 // of the first row
	count int64
	width int // bytes of a row
	key   int // bytes that rows are ordered by, at their beginning; eight at least
}

// rowsPage is how many bytes are read at once.
const rowsPage = 2560

// lowerBound returns the first row whose key is not below want, or count. Digests are spread evenly, so that one or two
// reads find any of them in a table of any size.
func (x rows) lowerBound(want []byte) (int64, error) {
	lo, hi := int64(0), x.count // rows before lo are below want, those from hi on are not
	var below, above uint64 = 0, 1<<64 - 1
	var page [rowsPage]byte
	per := int64(rowsPage / x.width)
	at64 := binary.BigEndian.Uint64(want)
	for step := 0; lo < hi; step++ {
		at := lo
		if hi-lo > per {
			part := 0.5
			if step < 5 && above > below && at64 >= below && at64 <= above { // else uneven after all
				part = float64(at64-below) / float64(above-below)
			}
			at = min(max(lo+int64(part*float64(hi-lo))-per/2, lo), hi-per)
		}
		n := min(per, hi-at)
		b := page[:n*int64(x.width)]
		if _, err := x.f.ReadAt(b, x.start+at*int64(x.width)); err != nil {
			return 0, fmt.Errorf("read index: %w", err)
		}
		last := b[len(b)-x.width:]
		switch {
		case bytes.Compare(b[:x.key], want) >= 0:
			hi, above = at, binary.BigEndian.Uint64(b)
		case bytes.Compare(last[:x.key], want) < 0:
			lo, below = at+n, binary.BigEndian.Uint64(last)
		default:
			for i := int64(0); ; i++ {
				if bytes.Compare(b[i*int64(x.width):][:x.key], want) >= 0 {
					return at + i, nil
				}
			}
		}
	}
	return lo, nil
}

// row reads a row into b.
func (x rows) row(i int64, b []byte) error {
	if _, err := x.f.ReadAt(b[:x.width], x.start+i*int64(x.width)); err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	return nil
}

// find returns the row whose first key bytes are want; nil where there is none.
func (x rows) find(want []byte) ([]byte, error) {
	i, err := x.lowerBound(want)
	if err != nil || i == x.count {
		return nil, err
	}
	b := make([]byte, x.width)
	if err := x.row(i, b); err != nil || !bytes.Equal(b[:x.key], want) {
		return nil, err
	}
	return b, nil
}
