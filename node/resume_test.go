package node

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/node/archive"
	"murmuration/node/shim"
	"murmuration/playlist"
)

// TestResume kills an origin in mid-talk: what was open is open again, with the same ids and keys and a higher epoch.
func TestResume(t *testing.T) {
	t.Parallel()
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0", Grace: time.Hour}
	o := newOrigin(t, cfg)
	stopOrigin := run(t, o)
	c := newClient(t, o)
	planned := c.do("POST", "broadcasts", `{"title":"Planned","grace_s":3,"webhook":"http://127.0.0.1:1/"}`, 201)
	over := c.do("POST", "broadcasts", `{"title":"Over"}`, 201)
	c.do("DELETE", "broadcasts/"+over.ID, "", 204)
	server, key := o.RTMP()
	stop, _ := encoder(t, server, key)
	s := until(t, o.PageURL(), "the talk", func(s shim.Status) bool { return live(s) != "" })
	id := live(s)
	epoch := epochOf(s, id)
	talk := c.do("PATCH", "broadcasts/"+id, `{"title":"Interrupted"}`, 200)

	// What a killed process leaves: the file as it is now.
	path := filepath.Join(cfg.Dir, "broadcasts.json")
	left, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	stop()
	stopOrigin()
	again := OriginConfig{Config: local(t, "again"), ChannelKey: o.cfg.ChannelKey, RTMP: "127.0.0.1:0", StreamKey: key, Grace: time.Hour}
	if err := os.MkdirAll(again.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(again.Dir, "broadcasts.json"), left, 0o600); err != nil {
		t.Fatal(err)
	}
	o, c = apiOrigin(t, again)
	if list := c.list(""); len(list) != 2 {
		t.Errorf("resumed: %+v", list)
	}
	got := c.do("GET", "broadcasts/"+planned.ID, "", 200)
	if got.Key != planned.Key || got.State != "waiting" || got.Title != "Planned" || got.GraceS != 3 || got.Webhook != planned.Webhook || got.Standing {
		t.Errorf("%+v, want %+v", got, planned)
	}
	got = c.do("GET", "broadcasts/"+id, "", 200)
	if got.State != "live" || got.Title != "Interrupted" || !got.Standing || !got.Started.Equal(*talk.Started) || got.Tracks[0].Codecs != talk.Tracks[0].Codecs || got.Tracks[0].Width == 0 || got.Feed {
		t.Errorf("%+v, want %+v", got, talk)
	}
	v := newViewer(t, o.Link())
	run(t, v)
	server, _ = o.RTMP()
	encoder(t, server, key)
	s = until(t, v.PageURL(), "the talk's going on", func(s shim.Status) bool { return live(s) == id && epochOf(s, id) > 0 })
	if e := epochOf(s, id); e <= epoch {
		t.Errorf("epoch %d, want more than %d", e, epoch)
	}
	if list := c.list(""); len(list) != 2 {
		t.Errorf("after the feed's return: %+v", list)
	}
}

