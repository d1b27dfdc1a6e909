package shim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/playlist"
)

// past is a History of chunks that an origin made.
type past struct {
	delay  time.Duration // of Parts and Chunks
	refuse error
	short  bool // Chunks leaves one out

	mu     sync.Mutex
	chunks []envelope.Chunk
	inits  map[string][]byte
	asked  []string // what Chunks was asked for
	closed int
}

func (h *past) add(c envelope.Chunk) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inits == nil {
		h.inits = map[string][]byte{}
	}
	if c.Init != nil {
		h.inits[c.Envelope.Init.String()] = c.Init
	}
	h.chunks = append(h.chunks, c)
}

func (h *past) wait(ctx context.Context) error {
	h.mu.Lock()
	delay, refuse := h.delay, h.refuse
	h.mu.Unlock()
	select {
	case <-time.After(delay):
		return refuse
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *past) Parts(ctx context.Context, before playlist.ID) (parts []playlist.Part, err error) {
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.chunks {
		if part := partOf(c); part.ID().Less(before) {
			parts = append(parts, part)
		}
	}
	return parts, nil
}

func (h *past) Chunks(ctx context.Context, from, to playlist.ID) (chunks []envelope.Chunk, err error) {
	h.mu.Lock()
	h.asked = append(h.asked, fmt.Sprint(from.Seq, "-", to.Seq))
	h.mu.Unlock()
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.chunks {
		if id := partOf(c).ID(); !id.Less(from) && !to.Less(id) && (!h.short || id != to) {
			chunks = append(chunks, c)
		}
	}
	return chunks, nil
}

func (h *past) Init(ctx context.Context, name string) ([]byte, error) {
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if b := h.inits[name]; b != nil {
		return b, nil
	}
	return nil, ErrGone
}

func (h *past) Close() error {
	h.set(func() { h.closed++ })
	return nil
}

// set changes how it behaves.
func (h *past) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *past) closings() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

func (h *past) questions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.asked)
}

// made returns a history of n chunks that ends now.
func made(o *origin, n int, h *past) *past {
	began := time.Now().Add(-time.Duration(n) * 250 * time.Millisecond)
	for i := range n {
		h.add(o.chunk(began.Add(time.Duration(i) * 250 * time.Millisecond)))
	}
	return h
}

// joinLate opens a broadcast with a history and gives it the history's last seconds, as on joining.
func (r *rig) joinLate(o *origin, h *past, backlog int) *Broadcast {
	r.t.Helper()
	b, err := r.Open(BroadcastInfo{ID: o.broadcast, Title: "A talk"})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := b.AddTrack(TrackInfo{Name: "main", History: h}, nil); err != nil {
		r.t.Fatal(err)
	}
	for _, c := range h.chunks[len(h.chunks)-backlog:] {
		r.push(b, c)
	}
	return b
}

// more publishes n chunks in real time, and writes them down.
func (r *rig) more(b *Broadcast, o *origin, h *past, n int) {
	for range n {
		captured := time.Now()
		time.Sleep(250 * time.Millisecond)
		c := o.chunk(captured)
		h.add(c)
		r.push(b, c)
	}
}

func (r *rig) media(path string) *playlist.Media {
	r.t.Helper()
	a := r.get(path)
	m, err := playlist.ParseMedia([]byte(a.body))
	if a.code != 200 || err != nil {
		r.t.Fatalf("%s: %d, %v: %s", path, a.code, err, a.body)
	}
	return m
}

// check downloads the segments of a list and holds them against the history.
func (r *rig) check(base string, m *playlist.Media, h *past) {
	r.t.Helper()
	seq := uint64(0)
	for _, s := range m.Segments {
		if s.URI == "" {
			continue
		}
		_, first, last, ok := playlist.ParseSegmentURI(s.URI)
		if !ok || seq > 0 && first != seq {
			r.t.Fatalf("%s follows %d", s.URI, seq)
		}
		seq = last + 1
		var want []byte
		for _, c := range h.chunks[first : last+1] {
			want = append(want, c.Block...)
		}
		a := r.get(base + s.URI)
		if a.code != 200 || a.body != string(want) {
			r.t.Fatalf("%s: %d, %d bytes of %d", s.URI, a.code, len(a.body), len(want))
		}
		time.Sleep(500 * time.Millisecond) // nobody watches faster for long
	}
}
