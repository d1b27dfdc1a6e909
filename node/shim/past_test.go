package shim

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/node/player"
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

// TestDVR joins a broadcast in its middle: the list goes back to the start, play begins at its end as ever, and the end
// makes it the recording at once.
func TestDVR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 20 * time.Second})
		defer r.stop()
		o := newOrigin("talk")
		h := made(o, 4*600, &past{delay: 300 * time.Millisecond})
		const base = "/b/talk/main/"
		b := r.joinLate(o, h, 24)
		p := player.New(player.Config{URL: "http://127.0.0.1:8480/b/talk/index.m3u8", Client: r.client})
		playing, live := make(chan error, 1), make(chan bool)
		go func() { playing <- p.Run(context.Background()) }()
		go func() { r.more(b, o, h, 4*40); close(live) }()
		if a := r.get(base + "index.m3u8"); a.took != 300*time.Millisecond {
			t.Errorf("the list was shown after %v", a.took)
		}
		m := r.media(base + "index.m3u8")
		if m.MediaSequence != 0 || m.Segments[0].URI != "s-7-0-7.m4s" || len(m.Segments) != 301 || m.SkipUntil == 0 {
			t.Fatalf("%d segments from %d: %+v", len(m.Segments), m.MediaSequence, m.Segments[0])
		}
		// From the start, fetched: within 2 s; a second player gets what the first has had.
		for range 2 {
			if a := r.get(base + "s-7-0-7.m4s"); a.code != 200 || a.took > 300*time.Millisecond {
				t.Errorf("%d after %v", a.code, a.took)
			}
		}
		if a := r.get(base + "p-7-100.m4s"); a.code != 200 || a.body != string(h.chunks[100].Block) {
			t.Errorf("old part: %d", a.code)
		}
		if n := h.questions(); n != 2 {
			t.Errorf("asked %d times", n)
		}
		<-live
		if got := p.Result(); got.Stalls > 0 || got.Missed > 0 || got.Playhead.Max > 1500 || got.StartupMS > 1300 {
			t.Errorf("player: %+v", got)
		}
		tr := b.track("main")
		if n := len(tr.chunks); n > 4*20+16 {
			t.Errorf("%d chunks held", n)
		}
		delta := r.get(base + "index.m3u8?_HLS_skip=YES")
		if whole := r.get(base + "index.m3u8"); len(delta.body)*10 > len(whole.body) || !strings.Contains(delta.body, "#EXT-X-SKIP") {
			t.Errorf("delta of %d bytes, whole %d", len(delta.body), len(whole.body))
		}
		r.push(b, o.end(time.Now()))
		m = r.media(base + "index.m3u8")
		if !m.End || m.MediaSequence != 0 || len(m.Segments) != 320 {
			t.Errorf("at the end: %d segments from %d, %v", len(m.Segments), m.MediaSequence, m.End)
		}
		if err := <-playing; err != nil {
			t.Error(err)
		}
		r.check(base, m, h)
		if a := r.get(base + "s-7-1-7.m4s"); a.code != 404 {
			t.Errorf("not listed: %d", a.code)
		}
	})
}

