package mesh

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
)

// ChunkLog is where the log protocol takes what it serves: the Window of a joined track, or an archive that reaches
// further back. Implementations are safe for concurrent use.
type ChunkLog interface {
	// Range returns the chunks with from <= id <= to that are there, ascending, at most count of them and about size
	// bytes (one chunk at least, where there is one). More reports that the limits cut it short.
	Range(from, to envelope.ID, count, size int) (chunks []envelope.Chunk, more bool)
	// Latest is Range from the newest independent chunk that has at least span of the track after it (or, where the
	// log does not reach back so far, from the oldest independent one) to the newest chunk.
	Latest(span time.Duration, count, size int) (chunks []envelope.Chunk, more bool)
	// Init returns an init segment by its CID.
	Init(cid.Cid) ([]byte, bool)
	// Newest returns the id of the newest chunk.
	Newest() (envelope.ID, bool)
}

// Window keeps a track's recent chunks in memory, bounded by time and bytes. It is safe for concurrent use; the chunks
// are immutable.
type Window struct {
	span     time.Duration
	maxBytes int

	mu     sync.RWMutex
	order  []envelope.ID // ascending
	chunks map[envelope.ID]*held
	inits  map[string]*heldInit // by the CID's bytes
	size   int                  // bytes held
	floor  envelope.ID          // the highest id that was let go
	hasLow bool                 // floor is set
}

type held struct {
	chunk    envelope.Chunk
	arrived  time.Time
	gossiped bool // came by the topic, so it was forwarded
}

type heldInit struct {
	data []byte // nil until a chunk brings it
	uses int    // chunks in the window that need it
}

// addResult is what Window.add found.
type addResult int

const (
	added     addResult = iota
	known               // the same chunk is there already
	conflict            // another chunk with this id is there: the origin signed two
	staleItem           // older than the window
)

func newWindow(span time.Duration, maxBytes int) *Window {
	return &Window{span: span, maxBytes: maxBytes, chunks: map[envelope.ID]*held{}, inits: map[string]*heldInit{}}
}

// add puts a verified chunk in. Gossiped tells that it came by the topic; first reports whether it is the first time that
// it came so. The chunk that is returned is the one kept, with its init segment where that is at hand.
func (w *Window) add(c envelope.Chunk, gossiped bool, now time.Time) (kept envelope.Chunk, result addResult, first bool) {
	id := c.ID()
	w.mu.Lock()
	defer w.mu.Unlock()
	if h, ok := w.chunks[id]; ok {
		if !bytes.Equal(h.chunk.Raw, c.Raw) {
			return h.chunk, conflict, false
		}
		first = gossiped && !h.gossiped
		h.gossiped = h.gossiped || gossiped
		return h.chunk, known, first
	}
	if w.stale(id, c.Captured) {
		return c, staleItem, false
	}
	if c.Envelope.Init.Defined() {
		key := c.Envelope.Init.KeyString()
		in := w.inits[key]
		if in == nil {
			in = &heldInit{}
			w.inits[key] = in
		}
		in.uses++
		if in.data == nil && len(c.Init) > 0 {
			in.data = c.Init
			w.size += len(c.Init)
		}
		c.Init = in.data // one copy of it for all chunks
	}
	w.chunks[id] = &held{chunk: c, arrived: now, gossiped: gossiped}
	w.size += len(c.Raw) + len(c.Block)
	i, _ := slices.BinarySearchFunc(w.order, id, compareIDs)
	w.order = slices.Insert(w.order, i, id)
	w.trim(now)
	return c, added, gossiped
}

// stale reports whether an unknown chunk is older than what the window holds or held. The clock that counts is the
// origin's: a chunk is old when a newer one was captured a window's length after it. Call with the lock held.
func (w *Window) stale(id envelope.ID, captured time.Time) bool {
	if w.hasLow && !w.floor.Less(id) {
		return true
	}
	if len(w.order) == 0 {
		return false
	}
	newest := w.order[len(w.order)-1]
	return id.Less(newest) && w.chunks[newest].chunk.Captured.Sub(captured) > w.span
}

// trim lets old chunks go. The second age bound, by arrival, holds where the origin's clock was set back between epochs.
func (w *Window) trim(now time.Time) {
	newest := w.chunks[w.order[len(w.order)-1]].chunk.Captured
	n := 0
	for n < len(w.order)-1 {
		h := w.chunks[w.order[n]]
		if w.size <= w.maxBytes && newest.Sub(h.chunk.Captured) <= w.span && now.Sub(h.arrived) <= 2*w.span {
			break
		}
		w.drop(w.order[n])
		n++
	}
	w.order = slices.Delete(w.order, 0, n)
}

