package shim

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"murmuration/playlist"
)

const (
	typePlaylist = "application/vnd.apple.mpegurl"
	typeMedia    = "video/mp4"
	// Media never changes under its name: parts and segments are named by the chunks they are made of.
	cacheMedia = "max-age=3600, immutable"
)

func (s *Server) serveLiveMultivariant(w http.ResponseWriter, r *http.Request) {
	b := s.awaitOn(r)
	if b == nil {
		http.Error(w, "Nothing is on.", http.StatusNotFound)
		return
	}
	if !s.admit(w, r, b) {
		return
	}
	s.multivariant(w, r, b, "/b/"+b.info.ID+"/")
}

// awaitOn returns what is on now; it waits a little where nothing is.
func (s *Server) awaitOn(r *http.Request) (b *Broadcast) {
	s.await(r.Context(), firstWait, s.changes, func() bool {
		b = s.on(func(b *Broadcast) bool { return s.admits(r, b) })
		return b != nil
	})
	return b
}

func (s *Server) serveMultivariant(w http.ResponseWriter, r *http.Request) {
	b := s.lookup(r)
	if b == nil {
		http.NotFound(w, r)
		return
	}
	defer b.leave()
	if s.admit(w, r, b) {
		s.multivariant(w, r, b, "")
	}
}

func (s *Server) multivariant(w http.ResponseWriter, r *http.Request, b *Broadcast, prefix string) {
	text, ok := b.multivariant(r.Context(), prefix)
	if !ok {
		tooLong(w)
		return
	}
	writePlaylist(w, r, [][]byte{text}, false)
}

// tooLong answers a request that waited in vain.
func tooLong(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "Nothing came in time.", http.StatusServiceUnavailable)
}

func (s *Server) serveTrack(w http.ResponseWriter, r *http.Request) {
	var t *track
	name, cut := cutOf(r.PathValue("track"))
	if b := s.lookup(r); b != nil {
		defer b.leave()
		if !s.admit(w, r, b) {
			return
		}
		t = b.track(name)
	}
	if t == nil {
		http.NotFound(w, r)
		return
	}
	t.asked()
	file := r.PathValue("file")
	if file == indexName || file == dvrName {
		s.servePlaylist(w, r, t, file)
	} else if id, ok := playlist.ParsePartURI(file); ok {
		s.servePart(w, r, t, id, cut)
	} else if epoch, first, last, ok := playlist.ParseSegmentURI(file); ok {
		s.serveSegment(w, r, t, epoch, first, last, cut)
	} else if name, ok := playlist.ParseInitURI(file); ok {
		init, err := t.init(r.Context(), name, s.foreign(r))
		if err != nil {
			mediaError(w, r, err)
			return
		}
		writeMedia(w, r, cut.init(init))
	} else {
		http.NotFound(w, r)
	}
}

