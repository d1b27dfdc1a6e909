package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/protocol"

	"murmuration/chunker/envelope"
)

// IndexProtocol is the log protocol with requests of kind index. A node that lacks them would take one for an offence;
// so they have a protocol id of their own, and libp2p tells beforehand who speaks it.
const IndexProtocol = protocol.ID("/murmur/log/1.1.0")

const (
	maxIndexCount = 16384     // entries in one answer: more than an hour of chunks
	maxIndexBytes = 512 << 10 // bytes of pages in one answer, about
	maxPageCount  = 1024      // entries in one page
	maxPage       = 64 << 10  // bytes of one page
	maxPageInits  = 16        // init segments in one page
	entryMax      = 1 + 6*10  // bytes of one entry at most, about
)

// IndexEntry says of a chunk what a player's list has to know, without its block. It is not signed: it is a hint as
// good as the peer that gave it, and the chunk itself tells whether it was true.
type IndexEntry struct {
	Epoch, Seq uint64
	Timescale  uint32 // units per second of DecodeTime and Duration
	DecodeTime uint64
	Duration   uint32
	Flags      envelope.Flags
	Captured   time.Time // microseconds, UTC
	Init       cid.Cid   // undefined where there is none
	Size       uint32    // of the block, bytes
}

// ID returns the name of the chunk.
func (e IndexEntry) ID() envelope.ID { return envelope.ID{Epoch: e.Epoch, Seq: e.Seq} }

// EntryOf returns the index entry of a chunk.
func EntryOf(e *envelope.Envelope) IndexEntry {
	return IndexEntry{
		Epoch: e.Epoch, Seq: e.Seq, Timescale: e.Timescale, DecodeTime: e.DecodeTime, Duration: e.Duration,
		Flags: e.Flags & entryFlags, Captured: e.Captured.UTC(), Init: e.Init, Size: e.BlockSize,
	}
}

// same reports whether two entries say the same.
func (e IndexEntry) same(o IndexEntry) bool {
	captured := e.Captured.Equal(o.Captured)
	e.Captured = o.Captured
	return captured && e == o
}

// IndexLog is what a ChunkLog may also be: one that lists its chunks without reading them.
type IndexLog interface {
	// Index returns the entries of the chunks with from <= id <= to that are there, ascending, at most count of them.
	// More reports that count cut it short.
	Index(from, to envelope.ID, count int) (entries []IndexEntry, more bool)
}

// Index implements IndexLog.
func (w *Window) Index(from, to envelope.ID, count int) (entries []IndexEntry, more bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	i, _ := slices.BinarySearchFunc(w.order, from, compareIDs)
	for ; i < len(w.order) && !to.Less(w.order[i]); i++ {
		if len(entries) >= count {
			return entries, true
		}
		entries = append(entries, EntryOf(w.chunks[w.order[i]].chunk.Envelope))
	}
	return entries, false
}

// The bits of an entry's first byte. What follows from the entry before, in the same page, is left out.
const (
	entryFlags   = envelope.Independent | envelope.Discontinuity | envelope.End // bits 0 to 2, as in the envelope
	entryFollows = 1 << 3                                                       // next seq of the same epoch
	entryGoesOn  = 1 << 4                                                       // begins where the one before ends
	entryLasts   = 1 << 5                                                       // same timescale and duration
	entryInit    = 1 << 6                                                       // same init segment
)

// appendPage returns the entries that fit on a page, of those given, ascending and at least one; n is how many.
func appendPage(b []byte, entries []IndexEntry) (page []byte, n int) {
	var body []byte
	var inits []cid.Cid
	var before IndexEntry
	for n < min(len(entries), maxPageCount) && len(body) < maxPage-entryMax-maxPageInits*36-8 {
		e := entries[n]
		use := 0
		if e.Init.Defined() {
			i := slices.Index(inits, e.Init)
			if i < 0 {
				if len(inits) == maxPageInits {
					break
				}
				i = len(inits)
				inits = append(inits, e.Init)
			}
			use = i + 1
		}
		body = e.appendTo(body, before, use)
		before = e
		n++
	}
	b = binary.AppendUvarint(b, uint64(n))
	b = binary.AppendUvarint(b, uint64(len(inits)))
	for _, c := range inits {
		b = append(b, c.Bytes()...)
	}
	return append(b, body...), n
}

func (e IndexEntry) appendTo(b []byte, before IndexEntry, init int) []byte {
	head := e.head(before)
	b = append(b, head)
	if head&entryFollows == 0 {
		b = binary.AppendUvarint(binary.AppendUvarint(b, e.Epoch), e.Seq)
	}
	if head&entryGoesOn == 0 {
		b = binary.AppendUvarint(b, e.DecodeTime)
	}
	if head&entryLasts == 0 {
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(e.Timescale)), uint64(e.Duration))
	}
	if head&entryInit == 0 {
		b = binary.AppendUvarint(b, uint64(init))
	}
	b = binary.AppendVarint(b, e.Captured.UnixMicro()-before.expected())
	return binary.AppendUvarint(b, uint64(e.Size))
}

// head says what of an entry follows from the one before. Each thing has one way to be said.
func (e IndexEntry) head(before IndexEntry) byte {
	head := byte(e.Flags & entryFlags)
	if e.Epoch == before.Epoch && e.Seq == before.Seq+1 {
		head |= entryFollows
	}
	if e.DecodeTime == before.DecodeTime+uint64(before.Duration) {
		head |= entryGoesOn
	}
	if e.Timescale == before.Timescale && e.Duration == before.Duration {
		head |= entryLasts
	}
	if e.Init == before.Init {
		head |= entryInit
	}
	return head
}

