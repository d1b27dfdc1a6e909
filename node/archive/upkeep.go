package archive

import (
	"errors"
	"os"
	"time"
)

// soon has a recording forced to disk within Config.Sync.
func (s *Store) soon(r *Recording) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dirty) == 0 && !s.closed {
		s.sync = time.AfterFunc(s.cfg.Sync, s.syncAll)
	}
	s.dirty[r] = struct{}{}
}

// syncAll forces all that was written to disk, without keeping anyone from writing on.
func (s *Store) syncAll() {
	s.mu.Lock()
	list := make([]*Recording, 0, len(s.dirty))
	for r := range s.dirty {
		list = append(list, r)
	}
	clear(s.dirty)
	s.mu.Unlock()
	for _, r := range list {
		r.syncBehind()
	}
}

// syncBehind forces what is written by now to disk, under a read lock: writers wait for the system call only.
func (r *Recording) syncBehind() {
	r.mu.RLock()
	f, dirty := r.f, r.dirty
	if f == nil || dirty == 0 {
		r.mu.RUnlock()
		return
	}
	r.mu.RUnlock()
	if err := f.Sync(); err != nil {
		if !errors.Is(err, os.ErrClosed) { // closing syncs by itself
			r.log.Error("recording not forced to disk", "err", err)
			r.s.soon(r)
		}
		return
	}
	r.mu.Lock()
	r.dirty = max(r.dirty-dirty, 0)
	r.mu.Unlock()
}

// opened notes that a recording has a file open, which sweep closes again.
func (s *Store) opened(r *Recording) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.inUse) == 0 && !s.closed {
		s.sweeper = time.AfterFunc(s.cfg.Idle, s.sweep)
	}
	s.inUse[r] = struct{}{}
}

// sweep closes what nobody used for a while.
func (s *Store) sweep() {
	s.mu.Lock()
	list := make([]*Recording, 0, len(s.inUse))
	for r := range s.inUse {
		list = append(list, r)
	}
	s.mu.Unlock()
	for _, r := range list {
		if time.Since(time.Unix(0, r.used.Load())) < s.cfg.Idle || !r.work.TryLock() {
			continue
		}
		r.mu.Lock()
		if r.f != nil && (r.t == nil || !r.live()) {
			if err := r.unload(); err != nil {
				r.log.Warn("recording not closed", "err", err)
			}
		}
		closed, sealed := r.f == nil, r.st.Sealed
		r.mu.Unlock()
		r.work.Unlock()
		if closed && sealed && !r.covered.Load() {
			s.cover(r) // opens it again
			continue
		}
		if closed {
			s.mu.Lock()
			delete(s.inUse, r)
			s.mu.Unlock()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.inUse) > 0 && !s.closed {
		s.sweeper = time.AfterFunc(s.cfg.Idle, s.sweep)
	}
}

// refresh takes account of a recording that the catalog covers now, or not any more.
func (s *Store) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshot()
}

// coverAll has the catalog know those of the recordings that are sealed: after a crash, or where the catalog was lost.
func (s *Store) coverAll(list []*Recording) {
	for _, r := range list {
		s.mu.Lock()
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return
		}
		r.mu.RLock()
		sealed := r.st.Sealed
		r.mu.RUnlock()
		if sealed {
			s.cover(r)
		}
	}
}

// cover has the catalog know a sealed recording.
func (s *Store) cover(r *Recording) {
	if s.cat == nil || r.key == (Key{}) {
		return
	}
	if err := s.cat.add(r); err != nil {
		r.log.Warn("recording not in the catalog", "err", err)
	}
	if r.covered.Load() {
		s.refresh()
	}
}
