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

	"murmuration/chunker/envelope"
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

// find lists what is in the folder, and loads what was not sealed.
func (s *Store) find() error {
	channels, err := os.ReadDir(s.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		channels, err = nil, nil
	}
	if err != nil {
		return err
	}
	for _, d := range channels {
		if strings.Contains(d.Name(), ".part") && !s.cfg.ReadOnly { // an import that did not end
			os.Remove(filepath.Join(s.cfg.Dir, d.Name())) //nolint:errcheck // next time, then
			continue
		}
		channel, ok := parseChannel(d.Name())
		if !ok || !d.IsDir() {
			continue
		}
		files, err := os.ReadDir(filepath.Join(s.cfg.Dir, d.Name()))
		if err != nil {
			return err
		}
		for _, f := range files {
			name, ext := strings.TrimSuffix(f.Name(), filepath.Ext(f.Name())), filepath.Ext(f.Name())
			if ext == ".new" || ext == scratchExt { // a crash left it
				if !s.cfg.ReadOnly {
					os.Remove(filepath.Join(s.cfg.Dir, d.Name(), f.Name())) //nolint:errcheck // next time, then
				}
				continue
			}
			k := Key{channel, name}
			if (ext != ".car" && ext != ".json") || envelope.CheckName(name) != nil || s.recs[k] != nil {
				continue
			}
			s.recs[k] = s.resume(k)
		}
	}
	s.snapshot()
	return nil
}

// resume takes up a recording that is in the folder.
func (s *Store) resume(k Key) *Recording {
	r := s.recording(k)
	st, err := readState(r.base + ".json")
	if err != nil {
		r.log.Warn("recording without its state: what the blocks tell is taken", "err", err)
		st = state{Version: stateVersion, State: Live}
		if info, err := os.Stat(r.base + ".car"); err == nil {
			st.Size = info.Size()
		}
	}
	r.st = st
	if info, err := os.Stat(r.base + ".car"); st.Sealed && err == nil && info.Size() == st.Size {
		return r // opened when it is needed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.st.Sealed = false
	if err := r.load(); err != nil {
		r.log.Error("recording not resumed", "err", err)
		return r
	}
	if r.st.State == Live && r.st.Root != "" {
		r.st.State = Finished // the small file was lost
	}
	if !s.cfg.ReadOnly {
		if err := r.save(); err != nil {
			r.log.Warn("state not saved", "err", err)
		}
	}
	return r
}

func (s *Store) recording(k Key) *Recording {
	return &Recording{
		s: s, key: k, base: s.base(k), bad: map[digest]struct{}{},
		log: s.log.With("channel", channelName(k.Channel), "broadcast", k.Broadcast),
	}
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