// expected is when the chunk after this one should have been captured, in Unix microseconds.
func (e IndexEntry) expected() int64 {
	if e.Timescale == 0 {
		return 0
	}
	return e.Captured.UnixMicro() + int64(uint64(e.Duration)*1_000_000/uint64(e.Timescale))
}

// parsePage reads a page strictly: within its bounds, ascending, said in the one way there is, and nothing left over.
func parsePage(b []byte) ([]IndexEntry, error) {
	fail := func(err error) ([]IndexEntry, error) { return nil, fmt.Errorf("%w: index: %w", ErrLogWire, err) }
	if len(b) > maxPage {
		return fail(fmt.Errorf("page of %d bytes", len(b)))
	}
	p := pageReader{wireReader{b: b}}
	n, count := p.uvarint(maxPageCount), p.uvarint(maxPageInits)
	if p.err == nil && (n == 0 || n > uint64(len(p.b))) { // an entry has more than a byte
		p.err = errors.New("more entries than bytes")
	}
	if p.err != nil {
		return fail(p.err)
	}
	inits := make([]cid.Cid, 0, count)
	for range count {
		raw := p.take(36)
		if p.err != nil {
			return fail(p.err)
		}
		c, err := cid.Cast(raw)
		if err != nil {
			return fail(err)
		}
		if c.Prefix() != rawPrefix || slices.Contains(inits, c) {
			return fail(errors.New("init segment's CID"))
		}
		inits = append(inits, c)
	}
	entries := make([]IndexEntry, 0, n)
	var before IndexEntry
	used := 0
	for range n {
		e := p.entry(before, inits, &used)
		if p.err == nil && len(entries) > 0 && !before.ID().Less(e.ID()) {
			p.err = errors.New("not ascending")
		}
		if p.err != nil {
			return fail(p.err)
		}
		entries = append(entries, e)
		before = e
	}
	if len(p.b) > 0 || used != len(inits) {
		return fail(errors.New("bytes left over"))
	}
	return entries, nil
}

var rawPrefix = envelope.RawCID(nil).Prefix()

// pageReader reads numbers of variable length.
type pageReader struct{ wireReader }

// uvarint reads a number up to limit, in its shortest form.
func (p *pageReader) uvarint(limit uint64) uint64 {
	if p.err != nil {
		return 0
	}
	v, n := binary.Uvarint(p.b)
	if n <= 0 || n > 1 && p.b[n-1] == 0 || v > limit {
		p.err = errors.New("number")
		if n == 0 {
			p.err = io.ErrUnexpectedEOF
		}
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *pageReader) varint() int64 {
	v := p.uvarint(math.MaxUint64)
	return int64(v>>1) ^ -int64(v&1)
}

func (p *pageReader) entry(before IndexEntry, inits []cid.Cid, used *int) IndexEntry {
	head := p.byte()
	e := IndexEntry{
		Epoch: before.Epoch, Seq: before.Seq + 1, DecodeTime: before.DecodeTime + uint64(before.Duration),
		Timescale: before.Timescale, Duration: before.Duration, Init: before.Init, Flags: envelope.Flags(head) & entryFlags,
	}
	if head&entryFollows == 0 {
		e.Epoch, e.Seq = p.uvarint(envelope.MaxInteger), p.uvarint(envelope.MaxInteger)
	}
	if head&entryGoesOn == 0 {
		e.DecodeTime = p.uvarint(envelope.MaxInteger)
	}
	if head&entryLasts == 0 {
		e.Timescale, e.Duration = uint32(p.uvarint(math.MaxUint32)), uint32(p.uvarint(math.MaxUint32))
	}
	if head&entryInit == 0 {
		switch use := int(p.uvarint(uint64(len(inits)))); {
		case use == 0:
			e.Init = cid.Undef
		case use > *used+1: // they are listed in the order of their first use
			p.err = errors.New("init segment out of order")
		default:
			*used = max(*used, use)
			e.Init = inits[use-1]
		}
	}
	captured := before.expected() + p.varint()
	e.Size = uint32(p.uvarint(envelope.MaxBlock - 1))
	if p.err != nil {
		return e
	}
	if captured < 0 || captured > envelope.MaxInteger || e.Timescale == 0 || e.Seq > envelope.MaxInteger ||
		e.DecodeTime > envelope.MaxInteger || e.head(before) != head {
		p.err = errors.New("entry")
		return e
	}
	e.Captured = time.UnixMicro(captured).UTC()
	return e
}

// writeIndex writes the pages of an answer.
func writeIndex(w io.Writer, req logRequest, log ChunkLog) (logStatus, error) {
	index, ok := log.(IndexLog)
	if !ok {
		return logUnknown, nil
	}
	entries, more := index.Index(req.From, req.To, req.Count)
	sent := 0
	for len(entries) > 0 {
		if sent > 0 && sent >= req.Size {
			more = true
			break
		}
		raw, n := appendPage(nil, entries)
		entries = entries[n:]
		sent += len(raw)
		if _, err := w.Write(appendLogHead(nil, logItemIndex, len(raw))); err != nil {
			return 0, err
		}
		if _, err := w.Write(raw); err != nil {
			return 0, err
		}
	}
	if more {
		return logMore, nil
	}
	return logDone, nil
}
