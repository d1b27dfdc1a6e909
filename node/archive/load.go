package archive

import (
	"errors"
	"fmt"
	"os"
	"time"

	"murmuration/chunker/envelope"
)

// rlock locks the recording for reading. With tracks, the chunks' table is loaded; else finding blocks is possible.
func (r *Recording) rlock(tracks bool) error {
	r.used.Store(time.Now().UnixNano())
	for {
		r.mu.RLock()
		switch {
		case r.gone:
			r.mu.RUnlock()
			return ErrClosed
		case r.loaded(), r.sealed != nil && !tracks:
			return nil
		}
		r.mu.RUnlock()
		r.mu.Lock()
		err := r.ready(tracks)
		r.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// ready opens what rlock wants. Call with the lock held.
func (r *Recording) ready(tracks bool) error {
	switch {
	case r.gone:
		return ErrClosed
	case r.loaded(), r.sealed != nil && !tracks:
		return nil
	}
	if err := r.openFile(); err != nil {
		return err
	}
	if r.sealed == nil || tracks {
		return r.load()
	}
	return nil
}

// loaded reports whether the chunks' table is there, and can be read. Call with a lock held.
func (r *Recording) loaded() bool { return r.t != nil && !r.t.scratch.broken.Load() }

// forgetTable lets the table and the tracks go. Call with the lock held.
func (r *Recording) forgetTable() error {
	var err error
	if r.t != nil {
		err = r.t.scratch.close()
	}
	r.t, r.tracks, r.waiting = nil, nil, nil
	return err
}

// openFile opens the CAR, and its index where it has one. Call with the lock held.
func (r *Recording) openFile() error {
	if r.f != nil {
		return nil
	}
	flag := os.O_RDWR
	if r.s.cfg.ReadOnly {
		flag = os.O_RDONLY
	}
	f, err := r.s.open(r.base+".car", flag)
	if errors.Is(err, os.ErrNotExist) && !r.s.cfg.ReadOnly {
		f, err = r.s.open(r.base+".car", flag|os.O_CREATE)
	}
	if err != nil {
		return fmt.Errorf("open recording: %w", err)
	}
	size, err := fileSize(f)
	if err != nil {
		f.Close()
		return fmt.Errorf("open recording: %w", err)
	}
	head := make([]byte, sectionsStart)
	n, _ := f.ReadAt(head, 0) // what cannot be read is written anew
	r.f, r.end, r.sealed = f, size, nil
	if end, ok := sealedEnd(head[:n], size); ok && r.st.Sealed {
		if x, ok := openIndex(f, end, size); ok {
			r.end, r.sealed = end, x
		}
	}
	r.s.opened(r)
	return nil
}

// load reads the file's sections into the table. It cuts a torn tail off. Call with the lock held.
func (r *Recording) load() error {
	if err := r.openFile(); err != nil {
		return err
	}
	if r.sealed == nil {
		if err := r.repairHead(); err != nil {
			return err
		}
	}
	verifyFrom := r.end
	if r.sealed == nil {
		verifyFrom = max(r.end-tailSize, sectionsStart)
	}
	r.forgetTable() //nolint:errcheck // only what was read from the file is in it
	r.t, r.tracks, r.waiting = newTable(newScratch(r)), map[string]*chunks{}, map[digest][]waiter{}
	good, damaged, err := scan(r.f, sectionsStart, r.end, verifyFrom, r.take)
	if err != nil {
		return errors.Join(fmt.Errorf("read recording: %w", err), r.forgetTable())
	}
	r.resolve()
	for d := range r.bad {
		if n := r.t.find(d); n != none {
			r.t.damaged[n] = struct{}{}
		}
	}
	if r.junk = damaged; damaged > 0 {
		r.log.Warn("recording is damaged", "bytes", damaged)
	}
	if good < r.end && r.sealed == nil {
		if !r.s.cfg.ReadOnly {
			r.log.Info("torn tail cut off", "bytes", r.end-good)
			if err := r.f.Truncate(good); err != nil {
				return fmt.Errorf("cut torn tail: %w", err)
			}
		}
		r.end = good
	}
	return nil
}

// repairHead writes the file's first bytes where they are not what they should be: a new file, a torn or damaged one.
func (r *Recording) repairHead() error {
	if r.s.cfg.ReadOnly {
		return nil
	}
	want := fileHead(noRoot)
	if root := r.st.root(); root.Defined() {
		want = fileHead(root)
	}
	head := make([]byte, sectionsStart)
	n, _ := r.f.ReadAt(head, 0)
	if r.st.Root == "" {
		if root, ok := headRoot(head[:n]); ok {
			r.st.Root = root.String() // the small file was lost
			want = fileHead(root)
		}
	}
	if string(head[:n]) == string(want) {
		return nil
	}
	if _, err := r.f.WriteAt(want, 0); err != nil {
		return diskError("write recording's head", err)
	}
	r.end = max(r.end, sectionsStart)
	return nil
}

// take puts a scanned section into the table.
func (r *Recording) take(s section, block []byte) error {
	n := r.t.put(s.digest, s.off, s.size)
	if s.codec == codecCBOR {
		r.takeEnvelope(n, block)
	}
	return nil
}

// takeEnvelope lists the chunk of an envelope in the file. What is not this recording's is no chunk.
func (r *Recording) takeEnvelope(n uint32, raw []byte) {
	e, err := envelope.Decode(raw)
	if err != nil || e.Channel != r.key.Channel || e.Broadcast != r.key.Broadcast {
		return
	}
	r.list(e, n)
}

// list puts an envelope's chunk on its track's list, and on the list of those that wait where its block is not there.
func (r *Recording) list(e *envelope.Envelope, n uint32) {
	if e.Key.Sealed() {
		r.st.Scheme = e.Key.Scheme
	}
	c := r.tracks[e.Track]
	if c == nil {
		c = &chunks{scratch: r.t.scratch}
		r.tracks[e.Track] = c
	}
	block := none
	if !e.Flags.Has(envelope.End) {
		d, _, _ := asDigest(e.Block)
		if block = r.t.find(d); block == none {
			r.waiting[d] = append(r.waiting[d], waiter{e.Track, e.ID()})
		}
	}
	c.add(e, n, block)
}

// resolve gives those that wait their blocks, where they came since.
func (r *Recording) resolve() {
	for d := range r.waiting {
		r.arrived(d)
	}
}

// arrived gives a block that was put into the table to the chunks that wait for it.
func (r *Recording) arrived(d digest) {
	list, ok := r.waiting[d]
	if !ok {
		return
	}
	n := r.t.find(d)
	if n == none {
		return
	}
	for _, w := range list {
		c := r.tracks[w.track]
		if e, ok := c.get(w.id); ok {
			e.block = n
			c.set(w.id, e)
		}
	}
	delete(r.waiting, d)
}
