package archive

import (
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
)

// Recording is one broadcast in the store. It is safe for concurrent use.
type Recording struct {
	s    *Store
	key  Key
	base string // path without ending
	log  *slog.Logger

	work    sync.Mutex   // held through Finish, Adopt, Verify: one of them at a time
	covered atomic.Bool  // the store's catalog knows all blocks; false before the first one is appended
	used    atomic.Int64 // when it was last read or written, for closing what is idle

	mu      sync.RWMutex
	st      state
	f       file         // nil while nobody needs it
	sealed  *sealedIndex // where the file has its index
	t       *table       // nil while only the index is used
	tracks  map[string]*chunks
	waiting map[digest][]waiter // envelopes whose blocks are missing
	bad     map[digest]struct{} // blocks found damaged, whatever is loaded
	beyond  map[digest]struct{} // of these, envelopes that the view does without: no Adopt brings them
	end     int64               // of the sections
	dirty   int64               // bytes that a power cut may cost
	junk    int64               // bytes between the sections that are none
	full    bool
	gone    bool // removed, or the store is closed

	initMu sync.Mutex
	inits  map[digest][]byte
}

// waiter is a chunk that lacks its block.
type waiter struct {
	track string
	id    envelope.ID
}

// Key returns the recording's name.
func (r *Recording) Key() Key { return r.key }

// Info returns what is known of the recording.
func (r *Recording) Info() Info {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.info()
}

func (r *Recording) info() Info {
	st := r.st
	if r.t != nil {
		r.measure(&st)
	}
	damaged := 0
	for d := range r.bad {
		if _, ok := r.beyond[d]; !ok {
			damaged++
		}
	}
	if st.Whole {
		st.Missing += damaged
	}
	info := Info{
		Key: r.key, Title: st.Title, Started: st.Started, Ended: st.Ended, Duration: st.Duration, Size: st.Size,
		Media: st.Media, State: st.State, Pinned: st.Pinned, Own: st.Own, Full: r.full,
		KeyScheme: st.Scheme,
		Tracks:    append([]TrackInfo(nil), st.Tracks...), Missing: st.Missing,
		Damaged: damaged, Verified: st.Verified,
	}
	if st.Root != "" {
		info.Root = st.root()
	}
	return info
}

// measure brings the numbers of a state up to date from the table. Call with a lock held.
func (r *Recording) measure(st *state) {
	st.Size = r.end
	if r.sealed != nil {
		st.Size = r.sealed.start + r.sealed.count*indexWidth
	}
	if st.Whole && st.State == Finished || len(r.tracks) == 0 {
		return // what was read from the view holds, envelopes or not
	}
	st.Media, st.Missing, st.Duration, st.Tracks = 0, 0, 0, nil
	ended := true
	var last time.Time
	for _, name := range r.trackNames() {
		c := r.tracks[name]
		missing := 0
		for _, g := range r.gaps(c, true) {
			missing += g.Count()
		}
		st.Tracks = append(st.Tracks, TrackInfo{
			Name: name, Chunks: c.count, Bytes: c.bytes, Duration: c.media, Missing: missing,
		})
		st.Media += c.bytes
		st.Missing += missing
		st.Duration = max(st.Duration, c.media)
		ended = ended && c.ended()
		if c.last.After(last) {
			last = c.last
		}
		if st.Started.IsZero() || c.first.Before(st.Started) && !c.first.IsZero() && !st.Own {
			st.Started = c.first
		}
	}
	if st.State == Live && ended {
		st.State = Partial
	}
	if st.State != Live {
		st.Ended = last
	}
}

// save writes the small file. Call with the lock held.
func (r *Recording) save() error {
	if r.s.cfg.ReadOnly {
		return ErrReadOnly
	}
	if r.t != nil {
		r.measure(&r.st)
	}
	r.st.Version = stateVersion
	b, err := json.MarshalIndent(r.st, "", "  ")
	if err != nil {
		return err
	}
	return r.s.writeWhole(r.base+".json", append(b, '\n'))
}

// change changes the small file; the old values stand where it cannot be written.
func (r *Recording) change(f func(*state)) error {
	if r.s.cfg.ReadOnly {
		return ErrReadOnly
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return ErrClosed
	}
	old := r.st
	f(&r.st)
	if err := r.save(); err != nil {
		r.st = old
		return err
	}
	r.s.notify()
	return nil
}

// SetTitle changes the title. A view that is written already keeps the one it has.
func (r *Recording) SetTitle(title string) error {
	return r.change(func(st *state) { st.Title = cleanTitle(title) })
}

// root returns the view's root, undefined where there is none.
func (r *Recording) root() cid.Cid {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.st.root()
}
