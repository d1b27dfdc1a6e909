package archive

import (
	"cmp"
	"encoding/binary"
	"slices"

	"murmuration/chunker/envelope"
)

// epoch is the part of a track between two starts of its origin: entries ascending by seq, in leaves of which all but the
// last go into the scratch file.
type epoch struct {
	number  uint64
	scratch *scratch
	leaves  []*leaf // none is empty
}

// leaf is a page of entries, and what must be known of them without reading it.
type leaf struct {
	page
	first, last uint64 // seq
	lacking     int    // entries whose block is not here
}

// entry is a row of a leaf: a chunk.
type entry struct {
	seq      uint64
	decode   uint64
	captured int64 // microseconds since 1970
	duration uint32
	size     uint32
	envelope uint32 // number of its section
	block    uint32 // number of its section; none for an end mark, or where the block is missing
	flags    envelope.Flags
	format   uint16
}

const entryWidth = 48

func (e *entry) encode() (b [entryWidth]byte) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], e.seq)
	le.PutUint64(b[8:], e.decode)
	le.PutUint64(b[16:], uint64(e.captured))
	le.PutUint32(b[24:], e.duration)
	le.PutUint32(b[28:], e.size)
	le.PutUint32(b[32:], e.envelope)
	le.PutUint32(b[36:], e.block)
	le.PutUint32(b[40:], uint32(e.flags))
	le.PutUint16(b[44:], e.format)
	return b
}

func decodeEntry(b []byte) entry {
	le := binary.LittleEndian
	return entry{
		seq: le.Uint64(b[0:]), decode: le.Uint64(b[8:]), captured: int64(le.Uint64(b[16:])), duration: le.Uint32(b[24:]),
		size: le.Uint32(b[28:]), envelope: le.Uint32(b[32:]), block: le.Uint32(b[36:]), flags: envelope.Flags(le.Uint32(b[40:])),
		format: le.Uint16(b[44:]),
	}
}

// there reports whether the entry counts as a chunk that is here.
func (e *entry) there(t *table) bool {
	return t.good(e.envelope) && (e.flags.Has(envelope.End) || t.good(e.block))
}

// lacks is 1 for an entry without its block.
func (e *entry) lacks() int {
	if e.block == none && !e.flags.Has(envelope.End) {
		return 1
	}
	return 0
}

// whole reports whether all chunks from the leaf's first to its last are here, damage aside.
func (l *leaf) whole() bool { return l.lacking == 0 && l.last-l.first == uint64(l.count-1) }

// leafOf returns the number of the leaf in which seq is or belongs.
func (ep *epoch) leafOf(seq uint64) int {
	if n := len(ep.leaves); n > 0 && ep.leaves[n-1].first <= seq { // by far the most frequent
		return n - 1
	}
	i, exact := slices.BinarySearchFunc(ep.leaves, seq, func(l *leaf, seq uint64) int { return cmp.Compare(l.first, seq) })
	if !exact && i > 0 {
		i--
	}
	return i
}

