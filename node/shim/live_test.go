package shim

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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

// TestLiveMP4LongKeyframes wants every chunk once, too, where the newest independent one is longer ago than a reader may
// fall behind.
func TestLiveMP4LongKeyframes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		o.gop = 60 // 15 s
		r.publish(b, o, 50)
		want := string(box("ftyp", "one"))
		again := newOrigin("talk")
		for range 55 {
			want += string(again.chunk(time.Now()).Block)
		}
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:8480/live.mp4", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		go func() {
			r.publish(b, o, 5)
			r.push(b, o.end(time.Now()))
		}()
		// No more than that is read: one who is sent back again and again would read for ever.
		if got, err := io.ReadAll(io.LimitReader(res.Body, int64(len(want)+1))); err != nil || string(got) != want {
			t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
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
