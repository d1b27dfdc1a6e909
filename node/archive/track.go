package archive

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/playlist"
)

// Track reads one track of a recording, while it grows, too. It is what the mesh's log protocol serves from.
type Track struct {
	r    *Recording
	name string
}

// Track returns a track of which at least one envelope is here.
func (r *Recording) Track(name string) (*Track, bool) {
	if err := r.rlock(true); err != nil {
		return nil, false
	}
	defer r.mu.RUnlock()
	_, ok := r.tracks[name]
	return &Track{r, name}, ok
}

// Name returns the track's name.
func (t *Track) Name() string { return t.name }

// view calls f with the track's list, under a read lock.
func (t *Track) view(f func(c *chunks)) {
	if err := t.r.rlock(true); err != nil {
		return
	}
	defer t.r.mu.RUnlock()
	if c := t.r.tracks[t.name]; c != nil {
		f(c)
	}
}

// pick is a chunk that was chosen under the lock, to be read without.
type pick struct {
	id   envelope.ID
	size int // bytes of envelope and block
}

// Range returns the chunks with from <= id <= to that are there, ascending, at most count of them and about size bytes
// (one chunk at least, where there is one). More reports that the limits cut it short.
func (t *Track) Range(from, to envelope.ID, count, size int) (list []envelope.Chunk, more bool) {
	var picks []pick
	t.view(func(c *chunks) {
		left := size
		c.from(from, to, func(id envelope.ID, e *entry) bool {
			if !e.there(t.r.t) {
				return true
			}
			p := pick{id: id, size: int(e.size) + t.r.t.at(e.envelope).size()}
			if len(picks) >= count || len(picks) > 0 && p.size > left {
				more = true
				return false
			}
			left -= p.size
			picks = append(picks, p)
			return true
		})
	})
	return t.read(picks), more
}

// Latest is Range from the newest independent chunk that has at least span of the track after it, or from the oldest
// independent one.
func (t *Track) Latest(span time.Duration, count, size int) ([]envelope.Chunk, bool) {
	var start, newest envelope.ID
	found := false
	t.view(func(c *chunks) {
		var end time.Time
		c.backward(func(id envelope.ID, e *entry) bool {
			if !e.there(t.r.t) {
				return true
			}
			at := time.UnixMicro(e.captured)
			if !found {
				found = true
				newest = id
				end = at.Add(c.part(id, e).Length())
			}
			if !e.flags.Has(envelope.Independent) {
				return true
			}
			start = id
			return end.Sub(at) < span
		})
	})
	if !found {
		return nil, false
	}
	return t.Range(start, newest, count, size)
}

// read reads chosen chunks. Those whose damage shows only now are left out.
func (t *Track) read(picks []pick) []envelope.Chunk {
	if len(picks) == 0 {
		return nil
	}
	list := make([]envelope.Chunk, 0, len(picks))
	for _, p := range picks {
		if c, ok := t.Chunk(p.id); ok {
			list = append(list, c)
		}
	}
	return list
}

// Chunk returns a chunk, with its init segment where that is here. The hashes of both blocks are checked.
func (t *Track) Chunk(id envelope.ID) (envelope.Chunk, bool) {
	var env, block place
	var end bool
	found := false
	if err := t.r.rlock(true); err != nil {
		return envelope.Chunk{}, false
	}
	if c := t.r.tracks[t.name]; c != nil {
		if e, ok := c.get(id); ok && e.there(t.r.t) {
			found = true
			env = t.r.t.at(e.envelope)
			if end = e.flags.Has(envelope.End); !end {
				block = t.r.t.at(e.block)
			}
		}
	}
	if !found {
		t.r.mu.RUnlock()
		return envelope.Chunk{}, false
	}
	var bad []digest
	raw, d, err := t.r.readPlace(env)
	if err != nil {
		bad = append(bad, d)
	}
	var data []byte
	if err == nil && !end {
		if data, d, err = t.r.readPlace(block); err != nil {
			bad = append(bad, d)
		}
	}
	t.r.mu.RUnlock()
	if err != nil {
		t.damaged(id, bad)
		return envelope.Chunk{}, false
	}
	e, err := envelope.Decode(raw)
	if err != nil || e.ID() != id || e.Track != t.name || !end && d != digest([]byte(e.Block.KeyString()[4:])) {
		return envelope.Chunk{}, false
	}
	c := envelope.Chunk{Envelope: e, Raw: raw, Block: data}
	c.Init, _ = t.r.init(e.Init)
	return c, true
}