// TestDVRLate has the history come after the list was shown: those who have it keep it, a second list has the whole, and
// after the end both do.
func TestDVRLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 20 * time.Second})
		defer r.stop()
		o := newOrigin("talk")
		h := made(o, 800, &past{delay: 5 * time.Second})
		const base = "/b/talk/main/"
		b := r.joinLate(o, h, 24)
		if a := r.get(base + "index.m3u8"); a.code != 200 || a.took != pastWait {
			t.Fatalf("%d after %v", a.code, a.took)
		}
		before := r.media(base + "index.m3u8")
		if before.MediaSequence != 776 {
			t.Errorf("begins at %d", before.MediaSequence)
		}
		dvr := make(chan answer, 1)
		go func() { dvr <- r.get(base + "dvr.m3u8") }() // waits for it
		go r.more(b, o, h, 80)
		if a := <-dvr; a.code != 200 || !strings.Contains(a.body, "s-7-0-7.m4s") || a.took > 5*time.Second {
			t.Errorf("%d after %v: %s", a.code, a.took, a.body)
		}
		time.Sleep(18 * time.Second)
		m := r.media(base + "index.m3u8")
		if m.MediaSequence != before.MediaSequence || m.Segments[0].URI != before.Segments[0].URI {
			t.Errorf("what was shown changed: %d %s", m.MediaSequence, m.Segments[0].URI)
		}
		d := r.media(base + "dvr.m3u8")
		if d.MediaSequence != 0 || len(d.Segments) != 110 || d.Hint != m.Hint || d.SkipUntil != m.SkipUntil {
			t.Errorf("%d segments from %d", len(d.Segments), d.MediaSequence)
		}
		if a := r.get("/b/talk/index.m3u8"); !strings.Contains(a.body, "\nmain/dvr.m3u8\n") {
			t.Error(a.body)
		}
		if a := r.get(base + fmt.Sprintf("dvr.m3u8?_HLS_msn=%d&_HLS_part=0", len(d.Segments)+3)); a.code != 400 {
			t.Errorf("too far ahead: %d", a.code)
		}
		h.set(func() { h.delay = 50 * time.Millisecond })
		r.check(base, d, h)
		b.End()
		if !r.media(base+"index.m3u8").End || !r.media(base+"dvr.m3u8").End {
			t.Error("no ENDLIST")
		}
		time.Sleep(7 * time.Second)
		if m := r.media(base + "index.m3u8"); m.MediaSequence != 0 || !m.End || len(m.Segments) != 110 {
			t.Errorf("after the end: %d segments from %d", len(m.Segments), m.MediaSequence)
		}
	})
}

// TestDVRNobodyThere has the history come late to a list that nobody has looked at: it is one list.
func TestDVRNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 20 * time.Second})
		defer r.stop()
		o := newOrigin("talk")
		h := made(o, 800, &past{refuse: errors.New("nobody is there")})
		b := r.joinLate(o, h, 24)
		r.more(b, o, h, 4*200)
		h.set(func() { h.refuse = nil })
		r.more(b, o, h, 4*60)
		if m := r.media("/b/talk/main/index.m3u8"); m.MediaSequence != 0 || len(m.Segments) != (1600+240)/8 {
			t.Errorf("%d segments from %d", len(m.Segments), m.MediaSequence)
		}
		if a := r.get("/b/talk/index.m3u8"); !strings.Contains(a.body, "\nmain/index.m3u8\n") {
			t.Error(a.body)
		}
	})
	// It never comes: a window, as ever, and a list with the whole that is not to be had.
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		o := newOrigin("talk")
		h := made(o, 100, &past{refuse: errors.New("nobody is there")})
		r.joinLate(o, h, 24)
		if a := r.get("/b/talk/main/index.m3u8"); a.code != 200 || a.took != 0 {
			t.Errorf("%d after %v", a.code, a.took)
		}
		if a := r.get("/b/talk/main/dvr.m3u8"); a.code != 503 || a.took != firstWait {
			t.Errorf("%d after %v", a.code, a.took)
		}
	})
}