func (w *Window) drop(id envelope.ID) {
	h := w.chunks[id]
	delete(w.chunks, id)
	w.size -= len(h.chunk.Raw) + len(h.chunk.Block)
	w.floor, w.hasLow = id, true
	if !h.chunk.Envelope.Init.Defined() {
		return
	}
	key := h.chunk.Envelope.Init.KeyString()
	if in := w.inits[key]; in != nil {
		if in.uses--; in.uses == 0 {
			w.size -= len(in.data)
			delete(w.inits, key)
		}
	}
}

// look returns what the window knows of an id, without changing anything: the chunk that is there, whether it came by
// the topic, and whether an id that is not there would be too old.
func (w *Window) look(id envelope.ID, captured time.Time) (c envelope.Chunk, ok, gossiped, old bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if h, there := w.chunks[id]; there {
		return h.chunk, true, h.gossiped, false
	}
	return c, false, false, w.stale(id, captured)
}

// Chunk returns the chunk with an id.
func (w *Window) Chunk(id envelope.ID) (envelope.Chunk, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	h, ok := w.chunks[id]
	if !ok {
		return envelope.Chunk{}, false
	}
	c := h.chunk
	if c.Init == nil && c.Envelope.Init.Defined() { // an independent chunk came after it
		if in := w.inits[c.Envelope.Init.KeyString()]; in != nil {
			c.Init = in.data
		}
	}
	return c, true
}

// Init returns the init segment with a CID, while a chunk that needs it is in the window.
func (w *Window) Init(c cid.Cid) ([]byte, bool) {
	if !c.Defined() {
		return nil, false
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	in := w.inits[c.KeyString()]
	if in == nil || in.data == nil {
		return nil, false
	}
	return in.data, true
}

// Newest returns the id of the newest chunk.
func (w *Window) Newest() (envelope.ID, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if len(w.order) == 0 {
		return envelope.ID{}, false
	}
	return w.order[len(w.order)-1], true
}

// Oldest returns the id of the oldest chunk.
func (w *Window) Oldest() (envelope.ID, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if len(w.order) == 0 {
		return envelope.ID{}, false
	}
	return w.order[0], true
}

// reaches reports whether the window goes back a span, or to the beginning of an epoch.
func (w *Window) reaches(span time.Duration) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if len(w.order) == 0 {
		return false
	}
	oldest, newest := w.chunks[w.order[0]].chunk, w.chunks[w.order[len(w.order)-1]].chunk
	return oldest.Seq == 0 || newest.Captured.Sub(oldest.Captured) >= span
}

// Size returns how many chunks the window holds, and their bytes with the init segments'.
func (w *Window) Size() (chunks, bytes int) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return len(w.order), w.size
}

// Range implements ChunkLog.
func (w *Window) Range(from, to envelope.ID, count, size int) ([]envelope.Chunk, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	i, _ := slices.BinarySearchFunc(w.order, from, compareIDs)
	return w.collect(i, to, count, size)
}

// Latest implements ChunkLog.
func (w *Window) Latest(span time.Duration, count, size int) ([]envelope.Chunk, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if len(w.order) == 0 {
		return nil, false
	}
	newest := w.chunks[w.order[len(w.order)-1]].chunk
	end := newest.Captured.Add(newest.DurationTime())
	start := -1
	for i := len(w.order) - 1; i >= 0; i-- {
		c := w.chunks[w.order[i]].chunk
		if !c.Flags.Has(envelope.Independent) {
			continue
		}
		start = i
		if end.Sub(c.Captured) >= span {
			break
		}
	}
	if start < 0 {
		start = 0
	}
	return w.collect(start, newest.ID(), count, size)
}

// collect returns the chunks from index i up to an id. Call with the lock held.
func (w *Window) collect(i int, to envelope.ID, count, size int) (chunks []envelope.Chunk, more bool) {
	for ; i < len(w.order) && !to.Less(w.order[i]); i++ {
		c := w.chunks[w.order[i]].chunk
		n := len(c.Raw) + len(c.Block) + len(c.Init)
		if len(chunks) >= count || len(chunks) > 0 && n > size {
			return chunks, true
		}
		size -= n
		chunks = append(chunks, c)
	}
	return chunks, false
}

func compareIDs(a, b envelope.ID) int {
	switch {
	case a.Less(b):
		return -1
	case b.Less(a):
		return 1
	}
	return 0
}
