package archive

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"murmuration/chunker/envelope"
)

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 256<<10); return &b }}

// Append keeps a chunk that the caller has verified, in any order, and reports whether it was not there before: not at
// all, or damaged. The first of two different chunks with one id stands. Chunk and block are with the operating system
// when it returns; see the package comment for what a power cut may cost. ErrFull leaves the recording as it was. A
// finished recording takes what it lost, and refuses what it never had with ErrFinished.
func (r *Recording) Append(c envelope.Chunk) (added bool, err error) {
	if r.s.cfg.ReadOnly {
		return false, ErrReadOnly
	}
	if c.Envelope == nil || c.Channel != r.key.Channel || c.Broadcast != r.key.Broadcast {
		return false, fmt.Errorf("append: a chunk of another broadcast")
	}
	if len(c.Block) != int(c.BlockSize) || len(c.Block) >= envelope.MaxBlock || len(c.Raw) == 0 || len(c.Raw) > envelope.MaxEncoded ||
		len(c.Init) > envelope.MaxInit {
		return false, fmt.Errorf("append %v: sizes that do not fit", c.ID())
	}
	if err := r.rlock(true); err != nil {
		return false, err
	}
	r.mu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ready(true); err != nil { // somebody may have closed it in between
		return false, err
	}
	added, err = r.append(c)
	if r.t != nil && !r.loaded() { // the scratch file cannot be read: what was written is in the CAR
		if err = r.load(); err == nil {
			again, err := r.append(c)
			return added || again, err
		}
	}
	return added, err
}

// append is Append with the lock held and the table loaded.
func (r *Recording) append(c envelope.Chunk) (added bool, err error) {
	var old entry
	known := false
	list := r.tracks[c.Track]
	if list != nil {
		old, known = list.get(c.ID())
	}
	had := known && old.there(r.t)
	if had && !r.lacks(c.Envelope.Init.KeyString(), c.Init) {
		return false, nil
	}
	if !known && r.st.State == Finished && !r.lost(c.Envelope) {
		return false, ErrFinished
	}
	raw := sha(c.Raw)
	if known && r.t.good(old.envelope) && r.t.at(old.envelope).digest != raw {
		r.log.Warn("two chunks with one id: the first stands", "track", c.Track, "chunk", c.ID())
		return false, nil
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	w := batch{b: (*buf)[:0]}
	if len(c.Init) > 0 && r.lacks(c.Envelope.Init.KeyString(), c.Init) {
		w.add(codecRaw, sha(c.Init), c.Init)
	}
	block, _, _ := asDigest(c.Envelope.Block)
	if !c.Flags.Has(envelope.End) && !r.t.good(r.t.find(block)) {
		w.add(codecRaw, block, c.Block)
	}
	if !r.t.good(r.t.find(raw)) {
		w.add(codecCBOR, raw, c.Raw)
	}
	*buf = w.b
	if err := r.write(&w); err != nil {
		if list != nil {
			list.see(c.ID()) // so that the gap is known at once
		}
		return false, fmt.Errorf("append %s %v: %w", c.Track, c.ID(), err)
	}
	if !known {
		before := r.st.Scheme
		r.list(c.Envelope, r.t.find(raw))
		if r.st.Scheme != before { // the small file is to say so before anybody looks, whatever happens to us
			if err := r.save(); err != nil {
				r.log.Warn("state not saved", "err", err)
			}
		}
		r.turn(c.Envelope)
		return true, nil
	}
	old.envelope = r.t.find(raw)
	if !c.Flags.Has(envelope.End) {
		old.block = r.t.find(block)
	}
	list.set(c.ID(), old)
	return !had, nil
}

// lost reports whether a chunk that a finished recording does not list may have been in it: its block is here, or it is
// before the newest one. Only what came after the end is refused.
func (r *Recording) lost(e *envelope.Envelope) bool {
	list := r.tracks[e.Track]
	if list == nil || len(list.epochs) == 0 {
		d, _, _ := asDigest(e.Block)
		return r.t.good(r.t.find(d))
	}
	if newest := list.epochs[len(list.epochs)-1]; e.Flags.Has(envelope.End) && e.Epoch == newest.number {
		return true
	}
	d, _, _ := asDigest(e.Block)
	return e.ID().Less(list.newest()) || r.t.good(r.t.find(d))
}

// turn notes that the broadcast ended, or went on after all, by a chunk that was just listed.
func (r *Recording) turn(e *envelope.Envelope) {
	switch {
	case r.st.State == Live && e.Flags.Has(envelope.End): // save looks whether all tracks have ended
	case r.st.State == Partial && r.st.Root == "" && !r.tracks[e.Track].ended():
		if r.tracks[e.Track].epochs[len(r.tracks[e.Track].epochs)-1].number != e.Epoch {
			return // a gap was filled
		}
		r.st.State, r.st.Ended = Live, time.Time{}
	default:
		return
	}
	if err := r.save(); err != nil {
		r.log.Warn("state not saved", "err", err)
	}
	r.s.notify()
}

// lacks reports whether an init segment (by the bytes of its CID) is at hand and not in the file.
func (r *Recording) lacks(key string, init []byte) bool {
	if len(init) == 0 || len(key) != cidSize {
		return false
	}
	return !r.t.good(r.t.find(digest([]byte(key[cidSize-len(digest{}):]))))
}

// batch is sections that are written at once.
type batch struct {
	b        []byte
	sections []section // their offsets are from the beginning of b
}

func (w *batch) add(k codec, d digest, block []byte) {
	off := len(w.b)
	w.b = appendSection(w.b, k, d, block)
	w.sections = append(w.sections, section{off: int64(off), head: len(w.b) - off - len(block), size: len(block), codec: k, digest: d})
}

// write appends a batch to the file, in one call to the operating system, and to the table. Call with the lock held.
func (r *Recording) write(w *batch) error {
	if len(w.sections) == 0 {
		return nil
	}
	if err := r.unseal(); err != nil {
		return err
	}
	if _, err := r.f.WriteAt(w.b, r.end); err != nil {
		err = diskError("write", err)
		if cut := r.f.Truncate(r.end); cut != nil { // the next write goes to the same place, and Open cuts what is left
			r.log.Warn("piece of a chunk not cut back", "err", cut)
		}
		if !r.full {
			r.full = true
			r.log.Warn("recording has gaps from here on", "err", err)
			r.s.notify()
		}
		return err
	}
	if r.full {
		r.full = false
		r.log.Info("recording goes on")
		r.s.notify()
	}
	for _, s := range w.sections {
		r.t.put(s.digest, r.end+s.off, s.size)
		delete(r.bad, s.digest)
		r.arrived(s.digest)
	}
	r.end += int64(len(w.b))
	r.dirty += int64(len(w.b))
	if r.dirty >= syncBytes {
		return r.sync()
	}
	r.s.soon(r)
	return nil
}

// live reports whether chunks are still expected. Call with a lock held and the table loaded.
func (r *Recording) live() bool {
	if r.st.State != Live {
		return false
	}
	for _, c := range r.tracks {
		if !c.ended() {
			return true
		}
	}
	return len(r.tracks) == 0
}

// trackNames returns the tracks' names, sorted.
func (r *Recording) trackNames() []string {
	names := make([]string, 0, len(r.tracks))
	for name := range r.tracks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
