package archive

import "encoding/binary"

// none stands for no section.
const none = ^uint32(0)

// table says where the blocks of a recording lie. Sections are numbered in the order they were put in. It finds a block
// by eight bytes of its digest: whoever finds one so compares the whole CID in the file.
type table struct {
	scratch *scratch
	pages   []*page // of places; all but the last one are full
	count   int
	names   names
	damaged map[uint32]struct{}
}

// place is a row of the table: where a block lies.
type place struct {
	digest digest
	where  uint64 // offset of the section << sizeBits | size of the block
}

const (
	placeWidth = 32 + 8
	sizeBits   = 21 // 2 MiB - 1; leaves 8 TiB for offsets
)

func placeOf(d digest, off int64, size int) place {
	return place{d, uint64(off)<<sizeBits | uint64(size)}
}

func (p place) off() int64 { return int64(p.where >> sizeBits) }
func (p place) size() int  { return int(p.where & (1<<sizeBits - 1)) }

func (p place) encode() (b [placeWidth]byte) {
	copy(b[:], p.digest[:])
	binary.LittleEndian.PutUint64(b[len(p.digest):], p.where)
	return b
}

func decodePlace(b []byte) (p place) {
	copy(p.digest[:], b)
	p.where = binary.LittleEndian.Uint64(b[len(p.digest):])
	return p
}

func prefixOf(d digest) uint64 { return binary.BigEndian.Uint64(d[:]) }

func newTable(s *scratch) *table {
	return &table{scratch: s, names: names{scratch: s, tail: map[uint64]uint32{}}, damaged: map[uint32]struct{}{}}
}

// find returns the number of the section with a digest, as far as its first bytes tell.
func (t *table) find(d digest) uint32 { return t.names.find(prefixOf(d)) }

// at returns the place of a section that there is. Where the scratch file cannot be read it is no section's.
func (t *table) at(n uint32) place {
	var b [placeWidth]byte
	if !t.scratch.row(t.pages[n/pageRows], int(n%pageRows), b[:]) {
		return place{}
	}
	return decodePlace(b[:])
}

// put notes where the block with a digest lies. A block that is known already keeps its number and gets the new place.
func (t *table) put(d digest, off int64, size int) uint32 {
	b := placeOf(d, off, size).encode()
	if n := t.find(d); n != none {
		t.scratch.setRow(t.pages[n/pageRows], int(n%pageRows), b[:])
		delete(t.damaged, n)
		return n
	}
	if t.count%pageRows == 0 {
		t.pages = append(t.pages, &page{rows: make([]byte, 0, pageRows*placeWidth)})
	}
	last := t.pages[len(t.pages)-1]
	last.rows = append(last.rows, b[:]...)
	last.count++
	n := uint32(t.count)
	t.count++
	if last.count == pageRows {
		t.scratch.save(last, last.rows, placeWidth)
	}
	t.names.put(prefixOf(d), n)
	return n
}

// each calls yield for all places, in the order of their numbers.
func (t *table) each(yield func(n uint32, p place)) {
	var buf []byte
	n := uint32(0)
	for _, p := range t.pages {
		rows := t.scratch.load(p, buf, placeWidth)
		if p.rows == nil {
			buf = rows
		}
		for ; len(rows) > 0; rows = rows[placeWidth:] {
			yield(n, decodePlace(rows))
			n++
		}
	}
}

// reader returns a function that does what at does, for numbers that mostly ascend.
func (t *table) reader() func(n uint32) place {
	var buf, rows []byte
	current := -1
	return func(n uint32) place {
		if i := int(n / pageRows); i != current {
			p := t.pages[i]
			rows = t.scratch.load(p, buf, placeWidth)
			if p.rows == nil {
				buf = rows
			}
			current = i
		}
		if i := int(n%pageRows) * placeWidth; i < len(rows) {
			return decodePlace(rows[i:])
		}
		return place{}
	}
}

// good reports whether a section is there and not known to be damaged.
func (t *table) good(n uint32) bool {
	if n == none {
		return false
	}
	_, bad := t.damaged[n]
	return !bad
}
