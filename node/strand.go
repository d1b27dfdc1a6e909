package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/shim"
	"murmuration/playlist"
)

// strand is one track of a showing: its place in the mesh, and what it was before.
type strand struct {
	*showing
	name  string
	track *mesh.Track // nil while it is not joined
	past  *past
	torn  bool             // chunks are not being kept
	early []envelope.Chunk // sealed ones that came before an init segment

	first envelope.ID          // that was received
	taken [endLast]envelope.ID // the last ones, by seq
}

func (s *showing) strand(name string) *strand {
	return &strand{showing: s, name: name, past: &past{name: name, recording: s.recording}}
}

// show opens the track on the local face, by what was announced of it; wanted is called when a player asks for it, and may
// be nil. What is sealed is opened on the way there.
func (s *strand) show(announced mesh.TrackInfo, wanted func()) error {
	clear := opened{history{s.past}, s.past, s.name, s.opener}
	info := shim.TrackInfo{
		Name: s.name, History: clear, Wanted: wanted,
		Codecs: announced.Codecs, Width: announced.Width, Height: announced.Height, Bandwidth: announced.Bitrate,
	}
	if s.name != mainTrack {
		info.Language = playlist.Language(s.name)
	}
	return s.face.AddTrack(info, clear)
}

// join takes the track's place in the mesh.
func (s *strand) join() error {
	cfg := s.joining
	cfg.Window, cfg.Log = s.host.cfg.Window, s.past
	track, err := s.host.mesh.Join(mesh.TrackID{Channel: s.channel, Broadcast: s.info.ID, Track: s.name}, cfg)
	if err != nil {
		return err
	}
	s.track = track
	s.past.track.Store(track)
	return nil
}

// leave gives the place up.
func (s *strand) leave() error {
	if s.track == nil {
		return nil
	}
	s.past.track.Store(nil)
	return s.track.Close()
}

// keep appends a chunk to the recording, where there is one. What cannot be kept is a gap there, which is mended later;
// it is said once.
func (s *strand) keep(c envelope.Chunk) {
	rec, ok := s.past.kept()
	if !ok {
		return
	}
	_, err := rec.Append(c)
	p := s.host
	switch {
	case err != nil && !s.torn && !errors.Is(err, archive.ErrFinished):
		p.log.Error("not recording: the broadcast is relayed all the same", "broadcast", s.info.ID, "track", s.name, "chunk", c.ID(), "err", err)
		p.cfg.Tell(fmt.Sprintf("NOT RECORDING %q (%s), which is relayed all the same: %v", s.info.Title, s.info.ID, err))
		p.shim.Changed()
	case err == nil && s.torn:
		p.log.Warn("recording again", "broadcast", s.info.ID, "track", s.name, "chunk", c.ID())
		p.cfg.Tell(fmt.Sprintf("recording %q (%s) again", s.info.Title, s.info.ID))
		p.shim.Changed()
	}
	s.torn = err != nil
}

// push hands a verified chunk to the local face, where it can be opened, and with it what came too early for that.
func (s *strand) push(c envelope.Chunk) error {
	clear, err := s.clear(c)
	if errors.Is(err, errEarly) && len(s.early) < mostEarly {
		s.early = append(s.early, c)
	}
	if err != nil {
		return nil //nolint:nilerr // clear has said why
	}
	err = s.face.Push(s.name, clear)
	early := s.early
	s.early = nil
	for _, c := range early {
		if clear, locked := s.clear(c); locked == nil {
			err = errors.Join(err, s.face.Push(s.name, clear))
		}
	}
	return err
}

// mostEarly is how many sealed chunks are held that came before an init segment: those of four seconds, as many as a newcomer
// is sent at once.
const mostEarly = 16

// receive hands what the mesh brings to the local face until the end mark, whose arrival it reports with nil, or the
// end of ctx.
func (s *strand) receive(ctx context.Context) error {
	first := true
	for {
		c, err := s.track.Next(ctx)
		if err != nil {
			return err
		}
		if first {
			first, s.first = false, c.ID()
			s.host.log.Info("first chunk", "broadcast", s.info.ID, "track", s.name, "chunk", c.ID(), "age", time.Since(c.Captured))
			s.host.shim.Changed()
		}
		if c.Flags.Has(envelope.End) {
			s.awaitLast(ctx, c.ID())
			s.take(c)
			return nil
		}
		s.take(c)
	}
}

// take keeps and shows a chunk.
func (s *strand) take(c envelope.Chunk) {
	s.taken[c.Seq%endLast] = c.ID()
	s.keep(c)
	if err := s.push(c); err != nil {
		// A chunk that cannot be shown is a gap on the page; it is relayed all the same.
		s.host.log.Warn("chunk not shown", "broadcast", s.info.ID, "track", s.name, "chunk", c.ID(), "err", err)
	}
}

const (
	// endHold is how long the end mark waits for the last chunks: it is small, and overtakes them. After it the list of
	// the broadcast is closed, and what comes later is never shown.
	endHold = 800 * time.Millisecond
	// endLast is how many chunks are waited for.
	endLast = 8
)

// awaitLast takes what comes until the last chunks before the end mark are there.
func (s *strand) awaitLast(ctx context.Context, end envelope.ID) {
	ctx, cancel := context.WithTimeout(ctx, endHold)
	defer cancel()
	lacks := func() bool {
		for n := uint64(1); n <= min(endLast, end.Seq); n++ {
			if id := (envelope.ID{Epoch: end.Epoch, Seq: end.Seq - n}); !id.Less(s.first) && s.taken[id.Seq%endLast] != id {
				return true
			}
		}
		return false
	}
	for lacks() {
		c, err := s.track.Next(ctx)
		if err != nil {
			return
		}
		s.take(c)
	}
}

// describe says in the channel record what a track holds, from its first chunk's init segment.
func describe(c envelope.Chunk) mesh.TrackInfo {
	info := mesh.TrackInfo{Name: c.Track}
	if d, err := chunker.Describe(c.Init); err == nil {
		info.Codecs, info.Width, info.Height = d.Codecs, d.Width, d.Height
	}
	return info
}
