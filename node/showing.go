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
)

// showing is one broadcast that this participant has on: its place in the mesh and on the local face.
type showing struct {
	info  mesh.BroadcastInfo
	track *mesh.Track
	face  *shim.Broadcast
	past  *past
	torn  bool // chunks are not being kept

	opener *opener
	tell   func(string)

	mending context.Context // of what fills gaps, until hide
	stop    context.CancelFunc

	first envelope.ID          // that was received
	taken [endLast]envelope.ID // the last ones, by seq
}

// show joins a broadcast's main track and opens it on the local face. Recording returns what is kept of it; it may be nil.
func (p *participant) show(
	channel envelope.Channel, info mesh.BroadcastInfo, recording func() (*archive.Recording, bool), join mesh.JoinConfig,
) (*showing, error) {
	past := &past{name: mainTrack, recording: recording}
	join.Window, join.Log = p.cfg.Window, past
	track, err := p.mesh.Join(mesh.TrackID{Channel: channel, Broadcast: info.ID, Track: mainTrack}, join)
	if err != nil {
		return nil, err
	}
	past.track.Store(track)
	open := p.opener(archive.Key{Channel: channel, Broadcast: info.ID}, info.Private)
	open.inits = past.sealedInit
	face, err := p.shim.Open(shim.BroadcastInfo{ID: info.ID, Title: info.Title, Started: info.Started, Private: open.private()})
	if err != nil {
		return nil, errors.Join(err, track.Close())
	}
	clear := opened{history{past}, past, mainTrack, open}
	if err := face.AddTrack(shim.TrackInfo{Name: mainTrack, History: clear}, clear); err != nil {
		face.Close()
		return nil, errors.Join(err, track.Close())
	}
	s := &showing{info: info, track: track, face: face, past: past, opener: open, tell: p.cfg.Tell}
	s.mending, s.stop = context.WithCancel(context.Background())
	if err := open.why(); err != nil {
		s.lock(err)
	}
	return s, nil
}

// hide takes the broadcast off the mesh and the face.
func (s *showing) hide() {
	s.stop()
	s.face.Close()
	s.track.Close()
}

// keep appends a chunk to the recording, where there is one. What cannot be kept is a gap there, which is mended later;
// it is said once.
func (s *showing) keep(c envelope.Chunk, p *participant) {
	rec, ok := s.past.kept()
	if !ok {
		return
	}
	_, err := rec.Append(c)
	switch {
	case err != nil && !s.torn && !errors.Is(err, archive.ErrFinished):
		p.log.Error("not recording: the broadcast is relayed all the same", "broadcast", s.info.ID, "chunk", c.ID(), "err", err)
		p.cfg.Tell(fmt.Sprintf("NOT RECORDING %q (%s), which is relayed all the same: %v", s.info.Title, s.info.ID, err))
		p.shim.Changed()
	case err == nil && s.torn:
		p.log.Warn("recording again", "broadcast", s.info.ID, "chunk", c.ID())
		p.cfg.Tell(fmt.Sprintf("recording %q (%s) again", s.info.Title, s.info.ID))
		p.shim.Changed()
	}
	s.torn = err != nil
}

// push hands a verified chunk to the local face, where it can be opened.
func (s *showing) push(c envelope.Chunk) error {
	clear, ok := s.open(c)
	if !ok {
		return nil
	}
	return s.face.Push(mainTrack, clear)
}

// receive hands what the mesh brings to the local face until the end mark, whose arrival it reports with nil, or the
// end of ctx.
func (s *showing) receive(ctx context.Context, p *participant) error {
	first := true
	for {
		c, err := s.track.Next(ctx)
		if err != nil {
			return err
		}
		if first {
			first, s.first = false, c.ID()
			p.log.Info("first chunk", "broadcast", s.info.ID, "chunk", c.ID(), "age", time.Since(c.Captured))
			p.shim.Changed()
		}
		if c.Flags.Has(envelope.End) {
			s.awaitLast(ctx, p, c.ID())
			s.take(p, c)
			return nil
		}
		s.take(p, c)
	}
}

// take keeps and shows a chunk.
func (s *showing) take(p *participant, c envelope.Chunk) {
	s.taken[c.Seq%endLast] = c.ID()
	s.keep(c, p)
	if err := s.push(c); err != nil {
		// A chunk that cannot be shown is a gap on the page; it is relayed all the same.
		p.log.Warn("chunk not shown", "broadcast", s.info.ID, "chunk", c.ID(), "err", err)
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
func (s *showing) awaitLast(ctx context.Context, p *participant, end envelope.ID) {
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
		s.take(p, c)
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
