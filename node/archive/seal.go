package archive

import (
	"bytes"
	"fmt"
	"slices"

	car "github.com/ipld/go-car/v2"
)

// unseal makes a sealed file one that can be appended to. Call with the lock held.
func (r *Recording) unseal() error {
	if r.sealed == nil {
		return nil
	}
	if r.covered.Swap(false) {
		r.s.refresh()
	}
	if r.st.Sealed {
		r.st.Sealed = false
		if err := r.save(); err != nil {
			r.st.Sealed = true
			return err
		}
	}
	head := fileHead(noRoot)
	if root := r.st.root(); root.Defined() {
		head = fileHead(root)
	}
	if _, err := r.f.WriteAt(head, 0); err != nil {
		return diskError("unseal", err)
	}
	if err := r.f.Truncate(r.end); err != nil {
		return fmt.Errorf("unseal: %w", err)
	}
	r.sealed = nil
	return r.sync()
}

// sync forces the file to disk. Call with the lock held.
func (r *Recording) sync() error {
	if r.f == nil {
		return nil
	}
	if err := r.f.Sync(); err != nil {
		return diskError("sync", err)
	}
	r.dirty = 0
	return nil
}

// seal writes the index and the header, so that the file is a CARv2 for every reader and needs nothing in memory here.
// Call with the lock held and the table loaded.
func (r *Recording) seal() error {
	if r.sealed != nil || r.t == nil || r.s.cfg.ReadOnly {
		return nil
	}
	entries := r.entries()
	if !r.loaded() {
		return errScratch
	}
	return r.sealWith(entries)
}

// entries returns what the index must hold, sorted. Call with a lock held.
func (r *Recording) entries() []indexEntry {
	entries := make([]indexEntry, 0, r.t.count)
	r.t.each(func(n uint32, p place) {
		if r.t.good(n) { // what is damaged is not in the index, so missing
			entries = append(entries, indexEntry{p.digest, p.off()})
		}
	})
	slices.SortFunc(entries, func(a, b indexEntry) int { return bytes.Compare(a.digest[:], b.digest[:]) })
	return entries
}

// sealBehind seals a recording that was just finished, without keeping anyone from reading it for long.
func (r *Recording) sealBehind() {
	if err := r.rlock(true); err != nil {
		return
	}
	end, entries := r.end, r.entries()
	r.mu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || !r.loaded() || r.sealed != nil || r.end != end {
		return // closing it seals it
	}
	if err := r.sealWith(entries); err != nil {
		r.log.Warn("recording not sealed", "err", err)
	}
}

func (r *Recording) sealWith(entries []indexEntry) error {
	end, err := writeIndex(r.f, r.end, entries)
	if err == nil {
		err = r.f.Truncate(end) // nothing of an index that was longer
	}
	if err == nil {
		err = r.sync()
	}
	if err == nil {
		_, err = r.f.WriteAt(sealedHeader(r.end), car.PragmaSize)
	}
	if err == nil {
		err = r.sync()
	}
	if err != nil {
		r.f.WriteAt(make([]byte, car.HeaderSize), car.PragmaSize) //nolint:errcheck // as it was, if the disk lets us
		r.f.Truncate(r.end)                                       //nolint:errcheck // Open cuts it
		return fmt.Errorf("seal: %w", diskError("index", err))
	}
	x, ok := openIndex(r.f, r.end, end)
	if !ok {
		return fmt.Errorf("seal: %w: the index cannot be read back", ErrCorrupt)
	}
	r.sealed = x
	r.st.Sealed = true
	return r.save()
}

// unload lets the file and the table go. Call with the lock held.
func (r *Recording) unload() error {
	if r.f == nil {
		return nil
	}
	var err error
	if r.dirty > 0 {
		err = r.sync()
	}
	if r.loaded() && err == nil && !r.s.cfg.ReadOnly {
		if r.sealed == nil && r.live() {
			err = r.save()
		} else if r.sealed == nil {
			err = r.seal()
		}
	}
	if cerr := r.f.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close recording: %w", cerr)
	}
	if terr := r.forgetTable(); err == nil {
		err = terr
	}
	r.f, r.sealed = nil, nil
	r.initMu.Lock()
	r.inits = nil
	r.initMu.Unlock()
	return err
}
