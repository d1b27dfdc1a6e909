package node

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/node/ingest"
	"murmuration/node/internal/pipes"
	"murmuration/node/shim"
)

// TestSideTrack plays a talk of a minute with an interpreter, by the packets' own times: what an encoder's clock says does
// not matter, only when its packets come.
func TestSideTrack(t *testing.T) {
	b, side := interpreted(t)
	began := time.Now().Truncate(time.Second)
	stage := desk{sink: b, began: began, offset: 77 * time.Hour}
	voice := desk{sink: side, began: began, offset: 5 * time.Second, delay: 15 * time.Millisecond}
	s := time.Second

	// The interpreter is there before the talk: from its beginning on, nothing is lost.
	begin(t, side, toneFormat)
	side.came()
	voice.send(t, -10*s, 0)
	begin(t, b, toneFormat)
	together(t, 0, 10*s, stage, voice)
	frames, _ := published(t, b, "de")
	if least, most := apart(t, frames, s/4, 8*s); least < -25*time.Millisecond || most > 25*time.Millisecond {
		t.Errorf("de lies %v to %v from where it was due", least, most)
	}

	// It breaks off: silence takes its place. What returns, with another clock, lies where it belongs.
	if err := side.Interrupt(); err != nil {
		t.Fatal(err)
	}
	side.gone()
	together(t, 10*s, 20*s, stage)
	frames, _ = published(t, b, "de")
	if !silent(frames, 10*s+s/4, 19*s) {
		t.Error("no silence while the interpreter's encoder is away")
	}
	voice.offset = 3 * time.Hour
	begin(t, side, toneFormat)
	side.came()
	together(t, 20*s, 30*s, stage, voice)
	frames, chunks := published(t, b, "de")
	if least, most := apart(t, frames, 21*s, 28*s); least < -25*time.Millisecond || most > 25*time.Millisecond {
		t.Errorf("after its return, de lies %v to %v from where it was due", least, most)
	}
	for _, c := range chunks {
		if c.Flags.Has(envelope.Discontinuity) {
			t.Errorf("chunk %v is a discontinuity: players would wait for main's", c.ID())
		}
	}

	// Main breaks off for five seconds, of which its timeline knows nothing: de follows it, with a discontinuity.
	if err := b.Interrupt(); err != nil {
		t.Fatal(err)
	}
	together(t, 30*s, 35*s, voice)
	stage.offset = 0
	together(t, 35*s, 45*s, stage, voice)
	frames, chunks = published(t, b, "de")
	if least, most := apart(t, frames, 37*s, 43*s); least < -5*s-40*time.Millisecond || most > -5*s+40*time.Millisecond {
		t.Errorf("after main's return, de lies %v to %v from where it was due, want five seconds before", least, most)
	}
	breaks := 0
	for _, c := range chunks {
		if c.Flags.Has(envelope.Discontinuity) {
			breaks++
			if at := c.Time(); at < 29*s || at > 31*s {
				t.Errorf("a discontinuity at %v", at)
			}
		}
	}
	if breaks != 1 {
		t.Errorf("%d discontinuities, want main's one", breaks)
	}

	// Main's encoder hangs: de does not run away from it.
	together(t, 45*s, 75*s, voice)
	frames, _ = published(t, b, "de")
	if last := frames[len(frames)-1].media; last > 40*s+sideAhead+s {
		t.Errorf("main is at 40 s, de at %v", last)
	}

	// The broadcast's end is its end.
	if fresh, err := b.end(); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	if _, chunks = published(t, b, "de"); !chunks[len(chunks)-1].Flags.Has(envelope.End) {
		t.Error("de has no end mark")
	}
	if err := side.Unit(chunker.Unit{}); !errors.Is(err, errEnded) {
		t.Errorf("a unit after the end: %v", err)
	}
	if info, _ := b.listed(); len(info.Tracks) != 2 || info.Tracks[1].Name != "de" || info.Tracks[1].Codecs != "mp4a.40.2" {
		t.Errorf("the record would list %+v", info.Tracks)
	}
}

