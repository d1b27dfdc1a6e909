package shim

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/chunker/envelope"
)

// TestMedia checks parts, segments, init segments, ranges and headers.
func TestMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 8 * time.Second})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 60)
		m := r.media("/b/talk/main/index.m3u8")
		var whole string
		for _, p := range m.Segments[len(m.Segments)-2].Parts {
			whole += r.get("/b/talk/main/" + p.URI).body
		}
		uri := "/b/talk/main/" + m.Segments[len(m.Segments)-2].URI
		a := r.get(uri)
		if a.body != whole || a.header.Get("Content-Type") != "video/mp4" || a.header.Get("Cache-Control") != "max-age=3600, immutable" {
			t.Errorf("segment: %d bytes, %v", len(a.body), a.header)
		}
		if a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("headers %v", a.header)
		}
		for _, c := range [][2]int{{0, 9}, {1010, 1030}, {5, len(whole) - 1}} {
			a := r.get(uri, "Range", fmt.Sprintf("bytes=%d-%d", c[0], c[1]))
			if a.code != 206 || a.body != whole[c[0]:c[1]+1] {
				t.Errorf("range %v: %d, %d bytes", c, a.code, len(a.body))
			}
		}
		if a := r.get(uri, "Range", "bytes=999999-"); a.code != 416 {
			t.Errorf("range past the end: %d", a.code)
		}
		if a := r.get("/b/talk/main/" + m.Segments[0].Init); a.body != string(box("ftyp", "one")) {
			t.Errorf("init %q", a.body)
		}
		if a := r.do(context.Background(), "HEAD", uri); a.code != 200 || a.header.Get("Content-Length") != fmt.Sprint(len(whole)) || a.body != "" {
			t.Errorf("HEAD %+v", a)
		}
		if a := r.do(context.Background(), "OPTIONS", uri, "Origin", "https://else.where"); a.code != 204 || a.header.Get("Access-Control-Allow-Methods") == "" {
			t.Errorf("OPTIONS %+v", a)
		}
		a = r.get("/b/talk/main/index.m3u8", "Accept-Encoding", "gzip")
		z, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil || string(plain) != r.get("/b/talk/main/index.m3u8").body {
			t.Errorf("gzip: %v", err)
		}
		if a.header.Get("Cache-Control") != "no-cache" || a.header.Get("Content-Type") != "application/vnd.apple.mpegurl" {
			t.Errorf("headers %v", a.header)
		}
		// What left the list a while ago is still there, what left long ago is not.
		if a := r.get("/b/talk/main/s-7-16-23.m4s"); a.code != 200 {
			t.Errorf("just expired: %d", a.code)
		}
		r.publish(b, o, 60)
		if a := r.get("/b/talk/main/p-7-16.m4s"); a.code != 404 {
			t.Errorf("long expired: %d", a.code)
		}
		tr := b.track("main")
		if len(tr.chunks) > 100 {
			t.Errorf("%d chunks held", len(tr.chunks))
		}
	})
}

