package archive

import (
	"slices"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/playlist"
)

// chunks is the list of a track's chunks: 48 bytes each, whatever their envelopes hold.
type chunks struct {
	epochs  []*epoch // ascending
	formats []format
	seen    envelope.ID // the newest that anyone tried to append
	count   int         // entries that are no end marks
	bytes   int64       // of their blocks
	first   time.Time   // capture of the oldest
	last    time.Time   // end of the newest
	media   time.Duration
}

// epoch is the part of a track between two starts of its origin.
type epoch struct {
	number  uint64
	entries []entry // ascending by seq
}

type entry struct {
	seq      uint64
	decode   uint64
	captured int64 // microseconds since 1970
	duration uint32
	size     uint32
	envelope uint32 // number of its section
	block    uint32 // number of its section; none for an end mark, or where the block is missing
	format   uint16
	flags    envelope.Flags
}

// format is what hundreds of chunks in a row have in common.
type format struct {
	timescale, target uint32
	init              cid.Cid
}

// there reports whether the entry counts as a chunk that is here.
func (e *entry) there(t *table) bool {
	return t.good(e.envelope) && (e.flags.Has(envelope.End) || t.good(e.block))
}

// locate returns the epoch of an id and the place of its entry, which is there where ok.
func (c *chunks) locate(id envelope.ID) (ep *epoch, i int, ok bool) {
	j, ok := c.findEpoch(id.Epoch)
	if !ok {
		return nil, 0, false
	}
	ep = c.epochs[j]
	i, ok = ep.search(id.Seq)
	return ep, i, ok
}

func (c *chunks) findEpoch(number uint64) (int, bool) {
	return slices.BinarySearchFunc(c.epochs, number, func(ep *epoch, n uint64) int {
		switch {
		case ep.number < n:
			return -1
		case ep.number > n:
			return 1
		}
		return 0
	})
}

// search returns where the entry of seq is or belongs.
func (ep *epoch) search(seq uint64) (int, bool) {
	n := len(ep.entries)
	if n == 0 || ep.entries[n-1].seq < seq { // by far the most frequent
		return n, false
	}
	return slices.BinarySearchFunc(ep.entries, seq, func(e entry, seq uint64) int {
		switch {
		case e.seq < seq:
			return -1
		case e.seq > seq:
			return 1
		}
		return 0
	})
}

// newest returns the id of the newest chunk that is listed.
func (c *chunks) newest() (id envelope.ID) {
	c.backward(func(at envelope.ID, _ *entry) bool {
		id = at
		return false
	})
	return id
}

// get returns the entry of an id, or nil.
func (c *chunks) get(id envelope.ID) *entry {
	ep, i, ok := c.locate(id)
	if !ok {
		return nil
	}
	return &ep.entries[i]
}

// add puts an entry for an envelope in its place. The one that is there stays.
func (c *chunks) add(e *envelope.Envelope, env, block uint32) *entry {
	j, ok := c.findEpoch(e.Epoch)
	if !ok {
		c.epochs = slices.Insert(c.epochs, j, &epoch{number: e.Epoch})
	}
	ep := c.epochs[j]
	i, ok := ep.search(e.Seq)
	if ok {
		return &ep.entries[i]
	}
	ep.entries = slices.Insert(ep.entries, i, entry{
		seq: e.Seq, decode: e.DecodeTime, captured: e.Captured.UnixMicro(), duration: e.Duration, size: e.BlockSize,
		envelope: env, block: block, format: c.formatOf(e), flags: e.Flags,
	})
	if !e.Flags.Has(envelope.End) {
		c.count++
	}
	c.bytes += int64(e.BlockSize)
	c.media += e.DurationTime()
	if c.first.IsZero() || e.Captured.Before(c.first) {
		c.first = e.Captured
	}
	if end := e.Captured.Add(e.DurationTime()); end.After(c.last) {
		c.last = end
	}
	c.see(e.ID())
	return &ep.entries[i]
}

func (c *chunks) see(id envelope.ID) {
	if c.seen.Less(id) {
		c.seen = id
	}
}

// formatOf interns what the chunk shares with its neighbours. A broadcast that changes its format 65,535 times keeps the
// last ones under one name that is right for none: it cannot be played, either.
func (c *chunks) formatOf(e *envelope.Envelope) uint16 {
	f := format{e.Timescale, e.PartTarget, e.Init}
	for i := len(c.formats) - 1; i >= 0; i-- {
		if c.formats[i] == f {
			return uint16(i)
		}
	}
	if len(c.formats) < 1<<16-1 {
		c.formats = append(c.formats, f)
	}
	return uint16(len(c.formats) - 1)
}

// from calls yield for the entries with from <= id <= to, ascending.
func (c *chunks) from(from, to envelope.ID, yield func(id envelope.ID, e *entry) bool) {
	j, _ := c.findEpoch(from.Epoch)
	for ; j < len(c.epochs); j++ {
		ep := c.epochs[j]
		i := 0
		if ep.number == from.Epoch {
			i, _ = ep.search(from.Seq)
		}
		for ; i < len(ep.entries); i++ {
			id := envelope.ID{Epoch: ep.number, Seq: ep.entries[i].seq}
			if to.Less(id) || !yield(id, &ep.entries[i]) {
				return
			}
		}
	}
}

// backward calls yield for all entries, descending.
func (c *chunks) backward(yield func(id envelope.ID, e *entry) bool) {
	for j := len(c.epochs) - 1; j >= 0; j-- {
		ep := c.epochs[j]
		for i := len(ep.entries) - 1; i >= 0; i-- {
			if !yield(envelope.ID{Epoch: ep.number, Seq: ep.entries[i].seq}, &ep.entries[i]) {
				return
			}
		}
	}
}

// part returns what the playlist must know of an entry.
func (c *chunks) part(id envelope.ID, e *entry) playlist.Part {
	f := c.formats[e.format]
	p := playlist.Part{
		Epoch: id.Epoch, Seq: id.Seq, Timescale: f.timescale, DecodeTime: e.decode, Duration: e.duration,
		Independent: e.flags.Has(envelope.Independent), Discontinuity: e.flags.Has(envelope.Discontinuity),
		End: e.flags.Has(envelope.End), Captured: time.UnixMicro(e.captured).UTC(), Size: int(e.size),
	}
	if f.init.Defined() {
		p.Init = f.init.String()
	}
	return p
}

// ended reports whether the newest epoch has its end mark.
func (c *chunks) ended() bool {
	if len(c.epochs) == 0 {
		return false
	}
	entries := c.epochs[len(c.epochs)-1].entries
	return len(entries) > 0 && entries[len(entries)-1].flags.Has(envelope.End)
}
