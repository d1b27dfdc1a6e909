package archive

import "encoding/binary"

// none stands for no section.
const none = ^uint32(0)

// table says where the blocks of a recording lie, in 24 bytes a block: it knows eight bytes of each digest, and whoever
// finds a block by them compares the whole CID in the file. Sections are numbered in the order they were put in.
type table struct {
	at      []place
	slots   []uint32 // open addressing by the digest's first bytes: the number of a section, plus one
	damaged map[uint32]struct{}
}

type place struct {
	prefix uint64
	where  uint64 // offset of the section << sizeBits | size of the block
}

const sizeBits = 21 // 2 MiB - 1; leaves 8 TiB for offsets

func (p place) off() int64 { return int64(p.where >> sizeBits) }
func (p place) size() int  { return int(p.where & (1<<sizeBits - 1)) }

func prefixOf(d digest) uint64 { return binary.BigEndian.Uint64(d[:]) }

func newTable() *table { return &table{slots: make([]uint32, 64), damaged: map[uint32]struct{}{}} }

// find returns the number of the section with a digest, as far as its first bytes tell.
func (t *table) find(d digest) uint32 {
	p := prefixOf(d)
	mask := uint64(len(t.slots) - 1)
	for i := p & mask; ; i = (i + 1) & mask {
		n := t.slots[i]
		if n == 0 {
			return none
		}
		if t.at[n-1].prefix == p {
			return n - 1
		}
	}
}

// put notes where the block with a digest lies. A block that is known already keeps its number and gets the new place.
func (t *table) put(d digest, off int64, size int) uint32 {
	where := uint64(off)<<sizeBits | uint64(size)
	if n := t.find(d); n != none {
		t.at[n].where = where
		delete(t.damaged, n)
		return n
	}
	if 4*(len(t.at)+1) > 3*len(t.slots) {
		t.grow()
	}
	t.at = append(t.at, place{prefix: prefixOf(d), where: where})
	n := uint32(len(t.at) - 1)
	t.link(n)
	return n
}

func (t *table) link(n uint32) {
	mask := uint64(len(t.slots) - 1)
	i := t.at[n].prefix & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = n + 1
}

func (t *table) grow() {
	t.slots = make([]uint32, 2*len(t.slots))
	for n := range t.at {
		t.link(uint32(n))
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