// TestMultivariant checks what is on, before anything is and while broadcasts come and go.
func TestMultivariant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		if a := r.get("/live.m3u8"); a.code != 404 || a.took != firstWait {
			t.Errorf("nothing on: %d after %v", a.code, a.took)
		}
		first := make(chan answer, 1)
		go func() { first <- r.get("/live.m3u8") }()
		time.Sleep(time.Second)
		one := r.open("one")
		o := newOrigin("one")
		r.publish(one, o, 1)
		if a := <-first; a.code != 200 || a.took != 1250*time.Millisecond || !strings.Contains(a.body, "\n/b/one/main/index.m3u8\n") {
			t.Errorf("%d after %v: %s", a.code, a.took, a.body)
		}
		if a := r.get("/b/one/index.m3u8"); !strings.Contains(a.body, "\nmain/index.m3u8\n") {
			t.Error(a.body)
		}
		two := r.open("two")
		if a := r.get("/live.m3u8"); !strings.Contains(a.body, "/b/one/") {
			t.Errorf("a broadcast that waits hides one that is live: %s", a.body)
		}
		r.publish(two, newOrigin("two"), 1)
		if a := r.get("/live.m3u8"); !strings.Contains(a.body, "/b/two/") {
			t.Errorf("not the newest: %s", a.body)
		}
		two.End()
		if a := r.get("/live.m3u8"); !strings.Contains(a.body, "/b/one/") {
			t.Errorf("an ended one: %s", a.body)
		}
		if two.State() != StateEnded || one.State() != StateLive {
			t.Error(two.State(), one.State())
		}
		if a := r.get("/b/two/main/index.m3u8"); a.code != 200 || !strings.Contains(a.body, "#EXT-X-ENDLIST") {
			t.Errorf("ended early: %d %s", a.code, a.body)
		}
		two.Close()
		if a := r.get("/b/two/index.m3u8"); a.code != 404 {
			t.Errorf("closed: %d", a.code)
		}
		if _, err := r.Open(BroadcastInfo{ID: "one"}); err == nil {
			t.Error("two broadcasts of one name")
		}
		if _, err := r.Open(BroadcastInfo{ID: "../x"}); err == nil {
			t.Error("a bad name")
		}
	})
}

// TestPushErrors checks what is refused.
func TestPushErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		c := o.chunk(time.Now())
		c.Init = nil
		if err := b.Push("main", c); err == nil {
			t.Error("no init segment")
		}
		if err := b.Push("other", o.chunk(time.Now())); err == nil {
			t.Error("unknown track")
		}
		if err := b.Push("main", newOrigin("talk2").chunk(time.Now())); err == nil {
			t.Error("another broadcast's chunk")
		}
		if err := b.Push("main", envelope.Chunk{}); err == nil {
			t.Error("no envelope")
		}
	})
}

// TestTracks checks that tracks tell of each other, and end together.
func TestTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b := r.open("talk")
		if err := b.AddTrack(TrackInfo{Name: "sv", Language: "sv"}, nil); err != nil {
			t.Fatal(err)
		}
		if err := b.AddTrack(TrackInfo{Name: "sv"}, nil); !errors.Is(err, ErrExists) {
			t.Error(err)
		}
		one, two := newOrigin("talk"), newOrigin("talk")
		two.init = "two"
		other := func(c envelope.Chunk) {
			t.Helper()
			c.Track = "sv"
			if err := b.Push("sv", c); err != nil {
				t.Error(err)
			}
		}
		for range 20 {
			other(two.chunk(time.Now()))
			r.publish(b, one, 1)
		}
		text := r.get("/b/talk/main/index.m3u8").body
		if !strings.Contains(text, "#EXT-X-RENDITION-REPORT:URI=\"../sv/index.m3u8\",LAST-MSN=2,LAST-PART=3\n") {
			t.Error(text)
		}
		if text := r.get("/b/talk/index.m3u8").body; !strings.Contains(text, "main/index.m3u8") || !strings.Contains(text, "sv/index.m3u8") {
			t.Error(text)
		}
		r.push(b, one.end(time.Now()))
		synctest.Wait()
		if b.State() != StateLive {
			t.Error("one track's end ended the broadcast")
		}
		other(two.end(time.Now()))
		synctest.Wait()
		if b.State() != StateEnded {
			t.Error(b.State())
		}
	})
}

// TestManyFormats checks that init segments do not pile up, and that those that are needed stay.
func TestManyFormats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 6 * time.Second})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		for i := range 5 * maxInits {
			o.init, o.cut, o.since = fmt.Sprint("format", i), i > 0, 0
			r.publish(b, o, 4)
		}
		if n := len(b.track("main").inits); n > 2*maxInits {
			t.Errorf("%d init segments", n)
		}
		m := r.media("/b/talk/main/index.m3u8")
		for _, s := range m.Segments {
			if a := r.get("/b/talk/main/" + s.Init); a.code != 200 {
				t.Errorf("%s: %d", s.Init, a.code)
			}
		}
	})
}
