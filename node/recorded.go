package node

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/archive/unixfs"
	"murmuration/node/shim"
	"murmuration/playlist"
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
		open := p.opener(i.Key, i.KeyScheme != 0)
		face, err := p.shim.Open(shim.BroadcastInfo{ID: id, Title: i.Title, Started: i.Started, Private: open.private()})
		if err != nil {
			p.log.Warn("recording not opened", "broadcast", id, "err", err)
			return false
		}
		if err := open.why(); err != nil {
			face.Lock(err.Error())
			return true
		}
		p.mu.Lock()
		if p.opened == nil {
			p.opened = map[archive.Key]*shim.Broadcast{}
		}
		p.opened[i.Key] = face
		p.mu.Unlock()
		if err := p.library.fillRecorded(face, rec, open, func() { p.shut(i.Key, face) }); err != nil {
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
func (l *library) fillRecorded(face *shim.Broadcast, rec *archive.Recording, open *opener, shut func()) error {
	recording := func() (*archive.Recording, bool) { return l.store.Lookup(rec.Key()) }
	open.inits = l.initOf
	withLog := 0
	for _, t := range rec.Info().Tracks {
		if _, ok := rec.Track(t.Name); !ok {
			continue
		}
		withLog++
		past := &past{name: t.Name, recording: recording}
		clear := opened{history{past}, past, t.Name, open}
		if err := face.Recorded(shim.TrackInfo{Name: t.Name, Language: playlist.Language(t.Name)}, clear, shelved{clear, shut}); err != nil {
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
	return fillView(face, view, l.blockOf(recording), open, shut)
}

// fillView gives the tracks of a view to the face; get brings their blocks.
func fillView(
	face *shim.Broadcast, view *unixfs.View, get func(context.Context, cid.Cid) ([]byte, error), open *opener, shut func(),
) error {
	for _, t := range view.Tracks {
		v := viewPast{track: t.Info.Name, parts: t.Parts, scheme: view.Info.KeyScheme, get: get}
		clear := opened{v, v, t.Info.Name, open}
		if err := face.Recorded(shim.TrackInfo{Name: t.Info.Name, Language: playlist.Language(t.Info.Name)}, clear, shelved{clear, shut}); err != nil {
			return err
		}
	}
	return nil
}

// initOf returns an init segment of a recording that is here, for an opener.
func (l *library) initOf(_ string, c cid.Cid) ([]byte, bool) {
	b, err := l.Get(context.Background(), c)
	return b, err == nil
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

// tell puts the recordings into the status: what a replay plays, those that are here, and those that the channel lists.
func (l *library) tell(s *shim.Status, channel envelope.Channel) {
	s.Recordings = []shim.RecordingStatus{}
	if l == nil {
		return
	}
	l.mu.Lock()
	playing := l.playing
	l.mu.Unlock()
	seen := map[string]bool{}
	list := func(r mesh.RecordingInfo) {
		if !seen[r.Broadcast] {
			seen[r.Broadcast] = true
			s.Recordings = append(s.Recordings, l.describeListed(channel, r))
		}
	}
	if playing != nil {
		list(*playing) // first, and at the address that fetches what is not here
	}
	if l.store != nil {
		u := l.store.Usage()
		s.Store = shim.StoreStatus{Bytes: u.Bytes, FreeBytes: u.Free, Recordings: u.Recordings, QuotaBytes: l.cfg.Disk}
		for _, i := range l.store.List() {
			switch {
			case playing != nil && i.Key.Broadcast == playing.Broadcast && (i.Root == playing.Root || !i.Root.Defined()):
				l.takeFacts(&s.Recordings[0], i)
			case !seen[i.Key.Broadcast]:
				seen[i.Key.Broadcast] = true
				s.Recordings = append(s.Recordings, l.describe(i))
			}
		}
	}
	for _, r := range l.listed(channel) {
		list(r)
	}
}

// describe tells of a recording that is here.
func (l *library) describe(i archive.Info) shim.RecordingStatus {
	r := shim.RecordingStatus{
		Broadcast: i.Key.Broadcast, Title: i.Title, Started: i.Started, DurationS: i.Duration.Seconds(),
		URL: "/b/" + i.Key.Broadcast + "/index.m3u8",
	}
	if i.Root.Defined() {
		r.Root, r.Replicas = i.Root.String(), l.others(i.Root)
		r.Poster = l.poster(i.Root)
	}
	l.takeFacts(&r, i)
	return r
}

// takeFacts puts into the status of a recording how much of it is here.
func (l *library) takeFacts(r *shim.RecordingStatus, i archive.Info) {
	r.Private, r.Locked = i.KeyScheme != 0, l.locked(i.Key, i.KeyScheme != 0)
	r.Bytes, r.State, r.Pinned, r.Missing, r.Full = i.Size, string(i.State), i.Pinned, i.Missing, i.Full
}

// describeListed tells of a recording that may be with others only.
func (l *library) describeListed(channel envelope.Channel, r mesh.RecordingInfo) shim.RecordingStatus {
	root := r.Root.String()
	s := shim.RecordingStatus{
		Broadcast: r.Broadcast, Title: r.Title, Started: r.Started, DurationS: r.Duration.Seconds(), Bytes: r.Size, Root: root,
		State: "listed", Replicas: l.others(r.Root), Private: r.Private,
		Locked: l.locked(archive.Key{Channel: channel, Broadcast: r.Broadcast}, r.Private),
	}
	if r.Private { // who plays it opens it on the local face
		s.URL = "/b/" + r.Broadcast + "/index.m3u8"
	} else {
		s.URL, s.Poster = "/ipfs/"+root+"/index.m3u8", l.poster(r.Root)
	}
	return s
}
