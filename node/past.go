package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/shim"
	"murmuration/playlist"
)

// past is what a track was before the last minute: in the recording that is kept here, and else with the track's other
// peers. The mesh serves newcomers from it, and the local face its players that go back.
type past struct {
	name      string
	recording func() (*archive.Recording, bool) // may have nothing
	track     atomic.Pointer[mesh.Track]        // nil where the broadcast is only a recording
}

// errPast says that what was before cannot be had.
var errPast = fmt.Errorf("not in the recording: %w", shim.ErrGone)

// kept returns the recording, where there is one.
func (p *past) kept() (*archive.Recording, bool) {
	if p.recording == nil {
		return nil, false
	}
	return p.recording()
}

func (p *past) here() (*archive.Track, bool) {
	rec, ok := p.kept()
	if !ok {
		return nil, false
	}
	return rec.Track(p.name)
}

func (p *past) window() *mesh.Window {
	if t := p.track.Load(); t != nil {
		return t.Window()
	}
	return nil
}

// Range implements mesh.ChunkLog: from memory where that has the beginning of what is asked for, else from the recording.
func (p *past) Range(from, to envelope.ID, count, size int) ([]envelope.Chunk, bool) {
	w := p.window()
	if w != nil {
		chunks, more := w.Range(from, to, count, size)
		if len(chunks) > 0 && chunks[0].ID() == from {
			return chunks, more
		}
	}
	if t, ok := p.here(); ok {
		if chunks, more := t.Range(from, to, count, size); len(chunks) > 0 {
			return chunks, more
		}
	}
	if w == nil {
		return nil, false
	}
	return w.Range(from, to, count, size)
}

// Latest implements mesh.ChunkLog.
func (p *past) Latest(span time.Duration, count, size int) ([]envelope.Chunk, bool) {
	if w := p.window(); w != nil {
		if chunks, more := w.Latest(span, count, size); len(chunks) > 0 {
			return chunks, more
		}
	}
	if t, ok := p.here(); ok {
		return t.Latest(span, count, size)
	}
	return nil, false
}

// history is a past as the local face asks for it.
type history struct{ *past }

// Init implements shim.History.
func (h history) Init(ctx context.Context, name string) ([]byte, error) {
	c, err := cid.Decode(name)
	if err != nil {
		return nil, fmt.Errorf("init segment: %w", err)
	}
	if b, ok := h.past.Init(c); ok {
		return b, nil
	}
	if track := h.track.Load(); track != nil {
		return track.FetchInit(ctx, c)
	}
	return nil, errPast
}

// Init implements mesh.ChunkLog.
func (p *past) Init(c cid.Cid) ([]byte, bool) {
	if w := p.window(); w != nil {
		if b, ok := w.Init(c); ok {
			return b, true
		}
	}
	if t, ok := p.here(); ok {
		return t.Init(c)
	}
	return nil, false
}

// Newest implements mesh.ChunkLog.
func (p *past) Newest() (envelope.ID, bool) {
	if w := p.window(); w != nil {
		if id, ok := w.Newest(); ok {
			return id, true
		}
	}
	if t, ok := p.here(); ok {
		return t.Newest()
	}
	return envelope.ID{}, false
}

// Index implements mesh.IndexLog.
func (p *past) Index(from, to envelope.ID, count int) ([]mesh.IndexEntry, bool) {
	var entries []mesh.IndexEntry
	if t, ok := p.here(); ok {
		parts, more := t.PartsUpTo(from, to, count)
		for _, part := range parts {
			entries = append(entries, entryOf(part))
			from = envelope.ID{Epoch: part.Epoch, Seq: part.Seq + 1}
		}
		if more {
			return entries, true
		}
	}
	w := p.window()
	if w == nil || to.Less(from) {
		return entries, false
	}
	if len(entries) == count {
		return entries, true
	}
	rest, more := w.Index(from, to, count-len(entries))
	return append(entries, rest...), more
}

