package shim

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReload walks through the table of blocking reloads as HTTP answers it.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 19) // segments 0 and 1, and three parts of 2
		const list = "/b/talk/main/index.m3u8"
		for _, c := range []struct {
			query string
			code  int
		}{
			{"", 200},
			{"?_HLS_part=1", 400},
			{"?_HLS_msn=x", 400},
			{"?_HLS_msn=2&_HLS_part=-1", 400},
			{"?_HLS_msn=5", 400},
			{"?_HLS_msn=2&_HLS_part=15", 400},
			{"?_HLS_msn=0&_HLS_part=3", 200},
			{"?_HLS_msn=1&_HLS_part=99", 200},
			{"?_HLS_msn=2", 200},
			{"?_HLS_msn=2&_HLS_part=2", 200},
			{"?_HLS_msn=2&_HLS_part=2&_HLS_skip=YES", 200},
		} {
			if a := r.get(list + c.query); a.code != c.code || a.took != 0 {
				t.Errorf("%s: %d after %v, want %d", c.query, a.code, a.took, c.code)
			}
		}
		for _, path := range []string{
			"/b/other/index.m3u8", "/b/other/main/index.m3u8", "/b/talk/other/index.m3u8", "/b/talk/main/other",
			"/b/talk/main/p-7-20.m4s", "/b/talk/main/p-7-07.m4s", "/b/talk/main/p-8-0.m4s", "/b/talk/main/s-7-0-6.m4s",
			"/b/talk/main/s-7-16-18.m4s", "/b/talk/main/init-x.mp4", "/b/talk/other.mp4", "/nothing",
		} {
			if a := r.get(path); a.code != 404 || a.took != 0 {
				t.Errorf("%s: %d after %v", path, a.code, a.took)
			}
		}
		// Held until the part comes, to the very moment.
		wait := func(path string) <-chan answer {
			ch := make(chan answer, 1)
			go func() { ch <- r.get(path) }()
			synctest.Wait()
			return ch
		}
		next := wait(list + "?_HLS_msn=2&_HLS_part=3")
		after := wait(list + "?_HLS_msn=2&_HLS_part=4")
		hint := wait("/b/talk/main/p-7-19.m4s")
		r.publish(b, o, 1)
		if a := <-next; a.code != 200 || a.took != 250*time.Millisecond || !strings.Contains(a.body, "p-7-19.m4s") {
			t.Errorf("next part: %+v", a)
		}
		if a := <-hint; a.code != 200 || a.took != 250*time.Millisecond || len(a.body) != 1019 {
			t.Errorf("hinted part: %d after %v", a.code, a.took)
		}
		// Nothing more comes: 503 after three target durations.
		if a := <-after; a.code != 503 || a.took != 6*time.Second || a.header.Get("Retry-After") == "" {
			t.Errorf("held too long: %d after %v", a.code, a.took)
		}
		// A client that goes takes its wait along.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r.do(ctx, "GET", list+"?_HLS_msn=2&_HLS_part=4")
		synctest.Wait()
		if n := waiting(r); n != "0" {
			t.Errorf("%s requests wait", n)
		}
		end := wait(list + "?_HLS_msn=2&_HLS_part=4")
		r.push(b, o.end(time.Now()))
		if a := <-end; a.code != 200 || !strings.Contains(a.body, "#EXT-X-ENDLIST") {
			t.Errorf("at the end: %+v", a)
		}
		for _, query := range []string{"?_HLS_msn=99", "?_HLS_part=1", "?_HLS_msn=x"} {
			if a := r.get(list + query); a.code != 200 || a.took != 0 {
				t.Errorf("after the end, %s: %d", query, a.code)
			}
		}
		if a := r.get("/b/talk/main/p-7-20.m4s"); a.code != 404 {
			t.Errorf("past the end: %d", a.code)
		}
	})
}

func waiting(r *rig) string {
	for line := range strings.Lines(r.get("/metrics").body) {
		if n, ok := strings.CutPrefix(line, "murmur_shim_waiting_requests "); ok {
			return strings.TrimSpace(n)
		}
	}
	return "?"
}