// servePlaylist answers with the media playlist, after the wait that the client asks for.
func (s *Server) servePlaylist(w http.ResponseWriter, r *http.Request, t *track, name string) {
	reload, err := playlist.ParseReload(r.URL.Query())
	// Until there is a list with a finished segment, players cannot begin: everybody waits. So they do for what was
	// before, a moment.
	wait := firstWait
	t.with(func(p *playlist.Playlist) { wait = max(p.MaxWait(), firstWait) })
	if err != nil && !t.isOver() { // directives are ignored once the list has ended
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var late, ready, known bool
	if !s.await(r.Context(), wait, t.changes, func() bool {
		late, ready, known = t.choose(name)
		return known && (ready || t.hasEnded())
	}) {
		tooLong(w)
		return
	}
	if !ready { // it ended before there was anything to list
		http.NotFound(w, r)
		return
	}
	if t.edition(late, func(p *playlist.Playlist) { wait = p.MaxWait() }); reload.Blocking {
		verdict := playlist.Wait
		s.await(r.Context(), wait, t.changes, func() bool {
			t.edition(late, func(p *playlist.Playlist) { verdict = p.Decide(reload) })
			return verdict != playlist.Wait
		})
		switch verdict {
		case playlist.Wait:
			tooLong(w)
			return
		case playlist.Refuse:
			http.Error(w, playlist.ErrReload.Error()+": too far ahead", http.StatusBadRequest)
			return
		}
	}
	zip := acceptsGzip(r)
	writePlaylist(w, r, t.render(late, reload.Skip, zip), zip)
}

// servePart answers with a part; the one that PRELOAD-HINT names is waited for, and comes whole or not at all.
func (s *Server) servePart(w http.ResponseWriter, r *http.Request, t *track, id playlist.ID, cut cut) {
	listed, hinted := false, false
	wait := time.Duration(0)
	ask := func() bool {
		t.with(func(p *playlist.Playlist) {
			_, listed = p.Part(id)
			hint, ok := p.Hint()
			hinted = ok && hint == id
			wait = p.MaxWait()
		})
		return listed || !hinted
	}
	if !ask() {
		s.await(r.Context(), wait, t.changes, ask)
	}
	if hinted && !listed {
		tooLong(w)
		return
	}
	if !listed {
		t.edition(true, func(p *playlist.Playlist) { _, listed = p.Part(id) })
	}
	s.serveChunks(w, r, t, listed, id, id, cut)
}

func (s *Server) serveSegment(w http.ResponseWriter, r *http.Request, t *track, epoch, first, last uint64, cut cut) {
	listed := false
	ask := func(p *playlist.Playlist) { _, listed = p.Segment(epoch, first, last) }
	if t.with(ask); !listed {
		t.edition(true, ask)
	}
	s.serveChunks(w, r, t, listed, playlist.ID{Epoch: epoch, Seq: first}, playlist.ID{Epoch: epoch, Seq: last}, cut)
}

func (s *Server) serveChunks(w http.ResponseWriter, r *http.Request, t *track, listed bool, from, to playlist.ID, cut cut) {
	if !listed {
		http.NotFound(w, r)
		return
	}
	chunks, err := t.gather(r.Context(), from, to, s.foreign(r))
	if err != nil {
		mediaError(w, r, err)
		return
	}
	blocks := make([][]byte, 0, len(chunks))
	for _, c := range chunks {
		blocks = append(blocks, cut.block(c.Block)...)
	}
	writeMedia(w, r, blocks...)
}

// mediaError answers where media is listed and cannot be had: for good, or just now.
func mediaError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrGone) {
		http.NotFound(w, r)
		return
	}
	tooLong(w)
}

func acceptsGzip(r *http.Request) bool {
	for _, field := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(field), ";")
		if name == "gzip" {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && q != "q=0.0"
		}
	}
	return false
}

func writePlaylist(w http.ResponseWriter, r *http.Request, text [][]byte, zipped bool) {
	h := w.Header()
	h.Set("Content-Type", typePlaylist)
	setCache(h, "no-cache")
	h.Add("Vary", "Accept-Encoding")
	if zipped {
		h.Set("Content-Encoding", "gzip")
	}
	size := 0
	for _, piece := range text {
		size += len(piece)
	}
	h.Set("Content-Length", strconv.Itoa(size))
	if r.Method == http.MethodHead {
		return
	}
	for _, piece := range text {
		if len(piece) == 0 {
			continue
		}
		if _, err := w.Write(piece); err != nil {
			return // the client has gone
		}
	}
}

// writeMedia answers with blocks one after the other. The common case, the whole of them, is written without a copy.
func writeMedia(w http.ResponseWriter, r *http.Request, blocks ...[]byte) {
	h := w.Header()
	h.Set("Content-Type", typeMedia)
	setCache(h, cacheMedia)
	if r.Header.Get("Range") != "" {
		http.ServeContent(w, r, "", time.Time{}, newReader(blocks))
		return
	}
	size := 0
	for _, b := range blocks {
		size += len(b)
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.Itoa(size))
	if r.Method == http.MethodHead {
		return
	}
	for _, b := range blocks {
		if _, err := w.Write(b); err != nil {
			return // the client has gone
		}
	}
}

// reader reads blocks as one, for Range requests.
type reader struct {
	blocks [][]byte
	size   int64
	at     int64
}

func newReader(blocks [][]byte) io.ReadSeeker {
	if len(blocks) == 1 {
		return bytes.NewReader(blocks[0])
	}
	r := &reader{blocks: blocks}
	for _, b := range blocks {
		r.size += int64(len(b))
	}
	return r
}

func (r *reader) Read(p []byte) (int, error) {
	at := r.at
	for _, b := range r.blocks {
		if at < int64(len(b)) {
			n := copy(p, b[at:])
			r.at += int64(n)
			return n, nil
		}
		at -= int64(len(b))
	}
	return 0, io.EOF
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	to, err := seek(r.at, r.size, offset, whence)
	if err == nil {
		r.at = to
	}
	return to, err
}

// seek returns where io.Seeker's arguments lead from at, in something of a size.
func seek(at, size, offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += at
	case io.SeekEnd:
		offset += size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	return offset, nil
}