func entryOf(p playlist.Part) mesh.IndexEntry {
	e := mesh.IndexEntry{
		Epoch: p.Epoch, Seq: p.Seq, Timescale: p.Timescale, DecodeTime: p.DecodeTime, Duration: p.Duration,
		Captured: p.Captured, Size: uint32(p.Size),
	}
	for flag, set := range map[envelope.Flags]bool{
		envelope.Independent: p.Independent, envelope.Discontinuity: p.Discontinuity, envelope.End: p.End,
	} {
		if set {
			e.Flags |= flag
		}
	}
	if c, err := cid.Decode(p.Init); err == nil {
		e.Init = c
	}
	return e
}

func partOf(e mesh.IndexEntry) playlist.Part {
	p := playlist.Part{
		Epoch: e.Epoch, Seq: e.Seq, Timescale: e.Timescale, DecodeTime: e.DecodeTime, Duration: e.Duration,
		Independent: e.Flags.Has(envelope.Independent), Discontinuity: e.Flags.Has(envelope.Discontinuity), End: e.Flags.Has(envelope.End),
		Captured: e.Captured, Size: int(e.Size),
	}
	if e.Init.Defined() {
		p.Init = e.Init.String()
	}
	return p
}

// Parts implements shim.History: what is here where that is all, else what the track's peers tell.
func (p *past) Parts(ctx context.Context, before playlist.ID) ([]playlist.Part, error) {
	to := envelope.ID{Epoch: before.Epoch, Seq: before.Seq}
	var parts []playlist.Part
	whole := false
	if t, ok := p.here(); ok {
		for _, part := range t.Parts(envelope.ID{}, to) {
			if part.ID().Less(before) {
				parts = append(parts, part)
			}
		}
		whole = len(parts) > 0 && parts[0].Seq == 0 && len(t.Gaps()) == 0
	}
	track := p.track.Load()
	if whole || track == nil {
		return parts, nil
	}
	if to.Seq == 0 && to.Epoch == 0 {
		to = envelope.ID{Epoch: math.MaxUint64, Seq: math.MaxUint64}
	}
	entries, err := track.FetchIndex(ctx, envelope.ID{}, to)
	if err != nil && len(entries) == 0 {
		if len(parts) > 0 {
			return parts, nil
		}
		return nil, fmt.Errorf("%w: %w", errPast, err)
	}
	for _, e := range entries { // the face sorts them and leaves out what is there twice
		if part := partOf(e); part.ID().Less(before) {
			parts = append(parts, part)
		}
	}
	return parts, nil
}

// Chunks implements shim.History.
func (p *past) Chunks(ctx context.Context, from, to playlist.ID) ([]envelope.Chunk, error) {
	first, last := envelope.ID{Epoch: from.Epoch, Seq: from.Seq}, envelope.ID{Epoch: to.Epoch, Seq: to.Seq}
	want := int(min(last.Seq-first.Seq+1, 1<<16))
	if t, ok := p.here(); ok {
		var chunks []envelope.Chunk
		for id := first; len(chunks) < want; id.Seq++ {
			c, ok := t.Chunk(id)
			if !ok {
				break
			}
			chunks = append(chunks, c)
		}
		if len(chunks) == want {
			return chunks, nil
		}
	}
	track := p.track.Load()
	if track == nil {
		if _, ok := p.kept(); !ok {
			return nil, fmt.Errorf("%w: %w", shim.ErrGone, errPast) // deleted meanwhile
		}
		return nil, errPast
	}
	chunks, err := track.FetchChunks(ctx, first, last)
	if errors.Is(err, mesh.ErrRange) {
		err = fmt.Errorf("%w: %w", shim.ErrGone, err)
	}
	return chunks, err
}

// Chunk implements shim.Blocks: from memory, else from the recording.
func (p *past) Chunk(id envelope.ID) (envelope.Chunk, bool) {
	if w := p.window(); w != nil {
		if c, ok := w.Chunk(id); ok {
			return c, true
		}
	}
	if t, ok := p.here(); ok {
		return t.Chunk(id)
	}
	return envelope.Chunk{}, false
}
