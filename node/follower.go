package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"murmuration/mesh"
)

const (
	// recordWait is how long a viewer with a link to one broadcast waits for the channel record, which has the title.
	recordWait = 2 * time.Second
	// endWait is how long a broadcast that the record no longer lists as live may still bring chunks before its players
	// are told of the end: the end mark may be lost, or the origin gone without one.
	endWait = 5 * time.Second
	// endKept is how long an ended broadcast stays on the page and in the mesh, for players that are behind and peers
	// that lack its end.
	endKept = 2 * time.Minute
)

// follower keeps a participant on a channel: it joins the broadcasts that the channel record lists.
type follower struct {
	*participant
	link mesh.Link
	feed *mesh.Feed
	all  bool // every live broadcast, as a seed does; else the one that is on
	keep *keeper

	mu       sync.Mutex
	watching map[string]*watch
	missed   map[string]bool // private broadcasts that the human was told of; of run's goroutine
	wg       sync.WaitGroup
}

// watch is one broadcast that a follower is on.
type watch struct {
	gone     context.Context // done when the record no longer lists it as live
	giveUp   context.CancelFunc
	finished bool
	shown    *showing
	listed   bool // a record has told of it: until then it has not begun
}

func (p *participant) follow(link mesh.Link, all bool) (*follower, error) {
	feed, err := p.mesh.Follow(link.Channel)
	if err != nil {
		return nil, err
	}
	return &follower{
		participant: p, link: link, feed: feed, all: all, watching: map[string]*watch{}, missed: map[string]bool{},
		keep: p.library.keeper(link.Channel, p.cfg.Tell, p.shim.Changed),
	}, nil
}

// run follows the channel until ctx ends.
func (f *follower) run(ctx context.Context) error {
	defer f.wg.Wait()
	f.wg.Go(func() {
		if err := f.mesh.Connect(ctx, f.link.Peers); errors.Is(err, mesh.ErrUnreachable) {
			f.cfg.Tell("none of the link's peers can be reached yet; still trying (is the link current? does a firewall block UDP?)")
		}
	})
	f.wg.Go(func() { f.keep.run(ctx) }) //nolint:errcheck // it has none but ctx's
	if f.link.Broadcast != "" {
		waiting, cancel := context.WithTimeout(ctx, recordWait)
		rec, err := f.feed.Next(waiting)
		cancel()
		if err == nil {
			f.update(ctx, rec)
		}
		info := mesh.BroadcastInfo{ID: f.link.Broadcast, Title: rec.Title, Private: len(f.link.Key) > 0}
		if i := slices.IndexFunc(rec.Broadcasts, func(b mesh.BroadcastInfo) bool { return b.ID == info.ID }); i >= 0 {
			info.Title = rec.Broadcasts[i].Title
		}
		f.watch(ctx, info)
	}
	for {
		rec, err := f.feed.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		f.update(ctx, rec)
	}
}

// update acts on a new channel record.
func (f *follower) update(ctx context.Context, rec mesh.Record) {
	f.participant.mu.Lock()
	if f.channel == rec.Channel && f.title != rec.Title {
		f.title = rec.Title
	}
	f.participant.mu.Unlock()
	f.library.learn(rec)
	f.keep.wake()
	live := map[string]bool{}
	for _, b := range rec.Live() {
		live[b.ID] = true
		if f.link.Broadcast == b.ID || f.link.Broadcast == "" && f.all {
			f.watch(ctx, b)
		}
	}
	for _, b := range rec.Broadcasts {
		if s := f.watches(b.ID); s != nil {
			f.retitle(b.ID, b.Title)
			s.announce(b.Tracks, f.all)
		}
	}
	if current, ok := f.current(rec); ok {
		f.watch(ctx, current)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range rec.Broadcasts {
		if w := f.watching[b.ID]; w != nil {
			w.listed = true
		}
	}
	for id, w := range f.watching {
		if !live[id] && w.listed && !w.finished {
			w.giveUp()
		}
	}
}

// current returns what is on for who watches here: private broadcasts whose key is not here are passed over, which is said.
func (f *follower) current(rec mesh.Record) (mesh.BroadcastInfo, bool) {
	if f.link.Broadcast != "" || f.all {
		return mesh.BroadcastInfo{}, false
	}
	shown := rec
	shown.Broadcasts = nil
	var apart []mesh.BroadcastInfo
	for _, b := range rec.Broadcasts {
		if f.canOpen(rec.Channel, b) {
			shown.Broadcasts = append(shown.Broadcasts, b)
		} else if b.Live() {
			apart = append(apart, b)
		}
	}
	f.passOver(apart)
	return shown.Current()
}

// passOver tells the page which private broadcasts are on, and the human of each once.
func (f *follower) passOver(apart []mesh.BroadcastInfo) {
	f.participant.mu.Lock()
	f.apart = apart
	f.participant.mu.Unlock()
	for _, b := range apart {
		if !f.missed[b.ID] {
			f.missed[b.ID] = true
			f.cfg.Tell(fmt.Sprintf("%q (%s) is on, and %v", b.Title, b.ID, errNoKey))
			f.shim.Changed()
		}
	}
}

// watches returns what is shown of a broadcast; nil where it is not, or not any more.
func (f *follower) watches(id string) *showing {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.watching[id]; w != nil && !w.finished {
		return w.shown
	}
	return nil
}

// watch joins a broadcast, once.
func (f *follower) watch(ctx context.Context, info mesh.BroadcastInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watching[info.ID] != nil {
		return
	}
	recording := f.keep.begin(info)
	s, err := f.show(f.link.Channel, info, recording, mesh.JoinConfig{})
	if err != nil {
		f.log.Warn("broadcast not joined", "broadcast", info.ID, "err", err)
		return
	}
	s.announce(info.Tracks, f.all)
	w := &watch{shown: s}
	w.gone, w.giveUp = context.WithCancel(ctx)
	f.watching[info.ID] = w
	f.log.Info("joined", "broadcast", info.ID, "title", info.Title)
	f.wg.Go(func() {
		defer w.giveUp()
		f.attend(ctx, w, s)
		f.mu.Lock()
		w.finished = true
		f.mu.Unlock()
	})
}

// attend shows a broadcast until it ends, keeps it a while, and takes it away.
func (f *follower) attend(ctx context.Context, w *watch, s *showing) {
	receiving, stop := context.WithCancel(ctx)
	defer stop()
	forget := context.AfterFunc(w.gone, func() { time.AfterFunc(endWait, stop) })
	defer forget()
	if rec, ok := s.main.past.kept(); ok {
		f.wg.Go(func() { newMender(rec, s.main.track, mainTrack).run(receiving) })
	}
	err := s.receive(receiving)
	f.keep.wake()
	if ctx.Err() == nil {
		if err == nil {
			f.cfg.Tell("ended     " + s.info.ID)
		} else {
			f.log.Info("broadcast is over", "broadcast", s.info.ID, "reason", err)
		}
		s.end()
		f.shim.Changed()
		select {
		case <-ctx.Done():
		case <-time.After(endKept):
		}
	}
	s.face.End()
	s.hide()
	f.retitle(s.info.ID, "")
}
