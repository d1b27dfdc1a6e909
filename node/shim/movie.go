package shim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"time"

	"murmuration/chunker/retime"
	"murmuration/playlist"
)

// serveMovie answers with a broadcast that has ended as one fragmented MP4: the init segment and all chunks listed.
// Where it is of one piece, players can seek in it by Range; where it has gaps or discontinuities, it is made as it is
// sent.
func (s *Server) serveMovie(w http.ResponseWriter, r *http.Request, t *track) {
	var spans []playlist.Span
	t.edition(true, func(p *playlist.Playlist) { spans = p.Spans() })
	if len(spans) == 0 {
		http.NotFound(w, r)
		return
	}
	foreign := s.foreign(r)
	init, err := t.init(r.Context(), spans[0].Init, foreign)
	if err != nil {
		mediaError(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", typeMedia)
	setCache(h, "no-cache")
	out := liveWriter{w: w, control: http.NewResponseController(w), clock: retime.New(init)}
	if m, ok := newMovie(r.Context(), t, init, spans, foreign); ok {
		http.ServeContent(patient{w, out.control}, r, "", time.Time{}, m)
		return
	}
	h.Set("Accept-Ranges", "none")
	if r.Method == http.MethodHead || !out.write(init) {
		return
	}
	for _, span := range spans {
		if span.Init != spans[0].Init || !t.streamSpan(r.Context(), &out, span, foreign) {
			return
		}
	}
}

// streamSpan writes a segment: of one with gaps, what is at hand.
func (t *track) streamSpan(ctx context.Context, out *liveWriter, span playlist.Span, foreign bool) bool {
	if !span.Gap {
		chunks, err := t.gather(ctx, playlist.ID{Epoch: span.Epoch, Seq: span.First}, playlist.ID{Epoch: span.Epoch, Seq: span.Last}, foreign)
		if err != nil {
			return false
		}
		for _, c := range chunks {
			if !out.write(out.clock.Place(position(partOf(c)), c.Block)...) {
				return false
			}
		}
		return true
	}
	for seq := span.First; seq <= span.Last; seq++ {
		if c, ok := t.chunk(playlist.ID{Epoch: span.Epoch, Seq: seq}); ok && !out.write(out.clock.Place(position(partOf(c)), c.Block)...) {
			return false
		}
	}
	return true
}

// patient gives each piece of a long answer the time that liveWriter gives it.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p patient) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(liveWrite)) // not every ResponseWriter has deadlines
	return p.ResponseWriter.Write(b)
}

// movie is a recording as one file, of which only those segments are brought that are read.
type movie struct {
	ctx     context.Context
	t       *track
	init    []byte
	spans   []playlist.Span
	starts  []int64 // where each span begins in the file
	size    int64
	foreign bool

	at   int64
	here int // the span that body holds
	body io.ReadSeeker
}

// newMovie reports false where the file's length cannot be told beforehand.
func newMovie(ctx context.Context, t *track, init []byte, spans []playlist.Span, foreign bool) (*movie, bool) {
	m := &movie{ctx: ctx, t: t, init: init, spans: spans, size: int64(len(init)), foreign: foreign, here: -1}
	for i, span := range spans {
		if span.Gap || span.Size <= 0 || span.Init != spans[0].Init || i > 0 && (span.Discontinuity || span.Epoch != spans[0].Epoch) {
			return nil, false
		}
		m.starts = append(m.starts, m.size)
		m.size += int64(span.Size)
	}
	return m, true
}

// Read implements io.Reader.
func (m *movie) Read(p []byte) (int, error) {
	switch {
	case m.at >= m.size:
		return 0, io.EOF
	case m.at < int64(len(m.init)):
		n := copy(p, m.init[m.at:])
		m.at += int64(n)
		return n, nil
	}
	i := sort.Search(len(m.starts), func(i int) bool { return m.starts[i] > m.at }) - 1
	if i != m.here {
		if err := m.open(i); err != nil {
			return 0, err
		}
	}
	if _, err := m.body.Seek(m.at-m.starts[i], io.SeekStart); err != nil {
		return 0, err
	}
	n, err := m.body.Read(p)
	m.at += int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// open brings a span.
func (m *movie) open(i int) error {
	span := m.spans[i]
	chunks, err := m.t.gather(m.ctx, playlist.ID{Epoch: span.Epoch, Seq: span.First}, playlist.ID{Epoch: span.Epoch, Seq: span.Last}, m.foreign)
	if err != nil {
		return err
	}
	blocks, size := make([][]byte, len(chunks)), 0
	for j, c := range chunks {
		blocks[j] = c.Block
		size += len(c.Block)
	}
	if size != span.Size { // what was told of it was not so
		return fmt.Errorf("shim: segment of %d bytes in place of %d", size, span.Size)
	}
	m.here, m.body = i, newReader(blocks)
	return nil
}

// Seek implements io.Seeker.
func (m *movie) Seek(offset int64, whence int) (int64, error) {
	to, err := seek(m.at, m.size, offset, whence)
	if err == nil {
		m.at = to
	}
	return to, err
}