// TestFetch checks what requests for what is not at hand may cause.
func TestFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 20 * time.Second})
		defer r.stop()
		o := newOrigin("talk")
		h := made(o, 4000, &past{delay: time.Second})
		r.joinLate(o, h, 24)
		time.Sleep(1500 * time.Millisecond)
		const base = "/b/talk/main/"
		uri := func(i int) string { return fmt.Sprintf("%ss-7-%d-%d.m4s", base, 8*i, 8*i+7) }
		all := func(paths []string, header ...string) (codes map[int]int, took time.Duration) {
			codes = map[int]int{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			began := time.Now()
			for _, p := range paths {
				wg.Go(func() {
					a := r.get(p, header...)
					mu.Lock()
					codes[a.code]++
					mu.Unlock()
				})
			}
			wg.Wait()
			return codes, time.Since(began)
		}
		same := make([]string, 30)
		for i := range same {
			same[i] = uri(3)
		}
		if codes, took := all(same); codes[200] != 30 || h.questions() != 1 || took != time.Second {
			t.Errorf("equal requests: %v, asked %d times, %v", codes, h.questions(), took)
		}
		h.set(func() { h.delay = 900 * time.Millisecond })
		many := make([]string, 200)
		for i := range many {
			many[i] = uri(10 + i)
		}
		// Eight at once, a second each, two seconds for each request: 16 come through.
		if codes, took := all(many); codes[200] != 16 || codes[503] != 184 || took != fetchBudget {
			t.Errorf("many requests: %v, %v", codes, took)
		}
		time.Sleep(10 * time.Second)
		h.set(func() { h.delay = time.Millisecond })
		asked := h.questions()
		began := time.Now()
		for i := range 200 {
			r.get(uri(250+i), "Origin", "https://else.where")
		}
		if n := h.questions() - asked; n > foreignBurst+1+int(foreignRate*time.Since(began).Seconds()) || n < foreignBurst {
			t.Errorf("a foreign page caused %d fetches in %v", n, time.Since(began))
		}
		began = time.Now()
		if a := r.get(uri(6), "Origin", "https://else.where"); a.took > fetchBudget || time.Since(began) > fetchBudget {
			t.Errorf("held for %v", a.took)
		}
		time.Sleep(time.Minute)
		for name, c := range map[string]struct {
			set  func()
			path string
			code int
		}{
			"gone":      {func() { h.refuse = ErrGone }, uri(5), 404},
			"later":     {func() { h.refuse = errors.New("busy") }, uri(5), 503},
			"short":     {func() { h.short = true }, uri(5), 503},
			"slow":      {func() { h.delay = time.Minute }, uri(5), 503},
			"not there": {func() {}, base + "s-7-41-47.m4s", 404},
			"huge":      {func() {}, base + "s-7-0-18446744073709551615.m4s", 404},
			"part":      {func() {}, base + "p-7-99999.m4s", 404},
			"init":      {func() {}, base + "init-bafkqaaa.mp4", 404},
			"epoch":     {func() {}, base + "s-6-0-7.m4s", 404},
		} {
			h.set(func() { h.refuse, h.short, h.delay = nil, false, time.Millisecond })
			h.set(c.set)
			if a := r.get(c.path); a.code != c.code || a.took > fetchBudget || c.code == 503 && a.header.Get("Retry-After") == "" {
				t.Errorf("%s: %d after %v", name, a.code, a.took)
			}
		}
		f := r.fetches
		f.mu.Lock()
		if f.size > fetchMemory || len(f.flights) > 0 || f.waiting > 0 {
			t.Errorf("%d bytes, %d flights, %d waiting", f.size, len(f.flights), f.waiting)
		}
		f.mu.Unlock()
		// Who goes takes a fetch along that nobody else waits for.
		h.set(func() { h.refuse, h.short, h.delay = nil, false, time.Minute })
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		r.do(ctx, "GET", uri(5))
		synctest.Wait()
		r.fetches.mu.Lock()
		defer r.fetches.mu.Unlock()
		if r.fetches.waiting > 0 {
			t.Error("a fetch goes on for nobody")
		}
	})
}

