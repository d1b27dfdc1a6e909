package shim

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"murmuration/chunker/envelope"
)

// States of a broadcast.
const (
	StateWaiting = "waiting" // no chunk yet
	StateLive    = "live"
	StateEnded   = "ended"
)

// Broadcast is one broadcast as the shim serves it. Its methods are safe for concurrent use.
type Broadcast struct {
	server *Server
	info   BroadcastInfo
	log    *slog.Logger
	ctx    context.Context // until Close
	cancel context.CancelFunc
	demand bool         // opened by Config.Recording
	target atomic.Int64 // TARGETDURATION of all tracks in nanoseconds; zero until the first one's is settled
	using  atomic.Int64 // requests under way
	used   atomic.Int64 // Unix nanoseconds of the last one

	mu     sync.RWMutex
	tracks []*track
	live   bool
	ended  bool

	private bool
	locked  string // why it cannot be shown; empty: it can
}

// Info returns what the broadcast was opened with.
func (b *Broadcast) Info() BroadcastInfo { return b.info }

// State returns StateWaiting, StateLive or StateEnded.
func (b *Broadcast) State() string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	switch {
	case b.ended:
		return StateEnded
	case b.live:
		return StateLive
	}
	return StateWaiting
}

// AddTrack adds a track. Blocks may be nil: then the shim itself keeps what left the list for as long as players may
// ask for it. With a History players can go back to the broadcast's start, and what is not in memory is taken from
// Blocks, then from the History.
func (b *Broadcast) AddTrack(info TrackInfo, blocks Blocks) error {
	if err := envelope.CheckName(info.Name); err != nil {
		return fmt.Errorf("shim: track: %w", err)
	}
	if info.Title == "" {
		info.Title = info.Name
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.find(info.Name) != nil {
		return fmt.Errorf("shim: track %s: %w", info.Name, ErrExists)
	}
	b.tracks = append(b.tracks, newTrack(b, info, blocks))
	return nil
}

// Recorded adds a track of a broadcast that is over, of which nothing is pushed: its list is what history tells, asked
// for at once and again until it answers. Blocks may be nil. Both are closed with the broadcast where they are
// io.Closers.
func (b *Broadcast) Recorded(info TrackInfo, blocks Blocks, history History) error {
	if history == nil {
		return fmt.Errorf("shim: track %s: a recorded track needs a history", info.Name)
	}
	info.History = history
	if err := b.AddTrack(info, blocks); err != nil {
		return err
	}
	t := b.track(info.Name)
	t.mu.Lock()
	t.recorded, t.past = true, pastAsked
	t.mu.Unlock()
	go t.recall()
	return nil
}

// Idle returns how long no player has asked for a track.
func (b *Broadcast) Idle(name string) time.Duration {
	t := b.track(name)
	if t == nil {
		return 0
	}
	return time.Since(time.Unix(0, t.used.Load()))
}

// Forget lets go of all that came of a track, which is then as AddTrack added it. Those who wait for it are told to ask again.
func (b *Broadcast) Forget(name string) {
	b.mu.Lock()
	var old *track
	for i, t := range b.tracks {
		if t.info.Name == name {
			old, b.tracks[i] = t, newTrack(b, t.info, t.blocks)
		}
	}
	b.mu.Unlock()
	if old != nil {
		old.finish(time.Now())
		old.close()
		b.server.Changed()
	}
}

func (b *Broadcast) find(name string) *track {
	for _, t := range b.tracks {
		if t.info.Name == name {
			return t
		}
	}
	return nil
}

func (b *Broadcast) track(name string) *track {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.find(name)
}

// first returns the track that was added first; nil where there is none.
func (b *Broadcast) first() *track {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.tracks) == 0 {
		return nil
	}
	return b.tracks[0]
}

func (b *Broadcast) all() []*track {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Clone(b.tracks)
}

// Push takes a verified chunk. Chunks may come in any order and more than once.
func (b *Broadcast) Push(name string, c envelope.Chunk) error {
	t := b.track(name)
	if t == nil || c.Envelope == nil || c.Track != name || c.Broadcast != b.info.ID {
		return fmt.Errorf("shim: %s/%s: %w", b.info.ID, name, ErrTrack)
	}
	if err := t.push(c, time.Now()); err != nil {
		return fmt.Errorf("shim: %s/%s: %w", b.info.ID, name, err)
	}
	b.mu.Lock()
	begins := !b.live
	b.live = true
	b.mu.Unlock()
	if begins {
		b.log.Debug("first chunk")
		b.server.Changed()
	}
	return nil
}

// End ends the broadcast, with or without end marks in its tracks: players are told, and what is in the window stays.
func (b *Broadcast) End() {
	for _, t := range b.all() {
		t.finish(time.Now())
	}
	b.trackEnded()
}

// trackEnded notes the broadcast's end once all of its tracks have ended.
func (b *Broadcast) trackEnded() {
	for _, t := range b.all() {
		if !t.hasEnded() {
			return
		}
	}
	b.mu.Lock()
	before := b.ended
	b.ended = true
	b.mu.Unlock()
	if !before {
		b.log.Debug("ended")
		b.server.Changed()
	}
}

// Close takes the broadcast away: its addresses are unknown from now on.
func (b *Broadcast) Close() {
	s := b.server
	s.mu.Lock()
	if i := slices.Index(s.broadcasts, b); i >= 0 {
		s.broadcasts = slices.Delete(s.broadcasts, i, i+1)
		s.changedLocked()
	}
	s.mu.Unlock()
	b.cancel()
	b.End()
	for _, t := range b.all() {
		t.close()
	}
}

// multivariant returns the multivariant playlist, once a track has begun. Prefix is put before its URIs.
func (b *Broadcast) multivariant(ctx context.Context, prefix string) ([]byte, bool) {
	var known []*track
	ok := b.server.await(ctx, firstWait, b.server.changes, func() bool {
		known = known[:0]
		begun := false
		for _, t := range b.all() {
			is, come := t.described()
			begun = begun || come
			if is {
				known = append(known, t)
			}
		}
		return begun
	})
	if !ok {
		return nil, false
	}
	return offer(known, prefix), true
}