// TestSideTrackLate has a track begin in the middle of a talk, and its clock run a little fast: it stays beside main.
func TestSideTrackLate(t *testing.T) {
	b, side := interpreted(t)
	began := time.Now().Truncate(time.Second)
	stage := desk{sink: b, began: began}
	s := time.Second
	begin(t, b, toneFormat)
	together(t, 0, 20*s, stage)
	begin(t, side, toneFormat)
	side.came()
	voice := desk{sink: side, began: began}
	for at := 20 * s; at < 320*s; at += s {
		voice.offset = (at - 20*s) / 1000 // 1000 ppm: far more than a sound card's
		together(t, at, at+s, stage, voice)
	}
	frames, chunks := published(t, b, "de")
	if first := chunks[0].Time(); first < 19*s || first > 21*s {
		t.Errorf("it begins at %v", first)
	}
	least, most := apart(t, frames, 60*s, 315*s)
	if least < -100*time.Millisecond || most > 100*time.Millisecond {
		t.Errorf("its clock drifts away: %v to %v from where it was due", least, most)
	}
	t.Logf("de lies %v to %v from where it was due, while its clock gains 300 ms", least, most)
	if slices.ContainsFunc(chunks, func(c envelope.Chunk) bool { return c.Flags.Has(envelope.Discontinuity) }) {
		t.Error("a discontinuity")
	}
}

// TestSideTrackRefused: what cannot be a further track is refused with a word.
func TestSideTrackRefused(t *testing.T) {
	b, side := interpreted(t)
	begin(t, b, toneFormat)
	if err := side.Format(layerFormat); !errors.Is(err, errSideCodec) {
		t.Errorf("a codec without silence: %v", err)
	}
	began := time.Now()
	begin(t, side, toneFormat)
	together(t, 0, 3*time.Second, desk{sink: b, began: began}, desk{sink: side, began: began})
	if err := side.Format(monoFormat); !errors.Is(err, errSideFormat) {
		t.Errorf("another format: %v", err)
	}
	for name, want := range map[string]error{"fr": errNoTrack, "../x": errNoTrack} {
		if _, err := sinkOf(b, name, false); !errors.Is(err, want) {
			t.Errorf("track %q: %v", name, err)
		}
	}
	if sink, err := sinkOf(b, mainTrack, false); err != nil || sink != ingest.Sink(b) {
		t.Errorf("main: %v, %v", sink, err)
	}
	for i := range maxTracks - 2 {
		if _, err := sinkOf(b, string(rune('a'+i))+"x", true); err != nil {
			t.Errorf("track %d under a standing key: %v", i, err)
		}
	}
	if _, err := sinkOf(b, "more", true); !errors.Is(err, errManyTracks) {
		t.Errorf("one too many: %v", err)
	}
}

