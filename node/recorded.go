package node

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/shim"
)

// openRecorded opens a broadcast that is over on the local face, from its recording here.
func (p *participant) openRecorded(id string) bool {
	for _, i := range p.keptInfos() {
		if i.Key.Broadcast != id {
			continue
		}
		rec, ok := p.library.store.Lookup(i.Key)
		if !ok {
			return false
		}
		face, err := p.shim.Open(shim.BroadcastInfo{ID: id, Title: i.Title, Started: i.Started})
		if err != nil {
			p.log.Warn("recording not opened", "broadcast", id, "err", err)
			return false
		}
		p.mu.Lock()
		if p.opened == nil {
			p.opened = map[archive.Key]*shim.Broadcast{}
		}
		p.opened[i.Key] = face
		p.mu.Unlock()
		if err := p.library.fillRecorded(face, rec, func() { p.shut(i.Key, face) }); err != nil {
			p.log.Warn("recording not opened", "broadcast", id, "err", err)
			face.Close()
			p.shut(i.Key, face)
			return false
		}
		return true
	}
	return false
}

// shelved is the history of a track that is only a recording. The local face closes it when nobody has asked for long.
type shelved struct {
	shim.History
	shut func()
}

// Close implements io.Closer.
func (r shelved) Close() error {
	r.shut()
	return nil
}

// shut notes that a recording is no longer open on the local face.
func (p *participant) shut(k archive.Key, face *shim.Broadcast) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened[k] == face {
		delete(p.opened, k)
	}
}

// takeDown takes a recording that is gone off the local face.
func (p *participant) takeDown(k archive.Key) {
	p.mu.Lock()
	face := p.opened[k]
	p.mu.Unlock()
	if face != nil {
		face.Close()
	}
}

// fillRecorded gives a recording's tracks to the face: by their envelopes where these are here, else by the view. Shut is
// called when the face has closed one.
func (l *library) fillRecorded(face *shim.Broadcast, rec *archive.Recording, shut func()) error {
	recording := func() (*archive.Recording, bool) { return l.store.Lookup(rec.Key()) }
	withLog := 0
	for _, t := range rec.Info().Tracks {
		if _, ok := rec.Track(t.Name); !ok {
			continue
		}
		withLog++
		past := &past{name: t.Name, recording: recording}
		if err := face.Recorded(shim.TrackInfo{Name: t.Name}, past, shelved{history{past}, shut}); err != nil {
			return err
		}
	}
	if withLog > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), viewTimeout)
	defer cancel()
	view, err := rec.View(ctx)
	if err != nil {
		return err
	}
	for _, t := range view.Tracks {
		v := viewPast{parts: t.Parts, get: l.blockOf(recording)}
		if err := face.Recorded(shim.TrackInfo{Name: t.Info.Name}, v, shelved{v, shut}); err != nil {
			return err
		}
	}
	return nil
}

// blockOf reads blocks of a recording that may be deleted meanwhile.
func (l *library) blockOf(recording func() (*archive.Recording, bool)) func(context.Context, cid.Cid) ([]byte, error) {
	return func(ctx context.Context, c cid.Cid) ([]byte, error) {
		b, err := l.Get(ctx, c)
		if err != nil {
			if _, ok := recording(); !ok {
				return nil, fmt.Errorf("%w: %w", shim.ErrGone, errPast)
			}
		}
		return b, err
	}
}

// viewTimeout bounds the reading of a view from this disk.
const viewTimeout = 10 * time.Second

// tell puts the recordings into the status: those that are here, those that the channel lists, and what a replay plays.
func (l *library) tell(s *shim.Status, channel envelope.Channel) {
	s.Recordings = []shim.RecordingStatus{}
	if l == nil {
		return
	}
	seen := map[string]bool{}
	if l.store != nil {
		u := l.store.Usage()
		s.Store = shim.StoreStatus{Bytes: u.Bytes, FreeBytes: u.Free, Recordings: u.Recordings, QuotaBytes: l.cfg.Disk}
		for _, i := range l.store.List() {
			seen[i.Key.Broadcast] = true
			s.Recordings = append(s.Recordings, l.describe(i))
		}
	}
	listed := l.listed(channel)
	l.mu.Lock()
	if l.playing != nil {
		listed = append([]mesh.RecordingInfo{*l.playing}, listed...)
	}
	l.mu.Unlock()
	for _, r := range listed {
		if seen[r.Broadcast] {
			continue
		}
		seen[r.Broadcast] = true
		root := r.Root.String()
		s.Recordings = append(s.Recordings, shim.RecordingStatus{
			Broadcast: r.Broadcast, Title: r.Title, Started: r.Started, DurationS: r.Duration.Seconds(), Bytes: r.Size, Root: root,
			State: "listed", Replicas: l.others(r.Root), URL: "/ipfs/" + root + "/index.m3u8", Poster: "/ipfs/" + root + poster,
		})
	}
}

// poster is the path of the small MP4 that views with a picture have: a browser shows its first frame.
const poster = "/poster.mp4"

// describe tells of a recording that is here.
func (l *library) describe(i archive.Info) shim.RecordingStatus {
	r := shim.RecordingStatus{
		Broadcast: i.Key.Broadcast, Title: i.Title, Started: i.Started, DurationS: i.Duration.Seconds(), Bytes: i.Size,
		State: string(i.State), Pinned: i.Pinned, Missing: i.Missing, Full: i.Full, URL: "/b/" + i.Key.Broadcast + "/index.m3u8",
	}
	if i.Root.Defined() {
		r.Root, r.Replicas = i.Root.String(), l.others(i.Root)
		r.Poster = "/ipfs/" + r.Root + poster
	}
	return r
}