// TestResumeRecording kills an origin in mid-talk and lets the encoder return: the recording is one MP4, with the pause in it.
func TestResumeRecording(t *testing.T) {
	t.Parallel()
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0", Grace: time.Hour}
	o := newOrigin(t, cfg)
	stopOrigin := run(t, o)
	server, key := o.RTMP()
	stop, _ := encoder(t, server, key)
	s := until(t, o.PageURL(), "some of the talk", func(s shim.Status) bool { return recorded(s) > 3 })
	id := live(s)

	// What a killed process leaves: the folder as it is now.
	again := OriginConfig{Config: local(t, "again"), RTMP: "127.0.0.1:0", Grace: time.Hour}
	if out, err := exec.Command("cp", "-a", cfg.Dir, again.Dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	stop()
	stopOrigin()
	o = newOrigin(t, again)
	run(t, o)
	before := recorded(o.status())
	server, key = o.RTMP()
	stop, _ = encoder(t, server, key)
	until(t, o.PageURL(), "more of the talk", func(s shim.Status) bool { return recorded(s) > before+3 })
	stop()
	b := o.broadcastByID(id)
	if err := o.end(b); err != nil {
		t.Fatal(err)
	}
	o.closing.Wait()
	rec, ok := b.recording()
	if !ok {
		t.Fatal("no recording")
	}
	view, err := rec.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	track := view.Info.Tracks[0]
	if len(track.Recordings) != 1 {
		t.Errorf("MP4s: %+v", track.Recordings)
	}
	here, _ := rec.Track(mainTrack)
	var last playlist.Part
	seams := 0
	for i, p := range here.Parts(envelope.ID{}, envelope.ID{Epoch: math.MaxUint64}) {
		if i > 0 && p.Epoch != last.Epoch {
			seams++
			end := last.DecodeTime + uint64(last.Duration)
			hole := time.Duration(float64(p.DecodeTime-end) / float64(p.Timescale) * float64(time.Second))
			real := p.Captured.Sub(last.Captured.Add(last.Length()))
			t.Logf("a hole of %v in the timeline for %v", hole, real)
			if p.DecodeTime < end || hole < leastPause || hole > longestPause+time.Millisecond || !p.Discontinuity || p.Init != last.Init {
				t.Errorf("%+v follows %+v", p, last)
			}
			if (hole - min(real, longestPause)).Abs() > 1500*time.Millisecond { // the first key frame may take its time
				t.Errorf("a hole of %v stands for %v", hole, real)
			}
		}
		last = p
	}
	if seams != 1 {
		t.Errorf("%d seams", seams)
	}
}

// TestResumeRecall cuts the last seconds off an origin's disk, as a power cut does: the viewers have them, and are asked before
// the recording is closed, whether the broadcast is gone on with or not.
func TestResumeRecall(t *testing.T) {
	t.Parallel()
	for name, left := range map[string]bool{"broadcast resumed": false, "only the recording left": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0", Grace: 3 * time.Second}
			o := newOrigin(t, cfg)
			stopOrigin := run(t, o)
			server, key := o.RTMP()
			stop, _ := encoder(t, server, key)
			v := newViewer(t, o.Link())
			run(t, v)
			s := until(t, v.PageURL(), "some of the talk", func(s shim.Status) bool { return recorded(s) > 4 })
			id := live(s)
			again := OriginConfig{Config: local(t, "again"), RTMP: "127.0.0.1:0", Grace: 3 * time.Second}
			if out, err := exec.Command("cp", "-a", cfg.Dir, again.Dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			stop()
			before, ok := o.broadcastByID(id).recording()
			if !ok {
				t.Fatal("no recording")
			}
			stopOrigin()

			car := filepath.Join(again.Dir, "recordings", before.Key().String()+".car")
			info, err := os.Stat(car)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(car, info.Size()*2/3); err != nil {
				t.Fatal(err)
			}
			if left {
				if err := os.Remove(filepath.Join(again.Dir, savedFile)); err != nil {
					t.Fatal(err)
				}
			}
			o = newOrigin(t, again)
			run(t, o)
			rec, ok := o.library.store.Lookup(before.Key())
			if !ok {
				t.Fatal("no recording after the restart")
			}
			cut := newestOf(t, rec)
			theirs, ok := v.library.store.Lookup(before.Key())
			if !ok {
				t.Fatal("the viewer has no recording")
			}
			had := newestOf(t, theirs)
			if had.Epoch != cut.Epoch || had.Seq <= cut.Seq+2 {
				t.Fatalf("nothing was lost: %v here, %v there", cut, had)
			}
			if err := o.mesh.Connect(t.Context(), []peer.AddrInfo{v.mesh.Info()}); err != nil {
				t.Fatal(err)
			}
			until(t, o.PageURL(), "the recording", func(s shim.Status) bool { return finished(s, id) })
			if now := newestOf(t, rec); now.Epoch != had.Epoch || now.Seq < had.Seq-1 { // its end mark is not among what is recorded here
				t.Errorf("the recording ends with %v; the power cut left %v, the viewer has %v", now, cut, had)
			}
			if i := rec.Info(); i.Missing != 0 {
				t.Errorf("%+v", i)
			}
		})
	}
}

