package archive

import (
	"slices"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/playlist"
)

// chunks is the list of a track's chunks: 48 bytes each, whatever their envelopes hold, most of them in the scratch file.
type chunks struct {
	scratch *scratch
	epochs  []*epoch // ascending
	formats []format
	inits   []string    // of formats: the CID of the init segment as text, empty for none
	seen    envelope.ID // the newest that anyone tried to append
	count   int         // entries that are no end marks
	bytes   int64       // of their blocks
	first   time.Time   // capture of the oldest
	last    time.Time   // end of the newest
	media   time.Duration
}

// format is what hundreds of chunks in a row have in common.
type format struct {
	timescale, target uint32
	init              cid.Cid
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

// newest returns the id of the newest chunk that is listed.
func (c *chunks) newest() (id envelope.ID) {
	if n := len(c.epochs); n > 0 {
		if e, ok := c.epochs[n-1].newest(); ok {
			return envelope.ID{Epoch: c.epochs[n-1].number, Seq: e.seq}
		}
	}
	return id
}

// get returns the entry of an id.
func (c *chunks) get(id envelope.ID) (e entry, ok bool) {
	j, ok := c.findEpoch(id.Epoch)
	if !ok {
		return e, false
	}
	return c.epochs[j].get(id.Seq)
}

// set changes the entry of an id that there is.
func (c *chunks) set(id envelope.ID, e entry) {
	if j, ok := c.findEpoch(id.Epoch); ok {
		c.epochs[j].set(e)
	}
}

// add puts an entry for an envelope in its place. The one that is there stays.
func (c *chunks) add(e *envelope.Envelope, env, block uint32) {
	j, ok := c.findEpoch(e.Epoch)
	if !ok {
		c.epochs = slices.Insert(c.epochs, j, &epoch{number: e.Epoch, scratch: c.scratch})
	}
	added := c.epochs[j].add(entry{
		seq: e.Seq, decode: e.DecodeTime, captured: e.Captured.UnixMicro(), duration: e.Duration, size: e.BlockSize,
		envelope: env, block: block, format: c.formatOf(e), flags: e.Flags,
	})
	if !added {
		return
	}
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
		name := ""
		if f.init.Defined() {
			name = f.init.String()
		}
		c.formats, c.inits = append(c.formats, f), append(c.inits, name)
	}
	return uint16(len(c.formats) - 1)
}

// from calls yield for the entries with from <= id <= to, ascending.
func (c *chunks) from(from, to envelope.ID, yield func(id envelope.ID, e *entry) bool) {
	j, _ := c.findEpoch(from.Epoch)
	for ; j < len(c.epochs); j++ {
		ep := c.epochs[j]
		first := uint64(0)
		if ep.number == from.Epoch {
			first = from.Seq
		}
		goOn := ep.from(first, func(e *entry) bool {
			id := envelope.ID{Epoch: ep.number, Seq: e.seq}
			return !to.Less(id) && yield(id, e)
		})
		if !goOn {
			return
		}
	}
}

// backward calls yield for all entries, descending.
func (c *chunks) backward(yield func(id envelope.ID, e *entry) bool) {
	for _, ep := range slices.Backward(c.epochs) {
		goOn := ep.backward(func(e *entry) bool { return yield(envelope.ID{Epoch: ep.number, Seq: e.seq}, e) })
		if !goOn {
			return
		}
	}
}

// part returns what the playlist must know of an entry.
func (c *chunks) part(id envelope.ID, e *entry) playlist.Part {
	f := c.formats[e.format]
	return playlist.Part{
		Epoch: id.Epoch, Seq: id.Seq, Timescale: f.timescale, DecodeTime: e.decode, Duration: e.duration,
		Independent: e.flags.Has(envelope.Independent), Discontinuity: e.flags.Has(envelope.Discontinuity),
		End: e.flags.Has(envelope.End), Captured: time.UnixMicro(e.captured).UTC(), Size: int(e.size), Init: c.inits[e.format],
	}
}

// ended reports whether the newest epoch has its end mark.
func (c *chunks) ended() bool {
	if len(c.epochs) == 0 {
		return false
	}
	e, ok := c.epochs[len(c.epochs)-1].newest()
	return ok && e.flags.Has(envelope.End)
}
