package archive

import (
	"bufio"
	"encoding/binary"
	"io"
	"slices"
)

// names tells the number of a block by the first eight bytes of its digest. The newest are in memory, the others in the
// scratch file: in sorted runs, of which those of a level are merged when there are fanIn.
type names struct {
	scratch *scratch
	tail    map[uint64]uint32
	runs    []nameRun
	filter  *filter // of what is in the runs
}

// filter is a Bloom filter of one size, whatever is in it: it spares most of the looking for what is not there, which is
// nearly all that is asked while recording. Of 4 h of a track, two and a half in a hundred get through, of a day half.
type filter [filterWords]uint64

const filterWords = 1 << 14 // 128 KiB

// bits calls f for the three bits of a prefix, which is spread evenly by itself.
func (x *filter) bits(prefix uint64, f func(word *uint64, bit uint64) bool) bool {
	for range 3 {
		if !f(&x[prefix>>6%filterWords], 1<<(prefix%64)) {
			return false
		}
		prefix >>= 20
	}
	return true
}

func (x *filter) add(prefix uint64) {
	x.bits(prefix, func(word *uint64, bit uint64) bool {
		*word |= bit
		return true
	})
}

// may reports whether a prefix may have been added.
func (x *filter) may(prefix uint64) bool {
	return x.bits(prefix, func(word *uint64, bit uint64) bool { return *word&bit != 0 })
}

// nameRun is one sorted run of rows of runWidth bytes: eight bytes of a digest, a number.
type nameRun struct {
	rows
	level int
}

// tailNames is how many names are in memory before they become a run.
const tailNames = 2048

func (x *names) find(prefix uint64) uint32 {
	if n, ok := x.tail[prefix]; ok {
		return n
	}
	if x.filter == nil || !x.filter.may(prefix) {
		return none
	}
	var want [8]byte
	binary.BigEndian.PutUint64(want[:], prefix)
	for _, r := range slices.Backward(x.runs) {
		row, err := r.find(want[:])
		if err != nil {
			x.scratch.fail(err)
			return none
		}
		if row != nil {
			return binary.LittleEndian.Uint32(row[8:])
		}
	}
	return none
}

// put adds a name that is not there.
func (x *names) put(prefix uint64, n uint32) {
	x.tail[prefix] = n
	if len(x.tail)%tailNames == 0 && x.scratch.ready() {
		x.spill()
	}
}

// spill makes a run of what is in memory.
func (x *names) spill() {
	list := make([][runWidth]byte, 0, len(x.tail))
	for prefix, n := range x.tail {
		list = append(list, nameRow(prefix, n))
	}
	slices.SortFunc(list, func(a, b [runWidth]byte) int { return compareRows(a[:], b[:]) })
	i := 0
	r, err := x.write(0, func() ([runWidth]byte, bool) {
		if i == len(list) {
			return [runWidth]byte{}, false
		}
		i++
		return list[i-1], true
	})
	if err != nil {
		x.scratch.warn(err)
		return
	}
	x.runs = append(x.runs, r)
	if x.filter == nil {
		x.filter = &filter{}
	}
	for prefix := range x.tail {
		x.filter.add(prefix)
	}
	x.tail = make(map[uint64]uint32, tailNames)
	x.merge()
}

func nameRow(prefix uint64, n uint32) (row [runWidth]byte) {
	binary.BigEndian.PutUint64(row[:], prefix)
	binary.LittleEndian.PutUint32(row[8:], n)
	return row
}

// write appends a run to the scratch file.
func (x *names) write(level int, next func() ([runWidth]byte, bool)) (nameRun, error) {
	s := x.scratch
	w := bufio.NewWriterSize(io.NewOffsetWriter(s.f, s.end), 16<<10)
	count := int64(0)
	for row, ok := next(); ok; row, ok = next() {
		w.Write(row[:]) //nolint:errcheck // Flush tells
		count++
	}
	if err := w.Flush(); err != nil {
		return nameRun{}, err
	}
	r := nameRun{rows{f: s.f, start: s.end, count: count, width: runWidth, key: 8}, level}
	s.end += count * runWidth
	return r, nil
}

// merge merges the runs of a level while there are fanIn of one. They stand in the order of their levels, highest first.
func (x *names) merge() {
	for n := len(x.runs); n >= fanIn && x.runs[n-fanIn].level == x.runs[n-1].level; n = len(x.runs) {
		of := x.runs[n-fanIn:]
		var in merger
		for _, r := range of {
			in.add(r.rows, nil)
		}
		merged, err := x.write(of[0].level+1, in.next)
		if err == nil {
			err = in.err
		}
		if err != nil {
			x.scratch.warn(err)
			return
		}
		x.runs = append(x.runs[:n-fanIn], merged)
	}
}
