package shim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/node/player"
)

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