func newestOf(t *testing.T, rec *archive.Recording) envelope.ID {
	t.Helper()
	track, ok := rec.Track(mainTrack)
	if !ok {
		t.Fatal("no track")
	}
	id, _ := track.Newest()
	return id
}

// recorded returns how many seconds of the newest recording are there.
func recorded(s shim.Status) float64 {
	if len(s.Recordings) == 0 {
		return 0
	}
	return s.Recordings[0].DurationS
}

func epochOf(s shim.Status, id string) uint64 {
	for _, b := range s.Broadcasts {
		if b.ID == id && len(b.Tracks) > 0 {
			return b.Tracks[0].Epoch
		}
	}
	return 0
}

// TestResumeEnds: a feed that does not return after a crash ends its broadcast, and one that was planned is still there
// after an ordinary stop.
func TestResumeEnds(t *testing.T) {
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := `[
		{"id":"0000000000000001","title":"Lost","created":"2026-01-01T10:00:00Z","started":"2026-01-01T10:00:01Z","key":"key-of-it","grace_s":0.1,"epoch":1767261600,"codecs":"avc1.64001f"},
		{"id":"0000000000000002","title":"Planned","created":"2026-01-01T10:00:00Z","started":"0001-01-01T00:00:00Z","key":"key-of-plan","asked":true,"grace_s":0.1,"epoch":1767261600}
	]`
	if err := os.WriteFile(filepath.Join(cfg.Dir, "broadcasts.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newOrigin(t, cfg)
	stop := run(t, o)
	c := newClient(t, o)
	until(t, o.PageURL(), "the end of what was lost", func(shim.Status) bool { return c.anonymous("0000000000000001").State == "ended" })
	if b := c.anonymous("0000000000000002"); b.State != "waiting" {
		t.Errorf("%+v", b)
	}
	stop()
	o, c = apiOrigin(t, cfg)
	if list := c.list(o.Token()); len(list) != 1 || list[0].Key != "key-of-plan" || list[0].State != "waiting" {
		t.Errorf("after a stop: %+v", list)
	}
}

// TestResumeTooLate: an origin that was away for long ends what it was doing when it was killed, as of then.
func TestResumeTooLate(t *testing.T) {
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Dir, savedFile)
	text := `[{"id":"0000000000000001","title":"Friday","created":"2026-01-01T10:00:00Z","started":"2026-01-01T10:00:01Z","key":"key-of-it","grace_s":30,"epoch":1767261600}]`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	alive := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(path, alive, alive); err != nil {
		t.Fatal(err)
	}
	_, c := apiOrigin(t, cfg)
	if b := c.anonymous("0000000000000001"); b.State != "ended" || !b.Ended.Equal(alive) {
		t.Errorf("%+v, want the end at %v", b, alive)
	}
	if left, err := os.ReadFile(path); err != nil || strings.Contains(string(left), "Friday") {
		t.Errorf("it is still written down: %s, %v", left, err)
	}
}

func FuzzDecodeSaved(f *testing.F) {
	f.Add([]byte(`[{"id":"x","title":"x","key":"k","epoch":1,"grace_s":1}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := decodeSaved(text)
		for _, s := range all {
			if err == nil && (checkTitle(s.Title) != nil || s.Key == "" || s.Grace < 0) {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestResumeHostile: a file that is not what an origin wrote keeps no origin from starting.
func TestResumeHostile(t *testing.T) {
	for name, text := range map[string]string{
		"torn": `[{"id":"a`, "not a list": `{}`, "bad id": `[{"id":"../x","title":"x","key":"k","epoch":1}]`,
		"bad title": `[{"id":"x","title":"","key":"k","epoch":1}]`, "no key": `[{"id":"x","title":"x","epoch":1}]`,
		"endless grace": `[{"id":"x","title":"x","key":"k","grace_s":1e12}]`, "huge epoch": `[{"id":"x","title":"x","key":"k","epoch":18446744073709551615}]`,
		"too large": "[" + strings.Repeat(" ", maxSaved) + "]",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "broadcasts.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if all, _, err := loadSaved(dir); err == nil {
			t.Errorf("%s: %+v", name, all)
		}
	}
}
