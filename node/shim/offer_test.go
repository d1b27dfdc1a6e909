package shim

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestOffer: a track that is only announced is offered beside what has come, a request for it says so to the node and waits
// for what comes, and main's picture and sound are then apart.
func TestOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		defer r.stop()
		b, err := r.Open(BroadcastInfo{ID: "talk"})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.AddTrack(TrackInfo{Name: "main"}, nil); err != nil {
			t.Fatal(err)
		}
		main := newOrigin("talk")
		for range 10 {
			if err := b.Push("main", main.chunk(time.Now())); err != nil {
				t.Fatal(err)
			}
			time.Sleep(250 * time.Millisecond)
		}
		if a := r.get("/b/talk/index.m3u8"); strings.Contains(a.body, "EXT-X-MEDIA:") || !strings.Contains(a.body, "\nmain/index.m3u8") {
			t.Errorf("one track is no choice:\n%s", a.body)
		}

		var wanted atomic.Int32
		err = b.AddTrack(TrackInfo{Name: "de", Language: "de", Codecs: "mp4a.40.2", Wanted: func() { wanted.Add(1) }}, nil)
		if err != nil {
			t.Fatal(err)
		}
		// The picture is known by what was announced of it here: these chunks are boxes, not media.
		tr := b.track("main")
		tr.mu.Lock()
		tr.media.VideoCodec, tr.media.AudioCodec, tr.media.Width, tr.media.Codecs = "H.264", "AAC", 640, "avc1,mp4a"
		tr.mu.Unlock()
		text := r.get("/b/talk/index.m3u8").body
		for _, want := range []string{
			`NAME="Original",DEFAULT=YES,AUTOSELECT=YES,URI="main.audio/index.m3u8"`,
			`NAME="de",LANGUAGE="de",AUTOSELECT=YES,URI="de/index.m3u8"`,
			`AUDIO="sound"` + "\nmain.video/index.m3u8",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		if wanted.Load() != 0 {
			t.Error("it is wanted although nobody asked for it")
		}
		time.Sleep(time.Minute)
		if idle := b.Idle("de"); idle != time.Minute {
			t.Errorf("nobody asked for %v", idle)
		}

		// A player asks: what comes then answers it.
		answered := make(chan answer)
		go func() { answered <- r.get("/b/talk/de/index.m3u8") }()
		synctest.Wait()
		if wanted.Load() != 1 || b.Idle("de") != 0 {
			t.Errorf("wanted %d times, idle for %v", wanted.Load(), b.Idle("de"))
		}
		de := newOrigin("talk")
		de.gop = 1
		for range 10 {
			c := de.chunk(time.Now())
			c.Track = "de"
			if err := b.Push("de", c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(250 * time.Millisecond)
		}
		if a := <-answered; a.code != 200 || !strings.Contains(a.body, "#EXTINF") || !strings.Contains(a.body, "#EXT-X-TARGETDURATION:2\n") {
			t.Errorf("%d:\n%s", a.code, a.body)
		}

		// Nobody asks any more: what came is let go, and it is offered as before.
		b.Forget("de")
		if again := r.get("/b/talk/index.m3u8").body; again != text {
			t.Errorf("offered is\n%s\nafter\n%s", again, text)
		}
		if a := r.get("/b/talk/de.mp3/index.m3u8"); a.code != 404 {
			t.Errorf("another suffix: %d", a.code)
		}
		b.Close()
	})
}