// damaged notes which blocks of a chunk are damaged. Where even a CID in the file is, the number of the section tells.
func (t *Track) damaged(id envelope.ID, bad []digest) {
	for _, d := range bad {
		if d != (digest{}) {
			t.r.damage(d)
			return
		}
	}
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	if t.r.t == nil || t.r.tracks[t.name] == nil {
		return
	}
	if e, ok := t.r.tracks[t.name].get(id); ok {
		for _, n := range []uint32{e.envelope, e.block} {
			if n == none {
				continue
			}
			p := t.r.t.at(n)
			if s, err := readSection(t.r.f, p.off(), t.r.end); err != nil || s.digest != p.digest {
				t.r.t.damaged[n] = struct{}{}
			}
		}
	}
}

// readPlace reads a block in one read. Call with a lock held. The digest is zero where the CID in the file is damaged.
func (r *Recording) readPlace(p place) ([]byte, digest, error) {
	whole := sectionSize(p.size())
	b := make([]byte, whole)
	if n, err := r.f.ReadAt(b, p.off()); n < len(b) {
		return nil, digest{}, fmt.Errorf("read: %w", err)
	}
	s, err := parseSection(b, p.off())
	if err != nil || s.size != p.size() || s.digest != p.digest {
		return nil, digest{}, ErrCorrupt
	}
	if data := b[s.head:]; sha(data) == s.digest {
		return slices.Clip(data), s.digest, nil
	}
	return nil, s.digest, ErrCorrupt
}

// Init returns an init segment by its CID.
func (t *Track) Init(c cid.Cid) ([]byte, bool) { return t.r.init(c) }

// maxInits is how many init segments of a recording are kept in memory.
const maxInits = 8

func (r *Recording) init(c cid.Cid) ([]byte, bool) {
	d, k, ok := asDigest(c)
	if !ok || k != codecRaw {
		return nil, false
	}
	r.initMu.Lock()
	b, ok := r.inits[d]
	r.initMu.Unlock()
	if ok {
		return b, true
	}
	if err := r.rlock(true); err != nil {
		return nil, false
	}
	known := false
	for _, c := range r.tracks {
		for _, f := range c.formats {
			if fd, _, ok := asDigest(f.init); ok && fd == d {
				known = true
			}
		}
	}
	r.mu.RUnlock()
	if !known {
		return nil, false // some block, but no init segment
	}
	sec, b, err := r.block(d, true)
	if err != nil || sec.size > envelope.MaxInit {
		return nil, false
	}
	r.initMu.Lock()
	defer r.initMu.Unlock()
	if r.inits == nil || len(r.inits) >= maxInits {
		r.inits = map[digest][]byte{}
	}
	r.inits[d] = b
	return b, true
}

// Newest returns the id of the newest chunk.
func (t *Track) Newest() (newest envelope.ID, found bool) {
	t.view(func(c *chunks) {
		c.backward(func(id envelope.ID, e *entry) bool {
			if found = e.there(t.r.t); found {
				newest = id
			}
			return !found
		})
	})
	return newest, found
}

// Parts returns what a playlist needs of the chunks with from <= id <= to that are there, ascending.
func (t *Track) Parts(from, to envelope.ID) []playlist.Part {
	list, _ := t.PartsUpTo(from, to, math.MaxInt)
	return list
}

// PartsUpTo is Parts for count of them at most; more reports that there are others.
func (t *Track) PartsUpTo(from, to envelope.ID, count int) (list []playlist.Part, more bool) {
	t.view(func(c *chunks) {
		c.from(from, to, func(id envelope.ID, e *entry) bool {
			if !e.there(t.r.t) {
				return true
			}
			if more = len(list) == count; !more {
				list = append(list, c.part(id, e))
			}
			return !more
		})
	})
	return list, more
}