// TestRecording opens a recording when somebody asks for it, plays it, and closes it when nobody does.
func TestRecording(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOrigin("old")
		h := made(o, 403, &past{delay: 100 * time.Millisecond})
		var r *rig
		asked := 0
		r = newRig(t, Config{Recording: func(id string) bool {
			asked++
			if id != "old" {
				return false
			}
			b, err := r.Open(BroadcastInfo{ID: "old", Title: "Long ago"})
			if err != nil {
				t.Error(err)
				return false
			}
			if err := b.Recorded(TrackInfo{Name: "main"}, nil, h); err != nil {
				t.Error(err)
			}
			return true
		}})
		defer r.stop()
		for _, path := range []string{"/b/other/index.m3u8", "/b/OLD/index.m3u8", "/b/other/main/p-7-0.m4s"} {
			if a := r.get(path); a.code != 404 {
				t.Errorf("%s: %d", path, a.code)
			}
		}
		if asked != 2 {
			t.Errorf("asked %d times", asked)
		}
		asked = 0
		a := r.get("/b/old/index.m3u8")
		if a.code != 200 || a.took > time.Second || !strings.Contains(a.body, "\nmain/index.m3u8\n") {
			t.Fatalf("%d after %v: %s", a.code, a.took, a.body)
		}
		m := r.media("/b/old/main/index.m3u8?_HLS_msn=3")
		if !m.End || len(m.Segments) != 51 || m.Segments[0].URI != "s-7-0-7.m4s" || strings.Contains(r.get("/b/old/main/index.m3u8").body, "EXT-X-PART:") {
			t.Errorf("%d segments, %+v", len(m.Segments), m.Segments[0])
		}
		r.check("/b/old/main/", m, h)
		want := box("ftyp", "one")
		for _, c := range h.chunks {
			want = append(want, c.Block...)
		}
		if a := r.get("/b/old/live.mp4"); a.code != 200 || a.body != string(want) || a.header.Get("Content-Length") != fmt.Sprint(len(want)) {
			t.Errorf("mp4: %d, %d bytes of %d", a.code, len(a.body), len(want))
		}
		for _, c := range [][2]int{{0, 9}, {9000, 30_000}, {len(want) - 10, len(want) - 1}} {
			a := r.get("/b/old/live.mp4", "Range", fmt.Sprintf("bytes=%d-%d", c[0], c[1]))
			if a.code != 206 || a.body != string(want[c[0]:c[1]+1]) {
				t.Errorf("range %v: %d, %d bytes", c, a.code, len(a.body))
			}
		}
		if a := r.get("/live.m3u8"); a.code != 404 {
			t.Errorf("a recording is on: %d", a.code)
		}
		if st := r.Status(); len(st.Broadcasts) != 0 {
			t.Errorf("%+v", st.Broadcasts)
		}
		if asked != 1 || h.closings() != 0 {
			t.Errorf("opened %d times, closed %d times", asked, h.closings())
		}
		time.Sleep(2*demandIdle + time.Second)
		if r.broadcast("old") != nil || h.closings() != 1 {
			t.Errorf("still open; closed %d times", h.closings())
		}
		if a := r.get("/b/old/main/index.m3u8"); a.code != 200 || asked != 2 {
			t.Errorf("again: %d, opened %d times", a.code, asked)
		}
	})
}

// TestMovieWithBreaks streams a recording that is not of one piece.
func TestMovieWithBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		o := newOrigin("old")
		h := made(o, 40, &past{})
		o.cut, o.dt, o.since = true, 0, 0
		made(o, 40, h)
		h.chunks = append(h.chunks[:20:20], h.chunks[21:]...) // one was lost
		b, err := r.Open(BroadcastInfo{ID: "old"})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Recorded(TrackInfo{Name: "main"}, nil, h); err != nil {
			t.Fatal(err)
		}
		a := r.get("/b/old/live.mp4")
		if a.code != 200 || a.header.Get("Accept-Ranges") != "none" || strings.Count(a.body, "moof") != 79-3 {
			// Of the segment with the gap nothing is in memory: what is behind the gap cannot be shown.
			t.Errorf("%d: %d chunks, %v", a.code, strings.Count(a.body, "moof"), a.header)
		}
		if err := b.Recorded(TrackInfo{Name: "other"}, nil, nil); err == nil {
			t.Error("a recording without a history was taken")
		}
		if b.State() != StateEnded {
			t.Error(b.State())
		}
	})
}

// TestZip checks what is gzipped piece by piece against what it is made of, over a list that grows.
func TestZip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 20 * time.Second})
		defer r.stop()
		o := newOrigin("talk")
		h := made(o, 8000, &past{})
		b := r.joinLate(o, h, 24)
		for i := range 60 {
			r.more(b, o, h, 1+i%3)
			z := r.get("/b/talk/main/index.m3u8", "Accept-Encoding", "gzip")
			unzip, err := gzip.NewReader(strings.NewReader(z.body))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(unzip)
			if want := r.get("/b/talk/main/index.m3u8").body; err != nil || string(plain) != want || len(plain) < zipWhole {
				t.Fatalf("%d bytes of %d: %v", len(plain), len(want), err)
			}
			if len(z.body)*4 > len(plain) {
				t.Errorf("%d bytes became %d", len(plain), len(z.body))
			}
		}
	})
}

// TestStatusLists checks that lists are lists.
func TestStatusLists(t *testing.T) {
	st := Status{Broadcasts: []BroadcastStatus{{Tracks: []TrackStatus{{}}}}}
	text, err := json.Marshal(st.normal())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"recordings":[]`, `"stripes":[]`, `"store":{"bytes":0,"quota_bytes":0,"free_bytes":0,"recordings":0}`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
}
