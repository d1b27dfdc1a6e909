package shim

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
