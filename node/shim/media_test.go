package shim

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/node/player"
	"murmuration/playlist"
)

// TestPlay plays a broadcast from its first chunk to its end mark with the headless player, in virtual time: every
// part arrives the moment it is published.
func TestPlay(t *testing.T) {
	for _, hints := range []bool{false, true} {
		t.Run(fmt.Sprint("hints ", hints), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{})
				defer r.stop()
				b, o := r.open("talk"), newOrigin("talk")
				p := player.New(player.Config{URL: "http://127.0.0.1:8480/live.m3u8", Client: r.client, Hints: hints})
				done := make(chan error, 1)
				go func() { done <- p.Run(context.Background()) }()
				r.publish(b, o, 60)
				o.cut = true
				o.dt, o.since = 0, 0
				r.publish(b, o, 20)
				r.push(b, o.end(time.Now()))
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				got := p.Result()
				// The list opens with the second keyframe, nine chunks in; play begins three parts before its end, and
				// fetching at the keyframe before.
				want := player.Result{
					Received: 80, StartupMS: 2250, LatencyMS: player.Summary{P50: 250, P95: 250, Max: 250},
					Playhead: got.Playhead, Bytes: got.Bytes, Discontinuities: 1, Ended: true,
				}
				if got != want {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
				if got.Playhead.Max > 1000 || got.Playhead.P50 < 750 {
					t.Errorf("playhead %+v", got.Playhead)
				}
			})
		})
	}
}

// TestLoss checks what a viewer notices of a lost chunk and of a publisher's pause.
func TestLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 20)
		p := player.New(player.Config{URL: "http://127.0.0.1:8480/b/talk/index.m3u8", Client: r.client, HoldBack: 1750 * time.Millisecond})
		done := make(chan error, 1)
		go func() { done <- p.Run(context.Background()) }()
		r.publish(b, o, 10)
		o.chunk(time.Now())
		time.Sleep(250 * time.Millisecond)
		r.publish(b, o, 30)
		if got := p.Result(); got.Missed != 1 || got.Stalls != 0 {
			t.Errorf("after a loss: %+v", got)
		}
		time.Sleep(5 * time.Second)
		r.publish(b, o, 10)
		r.push(b, o.end(time.Now()))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := p.Result(); got.Missed != 1 || got.Stalls != 1 || !got.Ended {
			t.Errorf("after a pause: %+v", got)
		}
	})
}

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

// TestGap checks that a hinted part that never comes is answered 404 when it is declared missing, and that the
// playlist goes on.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 10)
		hint := make(chan answer, 1)
		go func() { hint <- r.get("/b/talk/main/p-7-10.m4s") }()
		late := o.chunk(time.Now())
		time.Sleep(250 * time.Millisecond)
		r.publish(b, o, 1)
		a := <-hint
		if a.code != 404 || a.took != 1500*time.Millisecond {
			t.Errorf("%d after %v", a.code, a.took)
		}
		r.push(b, late)
		text := r.get("/b/talk/main/index.m3u8").body
		if !strings.Contains(text, `URI="p-7-10.m4s",GAP=YES`) || !strings.Contains(text, "p-7-11.m4s") {
			t.Error(text)
		}
	})
}

// TestMedia checks parts, segments, init segments, ranges and headers.
func TestMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 8 * time.Second})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 60)
		m, err := playlist.ParseMedia([]byte(r.get("/b/talk/main/index.m3u8").body))
		if err != nil {
			t.Fatal(err)
		}
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

// TestLongKeyframes checks that TARGETDURATION follows the keyframes seen first.
func TestLongKeyframes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		o.gop = 20
		r.publish(b, o, 50)
		text := r.get("/b/talk/main/index.m3u8").body
		if !strings.Contains(text, "#EXT-X-TARGETDURATION:5\n") || !strings.Contains(text, "#EXT-X-INDEPENDENT-SEGMENTS\n") {
			t.Error(text)
		}
	})
}

