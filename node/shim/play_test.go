package shim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/node/player"
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
