package archive

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"murmuration/chunker/envelope"
)

// Create begins a recording, or opens the one that is not finished yet. ErrFinished where it is.
func (s *Store) Create(k Key, m Meta) (*Recording, error) {
	if s.cfg.ReadOnly {
		return nil, ErrReadOnly
	}
	if err := envelope.CheckName(k.Broadcast); err != nil {
		return nil, fmt.Errorf("create recording: %w", err)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	if r := s.recs[k]; r != nil {
		s.mu.Unlock()
		return r.reopen(m)
	}
	r := s.recording(k)
	if m.Started.IsZero() {
		m.Started = time.Now()
	}
	r.st = state{Title: cleanTitle(m.Title), Started: m.Started.UTC(), Own: m.Own, State: Live, Size: sectionsStart}
	r.mu.Lock() // nobody sees it before it is ready
	defer r.mu.Unlock()
	s.recs[k] = r
	s.snapshot()
	s.mu.Unlock()

	err := os.MkdirAll(filepath.Dir(r.base), 0o700)
	if err == nil {
		err = syncDir(s.cfg.Dir)
	}
	if err == nil {
		err = r.save()
	}
	if err == nil {
		err = r.load()
	}
	if err == nil {
		err = r.sync()
	}
	if err == nil {
		err = syncDir(filepath.Dir(r.base))
	}
	if err != nil {
		r.drop() //nolint:errcheck // the first error is what counts
		s.forget(r)
		return nil, fmt.Errorf("create recording: %w", err)
	}
	s.notify()
	return r, nil
}

// reopen is Create for a recording that is there.
func (r *Recording) reopen(m Meta) (*Recording, error) {
	r.mu.RLock()
	st := r.st
	gone := r.gone
	r.mu.RUnlock()
	switch {
	case gone:
		return nil, ErrClosed
	case st.State == Finished:
		return nil, ErrFinished
	case st.Title == "" && m.Title != "" || m.Own && !st.Own || st.Started.IsZero() && !m.Started.IsZero():
		return r, r.change(func(st *state) {
			if st.Title == "" {
				st.Title = cleanTitle(m.Title)
			}
			if st.Started.IsZero() {
				st.Started = m.Started.UTC()
			}
			st.Own = st.Own || m.Own
		})
	}
	return r, nil
}