// TestLiveMP4 checks the endless MP4: where it begins, that it follows, and where it ends.
func TestLiveMP4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 12)
		got := make(chan answer, 1)
		go func() { got <- r.get("/live.mp4") }()
		r.publish(b, o, 10)
		r.push(b, o.end(time.Now()))
		a := <-got
		want := box("ftyp", "one")
		again := newOrigin("talk")
		for i := range 22 {
			if c := again.chunk(time.Now()); i >= 8 {
				want = append(want, c.Block...)
			}
		}
		if a.code != 200 || a.body != string(want) || a.took != 2500*time.Millisecond {
			t.Errorf("%d bytes after %v, want %d", len(a.body), a.took, len(want))
		}
		if a.header.Get("Content-Type") != "video/mp4" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", a.header)
		}
		// Ended: what is in the window, from its start.
		if a := r.get("/b/talk/live.mp4"); !bytes.HasSuffix([]byte(a.body), want[len(box("ftyp", "one")):]) || len(a.body) <= len(want) {
			t.Errorf("ended: %d bytes", len(a.body))
		}

		// Another init segment ends the file.
		b, o = r.open("next"), newOrigin("next")
		r.publish(b, o, 12)
		go func() { got <- r.get("/b/next/live.mp4") }()
		r.publish(b, o, 2)
		o.init, o.cut, o.since = "two", true, 0
		r.publish(b, o, 5)
		if a := <-got; a.code != 200 || a.took != 750*time.Millisecond || !strings.HasSuffix(a.body, string(lastBlock("next", 13))) {
			t.Errorf("%d: %d bytes after %v", a.code, len(a.body), a.took)
		}
	})
}

func lastBlock(broadcast string, seq uint64) []byte {
	o := newOrigin(broadcast)
	o.seq = seq
	return o.chunk(time.Now()).Block
}

// TestSlowReader checks that one who reads slower than the stream is moved on to the newest independent chunk, and one
// who does not read at all is dropped.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		o.size = 100_000
		r.publish(b, o, 10)
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:8480/live.mp4", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		go r.publish(b, o, 100)
		var seqs []int
		buf := make([]byte, len(box("ftyp", "one")))
		if _, err := io.ReadFull(res.Body, buf); err != nil {
			t.Fatal(err)
		}
		chunk := make([]byte, len(lastBlock("talk", 0))-1000+o.size)
		for range 20 {
			if _, err := io.ReadFull(res.Body, chunk); err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, int(chunk[9])<<8|int(chunk[10]))
			time.Sleep(time.Second)
		}
		jumps := 0
		for i := range seqs[1:] {
			if d := seqs[i+1] - seqs[i]; d != 1 {
				jumps++
				if seqs[i+1]%8 != 0 || d < 0 {
					t.Errorf("jump to %d", seqs[i+1])
				}
			}
		}
		if jumps == 0 {
			t.Errorf("never moved on: %v", seqs)
		}
		time.Sleep(15 * time.Second)
		if _, err := io.Copy(io.Discard, res.Body); err == nil {
			t.Error("a reader that stopped reading was kept")
		}
	})
}

// TestJoin checks a newcomer's first moments: live chunks come before the backlog, and the list still begins with the
// backlog and knows how far keyframes are apart.
func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		o.gop = 12 // 3 s
		began := time.Now()
		var chunks []envelope.Chunk
		for i := range 26 {
			chunks = append(chunks, o.chunk(began.Add(time.Duration(i-26)*250*time.Millisecond)))
		}
		got := make(chan answer, 1)
		go func() { got <- r.get("/b/talk/main/index.m3u8") }()
		for _, i := range []int{24, 25} {
			r.push(b, chunks[i])
			r.push(b, chunks[i])
		}
		for _, c := range chunks[12:24] {
			time.Sleep(5 * time.Millisecond)
			r.push(b, c)
		}
		a := <-got
		if a.took > 100*time.Millisecond || !strings.Contains(a.body, "#EXT-X-TARGETDURATION:3\n") ||
			!strings.Contains(a.body, "#EXT-X-MEDIA-SEQUENCE:12\n") || !strings.Contains(a.body, "p-7-25.m4s") {
			t.Errorf("after %v: %s", a.took, a.body)
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
		m, err := playlist.ParseMedia([]byte(r.get("/b/talk/main/index.m3u8").body))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range m.Segments {
			if a := r.get("/b/talk/main/" + s.Init); a.code != 200 {
				t.Errorf("%s: %d", s.Init, a.code)
			}
		}
	})
}
