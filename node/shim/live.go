package shim

import (
	"net/http"
	"slices"
	"time"

	"murmuration/chunker/retime"
	"murmuration/playlist"
)

const (
	// liveLag is how far a reader of /live.mp4 may fall behind before it is moved to the newest independent chunk.
	liveLag = 8 * time.Second
	// liveWrite is how long one chunk may take to be written before the reader is dropped.
	liveWrite = 10 * time.Second
)

// serveLive answers with one endless fragmented MP4: the init segment and all chunks from the newest independent one
// on, for players that do not speak low-latency HLS. It ends with the broadcast, or with the init segment: a player
// cannot change decoders within one file. Of a broadcast that has ended it gives all that is listed (see movie.go).
func (s *Server) serveLive(w http.ResponseWriter, r *http.Request) {
	var b *Broadcast
	if id := r.PathValue("broadcast"); id != "" {
		b = s.lookup(r)
	} else if b = s.awaitOn(r); b != nil {
		b.enter()
	}
	if b == nil {
		http.NotFound(w, r)
		return
	}
	defer b.leave()
	if !s.admit(w, r, b) {
		return
	}
	var t *track
	var part playlist.Part
	ended := false
	begun := s.await(r.Context(), firstWait, func() <-chan struct{} {
		if t = b.liveTrack(r.URL.Query().Get("track")); t == nil {
			return s.changes()
		}
		t.asked()
		return t.changes()
	}, func() (ok bool) {
		if t != nil {
			t.with(func(p *playlist.Playlist) {
				if ended = p.Ended(); ended {
					part, ok = p.First()
				} else {
					part, ok = p.NewestIndependent()
				}
			})
		}
		return ok
	})
	if !begun {
		tooLong(w)
		return
	}
	init, err := t.init(r.Context(), part.Init, s.foreign(r))
	if err != nil {
		mediaError(w, r, err)
		return
	}
	if ended {
		s.serveMovie(w, r, t)
		return
	}
	h := w.Header()
	h.Set("Content-Type", typeMedia)
	h.Set("Cache-Control", "no-store")
	h.Set("Accept-Ranges", "none")
	if r.Method == http.MethodHead {
		return
	}
	out := liveWriter{w: w, control: http.NewResponseController(w), clock: retime.New(init)}
	if !out.write(init) {
		return
	}
	t.stream(r, &out, part)
}

// liveTrack returns the track that /live.mp4 shows: the one asked for, else main, else the first with a picture, else
// the first.
func (b *Broadcast) liveTrack(name string) *track {
	tracks := b.all()
	if name == "" {
		name = "main"
	} else {
		return b.track(name)
	}
	if i := slices.IndexFunc(tracks, func(t *track) bool { return t.info.Name == name }); i >= 0 {
		return tracks[i]
	}
	for _, t := range tracks {
		if v, _ := t.variant(); v.Width > 0 {
			return t
		}
	}
	if len(tracks) > 0 {
		return tracks[0]
	}
	return nil
}

// stream writes chunk after chunk, from part on, until the list ends, the init segment changes or the reader goes.
func (t *track) stream(r *http.Request, out *liveWriter, part playlist.Part) {
	for {
		t.asked()
		c, ok := t.chunk(part.ID())
		if !ok || !out.write(out.clock.Place(position(partOf(c)), c.Block)...) {
			return
		}
		var next playlist.Part
		if !t.broadcast.server.await(r.Context(), 24*time.Hour, t.changes, func() (done bool) {
			t.with(func(p *playlist.Playlist) {
				if next, ok = p.After(part.ID()); !ok {
					done = p.Ended()
					return
				}
				done = true
				newest, here := p.Newest()
				if !here || p.Ended() || newest.Captured.Sub(next.Captured) <= liveLag {
					return
				}
				// It may be behind the reader where key frames are further apart than the lag.
				if i, here := p.NewestIndependent(); here && next.ID().Less(i.ID()) {
					next = i
				}
			})
			return done
		}) || !ok || next.Init != part.Init {
			return
		}
		part = next
	}
}

// position is what must be known of a part to place it in one endless MP4.
func position(p playlist.Part) retime.Position {
	return retime.Position{
		Epoch: p.Epoch, Timescale: p.Timescale, DecodeTime: p.DecodeTime, Duration: p.Duration, Discontinuity: p.Discontinuity,
	}
}

// liveWriter writes to one reader of an endless answer.
type liveWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	clock   *retime.Timeline
}

// write sends blocks at once; it reports false when the reader is gone or too slow.
func (l *liveWriter) write(blocks ...[]byte) bool {
	_ = l.control.SetWriteDeadline(time.Now().Add(liveWrite)) // not every ResponseWriter has deadlines
	for _, b := range blocks {
		if _, err := l.w.Write(b); err != nil {
			return false
		}
	}
	return l.control.Flush() == nil
}
