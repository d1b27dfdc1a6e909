package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/shim"
)

// showing is one broadcast that this participant has on: its tracks' places in the mesh and on the local face. Main is
// joined as long as it lasts. Of the others a seed joins all; a viewer joins one while its player asks for it (wanted.go).
type showing struct {
	host      *participant
	channel   envelope.Channel
	info      mesh.BroadcastInfo
	recording func() (*archive.Recording, bool) // what is kept of it; may be nil
	joining   mesh.JoinConfig
	face      *shim.Broadcast
	main      *strand

	opener *opener

	mending context.Context // of what fills gaps, until hide
	stop    context.CancelFunc

	mu      sync.Mutex
	further map[string]*strand // tracks besides main, joined or not
	wanted  map[string]*wanted // of a viewer: those that it is on, or joining
	hidden  bool
	work    sync.WaitGroup // of the wanted
}

// show joins a broadcast's main track and opens it on the local face. Recording returns what is kept of it; it may be nil.
func (p *participant) show(
	channel envelope.Channel, info mesh.BroadcastInfo, recording func() (*archive.Recording, bool), join mesh.JoinConfig,
) (*showing, error) {
	s := &showing{
		host: p, channel: channel, info: info, recording: recording, joining: join,
		further: map[string]*strand{}, wanted: map[string]*wanted{},
	}
	s.main = s.strand(mainTrack)
	if err := s.main.join(); err != nil {
		return nil, err
	}
	s.opener = p.opener(archive.Key{Channel: channel, Broadcast: info.ID}, info.Private)
	s.opener.inits = s.sealedInit
	var err error
	s.face, err = p.shim.Open(shim.BroadcastInfo{ID: info.ID, Title: info.Title, Started: info.Started, Private: s.opener.private()})
	if err != nil {
		return nil, errors.Join(err, s.main.leave())
	}
	if err := s.main.show(mesh.TrackInfo{}, nil); err != nil {
		s.face.Close()
		return nil, errors.Join(err, s.main.leave())
	}
	s.mending, s.stop = context.WithCancel(context.Background())
	if err := s.opener.why(); err != nil {
		s.lock(err)
	}
	return s, nil
}

// add joins a further track and opens it on the local face.
func (s *showing) add(name string) (*strand, error) {
	t := s.strand(name)
	if err := t.join(); err != nil {
		return nil, err
	}
	if err := t.show(mesh.TrackInfo{}, nil); err != nil {
		return nil, errors.Join(err, t.leave())
	}
	s.mu.Lock()
	s.further[name] = t
	s.mu.Unlock()
	return t, nil
}

// sealedInit returns an init segment of a track that is at hand, as it was carried.
func (s *showing) sealedInit(track string, c cid.Cid) ([]byte, bool) {
	s.mu.Lock()
	t := s.further[track]
	s.mu.Unlock()
	if t == nil {
		t = s.main
	}
	return t.past.Init(c)
}

// receive hands what the mesh brings of main to the local face until the end mark or the end of ctx.
func (s *showing) receive(ctx context.Context) error { return s.main.receive(ctx) }

// end tells the players that it is over, once further tracks have had the time for their own last chunks.
func (s *showing) end() {
	s.mu.Lock()
	on := slices.Collect(maps.Values(s.wanted))
	s.mu.Unlock()
	waiting, cancel := context.WithTimeout(context.Background(), endHold)
	defer cancel()
	for _, w := range on {
		select {
		case <-w.over:
		case <-waiting.Done():
		}
	}
	s.face.End()
}

// hide takes the broadcast off the mesh and the face.
func (s *showing) hide() {
	s.stop()
	s.face.Close()
	s.mu.Lock()
	s.hidden = true
	further := s.further
	s.mu.Unlock()
	s.work.Wait()
	for _, t := range further {
		s.host.logClose(t)
	}
	s.host.logClose(s.main)
}

// logClose leaves a track; that this fails changes nothing.
func (p *participant) logClose(t *strand) {
	if err := t.leave(); err != nil {
		p.log.Debug("track not left", "broadcast", t.info.ID, "track", t.name, "err", err)
	}
}
