package node

import (
	"context"
	"errors"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/shim"
)

// showing is one broadcast that this participant has on: its place in the mesh and on the local face.
type showing struct {
	info  mesh.BroadcastInfo
	track *mesh.Track
	face  *shim.Broadcast
}

// show joins a broadcast's main track and opens it on the local face.
func (p *participant) show(channel envelope.Channel, info mesh.BroadcastInfo, join mesh.JoinConfig) (*showing, error) {
	join.Window = p.cfg.Window
	track, err := p.mesh.Join(mesh.TrackID{Channel: channel, Broadcast: info.ID, Track: mainTrack}, join)
	if err != nil {
		return nil, err
	}
	face, err := p.shim.Open(shim.BroadcastInfo{ID: info.ID, Title: info.Title, Started: info.Started})
	if err != nil {
		return nil, errors.Join(err, track.Close())
	}
	if err := face.AddTrack(shim.TrackInfo{Name: mainTrack}, track.Window()); err != nil {
		face.Close()
		return nil, errors.Join(err, track.Close())
	}
	s := &showing{info: info, track: track, face: face}
	return s, nil
}

// hide takes the broadcast off the mesh and the face.
func (s *showing) hide() {
	s.face.Close()
	s.track.Close()
}

// push hands a verified chunk to the local face.
func (s *showing) push(c envelope.Chunk) error {
	return s.face.Push(mainTrack, c)
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
			first = false
			p.log.Info("first chunk", "broadcast", s.info.ID, "chunk", c.ID(), "age", time.Since(c.Captured))
			p.shim.Changed()
		}
		if err := s.push(c); err != nil {
			// A chunk that cannot be shown is a gap on the page; it is relayed all the same.
			p.log.Warn("chunk not shown", "broadcast", s.info.ID, "chunk", c.ID(), "err", err)
		}
		if c.Flags.Has(envelope.End) {
			return nil
		}
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
