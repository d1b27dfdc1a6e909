package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs/go-cid"
)

// Has reports whether a block is in any recording. It does not read the block: one whose damage nobody has met yet
// counts as there.
func (s *Store) Has(ctx context.Context, c cid.Cid) (bool, error) {
	_, _, err := s.locate(ctx, c, false)
	return err == nil, noError(err)
}

// GetSize returns the size of a block in bytes.
func (s *Store) GetSize(ctx context.Context, c cid.Cid) (int, error) {
	sec, _, err := s.locate(ctx, c, false)
	if err != nil {
		return -1, err
	}
	return sec.size, nil
}

// Get returns a block, its hash checked.
func (s *Store) Get(ctx context.Context, c cid.Cid) ([]byte, error) {
	_, b, err := s.locate(ctx, c, true)
	return b, err
}

type notFound struct{ c cid.Cid }

func (e notFound) Error() string { return fmt.Sprintf("block %s: %v", e.c, ErrNotFound) }
func (e notFound) Unwrap() error { return ErrNotFound }

// NotFound makes the error the one that IPFS libraries look for.
func (e notFound) NotFound() bool { return true }

func noError(err error) error {
	if _, ok := err.(notFound); ok { //nolint:errorlint // made a few lines from here
		return nil
	}
	return err
}

// locate finds a block, and reads it where wanted. A copy that is damaged does not end the search.
func (s *Store) locate(ctx context.Context, c cid.Cid, read bool) (section, []byte, error) {
	d, _, ok := asDigest(c)
	if !ok {
		return section{}, nil, notFound{c}
	}
	last := s.last.Load()
	if last != nil { // blocks are asked for one recording at a time
		if sec, b, err := last.block(d, read); err == nil {
			return sec, b, nil
		}
	}
	var sec section
	var b []byte
	try := func(r *Recording) bool {
		if r == last || ctx.Err() != nil {
			return false
		}
		var err error
		if sec, b, err = r.block(d, read); err == nil {
			s.last.Store(r)
		}
		return err == nil
	}
	if slices.ContainsFunc(*s.look.Load(), try) {
		return sec, b, nil
	}
	if s.cat != nil && slices.ContainsFunc(s.cat.find(d), try) {
		return sec, b, nil
	}
	if err := ctx.Err(); err != nil {
		return section{}, nil, err
	}
	return section{}, nil, notFound{c}
}

// block finds a block of the recording, and reads it where wanted.
func (r *Recording) block(d digest, read bool) (section, []byte, error) {
	if err := r.rlock(false); err != nil {
		return section{}, nil, err
	}
	sec, err := r.seek(d)
	var b []byte
	right := true
	if err == nil && read {
		b = make([]byte, sec.size)
		right, err = sec.readBlock(r.f, b)
	}
	r.mu.RUnlock()
	if errors.Is(err, ErrCorrupt) {
		r.damage(d)
		err = ErrNotFound
	}
	if err != nil {
		return section{}, nil, err
	}
	if !right {
		r.damage(d)
		return section{}, nil, ErrNotFound
	}
	return sec, b, nil
}

// seek returns where the block with a digest lies. Call with a lock held, the table or the index ready.
func (r *Recording) seek(d digest) (section, error) {
	if _, bad := r.bad[d]; bad {
		return section{}, ErrNotFound
	}
	var off int64
	if r.t != nil {
		n := r.t.find(d)
		if !r.t.good(n) {
			return section{}, ErrNotFound
		}
		if off = r.t.at(n).off(); !r.loaded() {
			return section{}, ErrNotFound // for now
		}
	} else {
		at, ok, err := r.sealed.find(d)
		if err != nil || !ok || at < sectionsStart {
			return section{}, ErrNotFound
		}
		off = at
	}
	sec, err := readSection(r.f, off, r.end)
	if err != nil || sec.digest != d {
		return section{}, ErrCorrupt // it was there
	}
	return sec, nil
}

// damage notes that a block's bytes are not what they should be: it is missing from now on.
func (r *Recording) damage(d digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return
	}
	if _, known := r.bad[d]; known {
		return
	}
	r.log.Warn("damaged block", "cid", asCID(d, codecRaw))
	r.bad[d] = struct{}{}
	if r.t != nil {
		if n := r.t.find(d); n != none {
			r.t.damaged[n] = struct{}{}
		}
	}
	r.s.notify()
}
