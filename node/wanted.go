package node

import (
	"context"
	"time"

	"murmuration/mesh"
)

const (
	// wantedFor is how long a viewer stays on a further track that none of its players asks for.
	wantedFor = 3 * time.Minute
	// wantedLook is how often it looks whether that is so.
	wantedLook = 20 * time.Second
)

// wanted is a further track that a follower is on.
type wanted struct {
	over chan struct{} // closed when no more comes of it
}

// announce takes what the channel record lists of the broadcast's tracks. A follower of all joins them; else they are
// on the local face, by what the record tells of them, and joined when a player asks.
func (s *showing) announce(tracks []mesh.TrackInfo, all bool) {
	for _, info := range tracks {
		if info.Name == mainTrack {
			continue
		}
		s.mu.Lock()
		if s.hidden || s.further[info.Name] != nil {
			s.mu.Unlock()
			continue
		}
		t := s.strand(info.Name)
		s.further[info.Name] = t
		s.mu.Unlock()
		wanted := func() { s.want(t, false) }
		if all {
			wanted = nil
		}
		if err := t.show(info, wanted); err != nil {
			s.host.log.Warn("track not shown", "broadcast", s.info.ID, "track", info.Name, "err", err)
			continue
		}
		s.host.log.Info("further track", "broadcast", s.info.ID, "track", info.Name, "codecs", info.Codecs)
		if all {
			s.want(t, true)
		}
	}
}

// want joins a further track, where that has not been done, until the broadcast is hidden or nobody asks for it any more;
// a seed stays.
func (s *showing) want(t *strand, stay bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hidden || s.wanted[t.name] != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.mending)
	w := &wanted{over: make(chan struct{})}
	s.wanted[t.name] = w
	s.work.Go(func() {
		defer cancel()
		defer close(w.over)
		if !stay {
			go s.watchUse(ctx, t, cancel)
		}
		s.follow(ctx, t)
		s.mu.Lock()
		defer s.mu.Unlock()
		if stay || ctx.Err() == nil || s.mending.Err() != nil {
			return // over: it stays for those who are behind, and is left with the broadcast
		}
		delete(s.wanted, t.name)
		s.host.logClose(t)
		t.track = nil
		s.face.Forget(t.name)
		s.host.log.Info("left a track that nobody here asks for", "broadcast", s.info.ID, "track", t.name)
	})
}

// follow joins a track and takes what comes until it ends or ctx does.
func (s *showing) follow(ctx context.Context, t *strand) {
	if err := t.join(); err != nil {
		s.host.log.Warn("track not joined", "broadcast", s.info.ID, "track", t.name, "err", err)
		<-ctx.Done()
		return
	}
	s.host.log.Info("joined a further track", "broadcast", s.info.ID, "track", t.name)
	if rec, ok := t.past.kept(); ok {
		s.work.Go(func() { newMender(rec, t.track, t.name).run(ctx) })
	}
	if err := t.receive(ctx); err != nil {
		s.host.log.Debug("no more of a track", "broadcast", s.info.ID, "track", t.name, "reason", err)
	}
}

// watchUse calls leave once no player has asked for the track for a while.
func (s *showing) watchUse(ctx context.Context, t *strand, leave func()) {
	tick := time.NewTicker(wantedLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.face.Idle(t.name) > wantedFor {
				leave()
				return
			}
		}
	}
}
