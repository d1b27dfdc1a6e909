package archive

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
)

const (
	fanIn    = 8     // runs of a level are merged when there are so many
	runWidth = 8 + 4 // of a row: eight bytes of a digest, a number
	runRead  = 64 << 10
)

func compareRows(a, b []byte) int { return bytes.Compare(a[:8], b[:8]) }

// merger makes one ascending sequence of the rows of several runs.
type merger struct {
	in  cursors
	err error
}

// add takes a run into what is merged, before the first call of next. A row's number n becomes to[n], and the row is left
// out where that is none; without to, all stay as they are.
func (m *merger) add(x rows, to []uint32) {
	cur := &cursor{
		rd: bufio.NewReaderSize(io.NewSectionReader(x.f, x.start, x.count*runWidth), int(min(runRead, x.count*runWidth+1))), to: to,
	}
	if cur.advance() {
		heap.Push(&m.in, cur)
	}
	m.err = errors.Join(m.err, cur.err)
}

// next returns the next row; false after the last, and where err is not nil.
func (m *merger) next() (row [runWidth]byte, ok bool) {
	if len(m.in) == 0 || m.err != nil {
		return row, false
	}
	row = m.in[0].row
	if m.in[0].advance() {
		heap.Fix(&m.in, 0)
	} else {
		m.err = m.in[0].err
		heap.Pop(&m.in)
	}
	return row, true
}

// cursor reads the rows of one run that are still of use.
type cursor struct {
	rd  *bufio.Reader
	to  []uint32 // numbers in the new run; nil: the same
	row [runWidth]byte
	err error
}

func (c *cursor) advance() bool {
	for {
		if _, err := io.ReadFull(c.rd, c.row[:]); err != nil {
			if !errors.Is(err, io.EOF) {
				c.err = err
			}
			return false
		}
		if c.to == nil {
			return true
		}
		if n := binary.LittleEndian.Uint32(c.row[8:]); int(n) < len(c.to) && c.to[n] != none {
			binary.LittleEndian.PutUint32(c.row[8:], c.to[n])
			return true
		}
	}
}

type cursors []*cursor

func (c cursors) Len() int           { return len(c) }
func (c cursors) Less(i, j int) bool { return compareRows(c[i].row[:], c[j].row[:]) < 0 }
func (c cursors) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }

// Push implements heap.Interface.
func (c *cursors) Push(x any) { *c = append(*c, x.(*cursor)) }

// Pop implements heap.Interface.
func (c *cursors) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}