// search returns where in a leaf's rows the entry of seq is or belongs.
func search(rows []byte, seq uint64) (int, bool) {
	lo, hi := 0, len(rows)/entryWidth
	for lo < hi {
		mid := (lo + hi) / 2
		switch s := binary.LittleEndian.Uint64(rows[mid*entryWidth:]); {
		case s == seq:
			return mid, true
		case s < seq:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// find returns the leaf and the place in it of the entry of seq.
func (ep *epoch) find(seq uint64) (l *leaf, i int, ok bool) {
	k := ep.leafOf(seq)
	if k == len(ep.leaves) {
		return nil, 0, false
	}
	l = ep.leaves[k]
	if seq < l.first || seq > l.last {
		return nil, 0, false
	}
	if l.last-l.first == uint64(l.count-1) {
		return l, int(seq - l.first), true
	}
	i, ok = search(ep.scratch.load(&l.page, nil, entryWidth), seq)
	return l, i, ok
}

func (ep *epoch) get(seq uint64) (entry, bool) {
	l, i, ok := ep.find(seq)
	var b [entryWidth]byte
	if !ok || !ep.scratch.row(&l.page, i, b[:]) {
		return entry{}, false
	}
	return decodeEntry(b[:]), true
}

// set replaces the entry with the seq of e.
func (ep *epoch) set(e entry) {
	l, i, ok := ep.find(e.seq)
	var old [entryWidth]byte
	if !ok || !ep.scratch.row(&l.page, i, old[:]) {
		return
	}
	was := decodeEntry(old[:])
	l.lacking += e.lacks() - was.lacks()
	b := e.encode()
	ep.scratch.setRow(&l.page, i, b[:])
}

// add puts an entry in its place, and reports whether there was none of its seq.
func (ep *epoch) add(e entry) bool {
	k := ep.leafOf(e.seq)
	if k == len(ep.leaves) {
		ep.leaves = append(ep.leaves, &leaf{first: e.seq, last: e.seq})
	}
	l := ep.leaves[k]
	if k == len(ep.leaves)-1 && l.count == pageRows && e.seq > l.last {
		ep.scratch.save(&l.page, l.rows, entryWidth)
		l = &leaf{first: e.seq, last: e.seq}
		ep.leaves = append(ep.leaves, l)
		k++
	}
	rows := l.rows
	if rows == nil {
		if rows = ep.scratch.load(&l.page, nil, entryWidth); rows == nil && l.count > 0 {
			return false // the recording is loaded again
		}
	}
	i, there := search(rows, e.seq)
	if there {
		return false
	}
	b := e.encode()
	rows = slices.Insert(rows, i*entryWidth, b[:]...)
	l.first, l.last = min(l.first, e.seq), max(l.last, e.seq)
	l.lacking += e.lacks()
	if len(rows) > pageRows*entryWidth {
		ep.split(k, rows)
		return true
	}
	ep.put(k, rows)
	return true
}

// put gives a leaf its rows: the last leaf's stay in memory.
func (ep *epoch) put(k int, rows []byte) {
	l := ep.leaves[k]
	if k == len(ep.leaves)-1 {
		l.rows, l.count = rows, len(rows)/entryWidth
		return
	}
	ep.scratch.save(&l.page, rows, entryWidth)
}

// split makes two leaves of one whose rows are more than a page holds.
func (ep *epoch) split(k int, rows []byte) {
	half := len(rows) / entryWidth / 2 * entryWidth
	left, right := rows[:half:half], slices.Clone(rows[half:])
	l := ep.leaves[k]
	r := &leaf{first: binary.LittleEndian.Uint64(right), last: l.last}
	for b := right; len(b) > 0; b = b[entryWidth:] {
		e := decodeEntry(b)
		r.lacking += e.lacks()
	}
	l.last = binary.LittleEndian.Uint64(left[half-entryWidth:])
	l.lacking -= r.lacking
	ep.leaves = slices.Insert(ep.leaves, k+1, r)
	ep.put(k, left)
	ep.put(k+1, right)
}

// newest returns the last entry.
func (ep *epoch) newest() (entry, bool) {
	if len(ep.leaves) == 0 {
		return entry{}, false
	}
	return ep.get(ep.leaves[len(ep.leaves)-1].last)
}

// in calls yield for the entries of a leaf, until that returns false; it reports whether it never did.
func (ep *epoch) in(l *leaf, yield func(e *entry) bool) bool {
	for rows := ep.scratch.load(&l.page, nil, entryWidth); len(rows) > 0; rows = rows[entryWidth:] {
		e := decodeEntry(rows)
		if !yield(&e) {
			return false
		}
	}
	return true
}

// from calls yield for the entries from seq on, until that returns false; it reports whether it never did.
func (ep *epoch) from(seq uint64, yield func(e *entry) bool) bool {
	var buf []byte
	for k := ep.leafOf(seq); k < len(ep.leaves); k++ {
		l := ep.leaves[k]
		rows := ep.scratch.load(&l.page, buf, entryWidth)
		if l.rows == nil {
			buf = rows
		}
		i, _ := search(rows, seq)
		for rows = rows[i*entryWidth:]; len(rows) > 0; rows = rows[entryWidth:] {
			e := decodeEntry(rows)
			if !yield(&e) {
				return false
			}
		}
	}
	return true
}

// backward calls yield for all entries, descending, until that returns false; it reports whether it never did.
func (ep *epoch) backward(yield func(e *entry) bool) bool {
	var buf []byte
	for _, l := range slices.Backward(ep.leaves) {
		rows := ep.scratch.load(&l.page, buf, entryWidth)
		if l.rows == nil {
			buf = rows
		}
		for ; len(rows) > 0; rows = rows[:len(rows)-entryWidth] {
			e := decodeEntry(rows[len(rows)-entryWidth:])
			if !yield(&e) {
				return false
			}
		}
	}
	return true
}
