package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"
)

// Config says where recordings are kept, and how.
type Config struct {
	Dir      string        // folder of the recordings; made with permissions 0700
	ReadOnly bool          // look without the lock and change nothing
	Sync     time.Duration // how often data is forced to disk: what a power cut may cost; default 1 s
	Idle     time.Duration // after which files that nobody reads are closed; default 1 min
	Log      *slog.Logger  // default: none

	// Still makes a poster for the view: a JPEG of the first picture of a small MP4. Nil: there is none.
	Still func(ctx context.Context, mp4 []byte) ([]byte, error)

	open opener // tests stand in for the disk
}

// Store keeps recordings in a folder. It is safe for concurrent use.
type Store struct {
	cfg  Config
	log  *slog.Logger
	open opener
	lock *os.File

	all  atomic.Pointer[[]*Recording] // a snapshot of the list
	look atomic.Pointer[[]*Recording] // those that the catalog does not cover
	last atomic.Pointer[Recording]    // where the last block was found
	cat  *catalog                     // nil in a store that is only looked at

	mu      sync.Mutex
	recs    map[Key]*Recording
	changed chan struct{}
	closed  bool
	dirty   map[*Recording]struct{} // to be forced to disk by the next syncAll
	inUse   map[*Recording]struct{} // with an open file
	sync    *time.Timer
	sweeper *time.Timer

	sealing sync.WaitGroup
}

// Open opens the recordings in a folder and resumes what a crash left. The error that wraps ErrLocked names the process
// that has them open.
func Open(cfg Config) (*Store, error) {
	if cfg.Sync <= 0 {
		cfg.Sync = time.Second
	}
	if cfg.Idle <= 0 {
		cfg.Idle = time.Minute
	}
	s := &Store{
		cfg: cfg, log: cfg.Log, open: cfg.open, recs: map[Key]*Recording{}, changed: make(chan struct{}),
		dirty: map[*Recording]struct{}{}, inUse: map[*Recording]struct{}{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.open == nil {
		s.open = openFile
	}
	if !cfg.ReadOnly {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("recordings: %w", err)
		}
		lock, err := lockDir(cfg.Dir)
		if err != nil {
			return nil, err
		}
		s.lock = lock
	}
	if err := s.find(); err != nil {
		s.Close()
		return nil, fmt.Errorf("recordings: %w", err)
	}
	if !cfg.ReadOnly {
		s.cat = openCatalog(s, filepath.Join(cfg.Dir, "catalog"))
		s.refresh()
		if look := *s.look.Load(); len(look) > 0 {
			s.sealing.Go(func() { s.coverAll(look) })
		}
	}
	return s, nil
}

// snapshot publishes the list for finding blocks.
func (s *Store) snapshot() {
	list := make([]*Recording, 0, len(s.recs))
	var look []*Recording
	for _, r := range s.recs {
		list = append(list, r)
		if !r.covered.Load() {
			look = append(look, r)
		}
	}
	s.all.Store(&list)
	s.look.Store(&look)
}

// notify tells those who wait on Changed.
func (s *Store) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the next change of the list or of what List tells, sizes apart.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// drop deletes the recording's files. Call with its lock held.
func (r *Recording) drop() error {
	r.gone = true
	if r.f != nil {
		r.f.Close()
	}
	errs := []error{r.forgetTable()}
	r.f, r.sealed = nil, nil
	for _, ext := range []string{".json", ".car"} { // a CAR alone comes back, a state alone is an empty recording
		if err := os.Remove(r.base + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if filepath.Dir(r.base) != filepath.Clean(r.s.cfg.Dir) {
		os.Remove(filepath.Dir(r.base)) //nolint:errcheck // the channel's folder, if that was the last
	}
	return errors.Join(errs...)
}

func (s *Store) forget(r *Recording) {
	if r.covered.Swap(false) {
		s.cat.forget(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recs[r.key] == r {
		delete(s.recs, r.key)
	}
	delete(s.dirty, r)
	delete(s.inUse, r)
	s.last.CompareAndSwap(r, nil)
	s.snapshot()
}

// Lookup returns a recording.
func (s *Store) Lookup(k Key) (*Recording, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.recs[k]
	return r, ok
}

// ByRoot returns the recording whose view has this root.
func (s *Store) ByRoot(root cid.Cid) (*Recording, bool) {
	if !root.Defined() {
		return nil, false
	}
	for _, r := range *s.all.Load() {
		if r.root() == root {
			return r, true
		}
	}
	return nil, false
}

// List returns all recordings, newest first.
func (s *Store) List() []Info {
	list := make([]Info, 0, 16)
	for _, r := range *s.all.Load() {
		list = append(list, r.Info())
	}
	slices.SortFunc(list, func(a, b Info) int {
		if c := b.Started.Compare(a.Started); c != 0 {
			return c
		}
		return strings.Compare(b.Key.String(), a.Key.String())
	})
	return list
}

// Remove deletes a recording. What reads it gets ErrClosed.
func (s *Store) Remove(k Key) error {
	if s.cfg.ReadOnly {
		return ErrReadOnly
	}
	r, ok := s.Lookup(k)
	if !ok {
		return fmt.Errorf("remove %v: %w", k, ErrNotFound)
	}
	r.mu.Lock()
	err := r.drop()
	r.mu.Unlock()
	s.forget(r)
	s.notify()
	if err != nil {
		return fmt.Errorf("remove %v: %w", k, err)
	}
	return nil
}

// Pin keeps a recording from being evicted, or lets it go again.
func (s *Store) Pin(k Key, pinned bool) error {
	r, ok := s.Lookup(k)
	if !ok {
		return fmt.Errorf("pin %v: %w", k, ErrNotFound)
	}
	return r.change(func(st *state) { st.Pinned = pinned })
}

// Usage is what the store takes.
type Usage struct {
	Bytes      int64 // on disk
	Recordings int
	Free       int64 // bytes left on the file system; zero where that is not known
}

// Usage returns what the store takes, and what is left.
func (s *Store) Usage() Usage {
	u := Usage{Free: diskFree(s.cfg.Dir)}
	for _, r := range *s.all.Load() {
		r.mu.RLock()
		size := r.st.Size
		if r.t != nil && r.sealed == nil {
			size = r.end
		}
		r.mu.RUnlock()
		u.Bytes += size
		u.Recordings++
	}
	return u
}

// Close seals what is not live any more, forces everything to disk and lets the lock go.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, t := range []*time.Timer{s.sync, s.sweeper} {
		if t != nil {
			t.Stop()
		}
	}
	list := make([]*Recording, 0, len(s.recs))
	for _, r := range s.recs {
		list = append(list, r)
	}
	s.mu.Unlock()
	s.sealing.Wait()
	var errs []error
	for _, r := range list {
		r.mu.Lock()
		if !r.gone {
			errs = append(errs, r.unload())
			r.gone = true
		}
		r.mu.Unlock()
	}
	if s.cat != nil {
		s.cat.close()
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close recordings: %w", err)
	}
	return nil
}