// TestSideTrackResumes kills an origin in mid-talk: the next run knows the track, goes on with it beside main, and the recording
// has both tracks of both runs.
func TestSideTrackResumes(t *testing.T) {
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0", Grace: time.Hour}
	o := newOrigin(t, cfg)
	stopOrigin := run(t, o)
	key := o.cfg.StreamKey
	begun := time.Now()
	main, err := o.authorize("live", key, "")
	if err != nil {
		t.Fatal(err)
	}
	begin(t, main, toneFormat)
	side, err := o.authorize("live", key, "de") // under a standing key, unasked
	if err != nil {
		t.Fatal(err)
	}
	begin(t, side, toneFormat)
	const s = time.Second
	together(t, 0, 8*s, desk{sink: main, began: begun}, desk{sink: side, began: begun})
	b := main.(*broadcast)
	if err := o.announce(); err != nil {
		t.Fatal(err)
	}

	again := OriginConfig{Config: local(t, "again"), RTMP: "127.0.0.1:0", Grace: time.Hour}
	if out, err := exec.Command("cp", "-a", cfg.Dir, again.Dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	stopOrigin()
	o = newOrigin(t, again)
	run(t, o)
	if main, err = o.authorize("live", key, "main"); err != nil {
		t.Fatal(err)
	}
	if main.(*broadcast).id != b.id {
		t.Fatalf("another broadcast, %v, than %v", main, b)
	}
	b = main.(*broadcast)
	if info, ok := b.listed(); !ok || len(info.Tracks) != 2 || info.Tracks[1].Name != "de" || info.Tracks[1].Codecs == "" {
		t.Errorf("the next run's record would list %+v", info.Tracks)
	}
	if side, err = o.authorize("live", key, "de"); err != nil {
		t.Fatal(err)
	}
	begin(t, main, toneFormat)
	begin(t, side, toneFormat)
	began := time.Now()
	together(t, 0, 8*s, desk{sink: main, began: began, offset: s}, desk{sink: side, began: began, offset: time.Hour})
	if err := o.end(b); err != nil {
		t.Fatal(err)
	}
	o.closing.Wait()

	first, _ := published(t, b, mainTrack)
	second, chunks := published(t, b, "de")
	place := map[time.Duration][]time.Duration{} // of what was due at a time: in each run
	for _, f := range first {
		place[f.due] = append(place[f.due], f.media)
	}
	n := 0
	for _, f := range second {
		if at := place[f.due]; f.due >= 0 && len(at) == 2 {
			if off := min((f.media - at[0]).Abs(), (f.media - at[1]).Abs()); off > 30*time.Millisecond {
				t.Errorf("what was due at %v lies %v from main's", f.due, off)
			}
			n++
		}
	}
	if n < 600 || chunks[0].Epoch == chunks[len(chunks)-1].Epoch {
		t.Errorf("%d frames in epochs %d to %d", n, chunks[0].Epoch, chunks[len(chunks)-1].Epoch)
	}
	rec, _ := b.recording()
	view, err := rec.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, track := range view.Info.Tracks {
		if len(track.Recordings) != 1 {
			t.Errorf("MP4s of %s: %+v", track.Name, track.Recordings)
		}
	}
	if len(view.Info.Tracks) != 2 || rec.Info().Missing != 0 {
		t.Errorf("%d tracks, %d chunks missing", len(view.Info.Tracks), rec.Info().Missing)
	}
}

// TestSideTrackNeedsMain: main alone begins a broadcast.
func TestSideTrackNeedsMain(t *testing.T) {
	o, _ := apiOrigin(t, OriginConfig{})
	if _, err := o.authorize("live", o.cfg.StreamKey, "de"); !errors.Is(err, errMainFirst) {
		t.Errorf("a further track where nothing is open: %v", err)
	}
	if _, err := o.authorize("live", "another key", "de"); !errors.Is(err, ingest.ErrWrongKey) {
		t.Errorf("a wrong key: %v", err)
	}
	if all := o.all(); len(all) != 0 {
		t.Errorf("broadcasts: %v", all)
	}
}

// TestWantedLeaves: a viewer stays on a further track as long as a player asks for it, and some minutes more.
func TestWantedLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := shim.New(shim.Config{Listener: pipes.Listen()})
		if err != nil {
			t.Fatal(err)
		}
		face, err := server.Open(shim.BroadcastInfo{ID: "talk"})
		if err != nil {
			t.Fatal(err)
		}
		if err := face.AddTrack(shim.TrackInfo{Name: "de", Codecs: "mp4a.40.2"}, nil); err != nil {
			t.Fatal(err)
		}
		s := &showing{face: face}
		began, left := time.Now(), time.Duration(0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.watchUse(ctx, s.strand("de"), func() { left = time.Since(began) })
		}()
		for range 100 { // a player, for five minutes
			time.Sleep(3 * time.Second)
			rec := httptest.NewRecorder()
			req, cancel := context.WithTimeout(ctx, time.Millisecond)
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/b/talk/de/index.m3u8", nil).WithContext(req)
			server.Handler().ServeHTTP(rec, r)
			cancel()
		}
		<-done
		if want := 5*time.Minute + wantedFor; left < want || left > want+wantedLook+time.Second {
			t.Errorf("left after %v, want %v or a little more", left, want)
		}
		face.Close()
	})
}
