package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/chunker/seal"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/shim"
	"murmuration/playlist"
)

// TestPrivate takes a private broadcast from its making to the viewers: who has the link with its key is shown it, who has
// not is told why not, and a seed carries what it cannot read.
func TestPrivate(t *testing.T) {
	t.Parallel()
	o, c := apiOrigin(t, OriginConfig{Title: "Stage"})
	b := c.do("POST", "broadcasts", `{"title":"Board meeting","private":true}`, 201)
	link, err := parseLink(b.Link)
	if err != nil || !b.Private || len(link.Key) != 32 || link.Broadcast != b.ID {
		t.Fatalf("%v, %+v", err, b)
	}
	_, secret, _ := strings.Cut(b.Link, "k=")
	if seen := c.anonymous(b.ID); strings.Contains(seen.Link, "k=") || !seen.Private {
		t.Errorf("without the token: %+v", seen)
	}
	ring := filepath.Join(o.dir, keyringFile)
	if text, err := os.ReadFile(ring); err != nil || !bytes.Contains(text, []byte(secret)) {
		t.Errorf("the keyring: %v", err)
	}
	if info, err := os.Stat(ring); err != nil || info.Mode() != 0o600 {
		t.Errorf("the keyring's mode: %v, %v", info, err)
	}

	feedPrivate(t, o, b.ID)
	until(t, o.PageURL(), "the talk at the origin", func(s shim.Status) bool { return live(s) == b.ID })
	bare := link
	bare.Key = nil

	seed, err := NewSeed(SeedConfig{Config: local(t, "seed"), Links: []string{b.Link}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, seed)
	for _, l := range seed.ShareLinks() {
		if strings.Contains(l, "k=") {
			t.Errorf("the seed hands out %s", l)
		}
	}
	v := newViewer(t, b.Link)
	run(t, v)
	outside := newTold()
	cfg := local(t, "outside")
	cfg.Tell = outside.tell
	other, err := NewViewer(ViewerConfig{Config: cfg, Link: bare.String()})
	if err != nil {
		t.Fatal(err)
	}
	run(t, other)
	wrong := bare
	wrong.Key = bytes.Repeat([]byte{3}, 32)
	misled := newTold()
	cfg = local(t, "misled")
	cfg.Tell = misled.tell
	third, err := NewViewer(ViewerConfig{Config: cfg, Link: wrong.WithKey()})
	if err != nil {
		t.Fatal(err)
	}
	run(t, third)

	s := until(t, v.PageURL(), "the talk", func(s shim.Status) bool { return live(s) == b.ID })
	if s.Broadcasts[0].Locked != "" || !s.Broadcasts[0].Private || strings.Contains(s.Link, "k=") {
		t.Errorf("the viewer's status: %+v", s)
	}
	part, init := firstPart(t, v.PageURL(), b.ID)
	if _, _, text := ask(t, init, nil); !strings.Contains(text, "moov") {
		t.Error("the init segment is none")
	}
	code, h, text := ask(t, part, nil)
	if code != 200 || !strings.Contains(text, "moof") || h.Get("Access-Control-Allow-Origin") != "" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" ||
		!strings.Contains(h.Get("Cache-Control"), "no-store") {
		t.Errorf("a part: %d %v", code, h)
	}

	outside.until(t, "it needs the link with its key")
	misled.until(t, "not this broadcast's")
	for name, page := range map[string]string{"without a key": other.PageURL(), "with a wrong key": third.PageURL(), "the seed": seed.PageURL()} {
		until(t, page, name+": the reason", func(s shim.Status) bool {
			return len(s.Broadcasts) == 1 && s.Broadcasts[0].Private && s.Broadcasts[0].Locked != ""
		})
		for _, path := range []string{
			"b/" + b.ID + "/index.m3u8", "b/" + b.ID + "/main/index.m3u8", "b/" + b.ID + "/live.mp4",
			strings.TrimPrefix(part, v.PageURL()), strings.TrimPrefix(init, v.PageURL()),
		} {
			if code, _, text := ask(t, page+path, nil); code != 403 || !strings.Contains(text, "private") {
				t.Errorf("%s, %s: %d %q", name, path, code, text)
			}
		}
	}
	// What the seed has is the channel's, and nothing that anybody could play.
	rec, ok := seed.library.store.Lookup(seed.library.store.List()[0].Key)
	if !ok {
		t.Fatal("the seed keeps nothing")
	}
	track, ok := rec.Track("main")
	if !ok {
		t.Fatal("the seed keeps no chunks")
	}
	newest, _ := track.Newest()
	kept, ok := track.Chunk(newest)
	if !ok || kept.Verify() != nil || kept.CheckBlock(kept.Block) != nil || !kept.Key.Sealed() {
		t.Errorf("the seed's chunk: %+v", kept.Envelope)
	}
	if bytes.Contains(kept.Block, []byte("moof")) || bytes.Contains(kept.Block, []byte("mdat")) {
		t.Error("the seed has media in the clear")
	}
}

// TestPrivateRecorded ends a private broadcast: its recording is sealed, the channel's record marks it, webhooks hear of it
// without its key, and the next run of the origin plays it by its keyring, which a seed has not.
func TestPrivateRecorded(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var heard []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, string(b))
	}))
	defer hook.Close()
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0", Webhooks: []string{hook.URL}}
	o := newOrigin(t, cfg)
	stopOrigin := run(t, o)
	c := newClient(t, o)
	b := c.do("POST", "broadcasts", `{"title":"Board meeting","private":true}`, 201)
	stop := feedPrivate(t, o, b.ID)
	until(t, o.PageURL(), "some of the talk", func(s shim.Status) bool { return recorded(s) > 2 })
	c.do("DELETE", "broadcasts/"+b.ID, "", 204)
	stop()
	s := until(t, o.PageURL(), "its recording", func(s shim.Status) bool { return len(s.Recordings) == 1 && s.Recordings[0].Root != "" })
	if r := s.Recordings[0]; !r.Private || r.Locked != "" || r.Poster != "" || r.URL != "/b/"+b.ID+"/index.m3u8" {
		t.Errorf("status: %+v", r)
	}
	root := s.Recordings[0].Root
	var kept KeptRecording
	c.into(&kept, "GET", "recordings/"+b.ID, "", 200)
	if !kept.Private || kept.MP4 != "" || kept.Poster != "" || kept.CAR == "" {
		t.Errorf("API: %+v", kept)
	}
	rec, ok := o.feed.Latest()
	if !ok || len(rec.Broadcasts) != 1 || !rec.Broadcasts[0].Private || rec.Broadcasts[0].Tracks[0].Codecs == "" {
		t.Errorf("the channel's record: %+v", rec.Broadcasts)
	}
	until(t, o.PageURL(), "it in the record", func(shim.Status) bool {
		rec, _ := o.feed.Latest()
		return len(rec.Recordings) == 1 && rec.Recordings[0].Private
	})

	// A seed fetches it whole and shows nothing of it.
	seed, err := NewSeed(SeedConfig{Config: local(t, "seed"), Links: []string{o.Link()}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, seed)
	s = until(t, seed.PageURL(), "it at the seed", func(s shim.Status) bool { return len(s.Recordings) == 1 && s.Recordings[0].State == "finished" })
	if r := s.Recordings[0]; !r.Private || !strings.Contains(r.Locked, "needs the link") || r.Poster != "" {
		t.Errorf("the seed's status: %+v", r)
	}
	for _, path := range []string{"index.m3u8", "live.mp4", "main/index.m3u8"} {
		if code, _, text := ask(t, seed.PageURL()+"b/"+b.ID+"/"+path, nil); code != 403 || !strings.Contains(text, "needs the link with its key") {
			t.Errorf("at the seed, %s: %d %q", path, code, text)
		}
	}
	for _, file := range []string{"recording.sealed", "init.sealed"} {
		code, h, text := ask(t, seed.PageURL()+"ipfs/"+root+"/"+file, nil)
		if kind := h.Get("Content-Type"); code != 200 || strings.HasPrefix(kind, "video/") || strings.HasPrefix(kind, "audio/") || strings.Contains(text, "moov") {
			t.Errorf("%s: %d %s", file, code, kind)
		}
	}
	for _, file := range []string{"recording.mp4", "index.m3u8", "poster.mp4", "init.mp4"} {
		if code, _, _ := ask(t, seed.PageURL()+"ipfs/"+root+"/"+file, nil); code != 404 {
			t.Errorf("%s: %d", file, code)
		}
	}

	stopOrigin()
	mu.Lock()
	for _, text := range heard {
		if !strings.Contains(text, `"private":true`) || strings.Contains(text, "k=") {
			t.Errorf("a webhook heard %s", text)
		}
	}
	if len(heard) != 4 {
		t.Errorf("%d events", len(heard))
	}
	mu.Unlock()

	o = newOrigin(t, cfg)
	run(t, o)
	if text := get(t, o.PageURL()+"b/"+b.ID+"/main/index.m3u8"); !strings.Contains(text, "#EXT-X-ENDLIST") {
		t.Errorf("the next run's list:\n%s", text)
	}
	if text := get(t, o.PageURL()+"b/"+b.ID+"/live.mp4"); !strings.Contains(text, "moov") || !strings.Contains(text, "moof") {
		t.Error("the next run plays no media")
	}
}

// TestPrivateKeyGone restarts an origin in the middle of a private broadcast without its keyring: it ends what it cannot go
// on with, and does not go on in public.
func TestPrivateKeyGone(t *testing.T) {
	t.Parallel()
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0", Grace: time.Hour}
	o := newOrigin(t, cfg)
	stopOrigin := run(t, o)
	c := newClient(t, o)
	b := c.do("POST", "broadcasts", `{"private":true}`, 201)
	stop := feedPrivate(t, o, b.ID)
	until(t, o.PageURL(), "some of the talk", func(s shim.Status) bool { return recorded(s) > 1 })
	again := OriginConfig{Config: local(t, "again"), RTMP: "127.0.0.1:0", Grace: time.Hour}
	if out, err := exec.Command("cp", "-a", cfg.Dir, again.Dir).CombinedOutput(); err != nil { // what a killed process leaves
		t.Fatalf("%v: %s", err, out)
	}
	stop()
	stopOrigin()
	if err := os.Remove(filepath.Join(again.Dir, keyringFile)); err != nil {
		t.Fatal(err)
	}
	o, c = apiOrigin(t, again)
	if list := c.list(""); len(list) != 0 {
		t.Errorf("gone on with: %+v", list)
	}
	s := until(t, o.PageURL(), "the recording", func(s shim.Status) bool { return len(s.Recordings) == 1 && s.Recordings[0].State == "finished" })
	if r := s.Recordings[0]; !r.Private || r.Locked == "" {
		t.Errorf("%+v", r)
	}
	if code, _, _ := ask(t, o.PageURL()+"b/"+b.ID+"/index.m3u8", nil); code != 403 {
		t.Errorf("its list: %d", code)
	}
}

// TestPrivatePassedOver follows a channel on which a private broadcast begins while a public one is on: who has no key stays
// with what is public, and who was given the key once goes on to the private one.
func TestPrivatePassedOver(t *testing.T) {
	t.Parallel()
	o, c := apiOrigin(t, OriginConfig{Title: "Stage"})
	stop := feed(o)
	defer stop()
	public := live(until(t, o.PageURL(), "the talk at the origin", func(s shim.Status) bool { return live(s) != "" }))
	b := c.do("POST", "broadcasts", `{"title":"Board meeting","private":true}`, 201)
	link, err := parseLink(b.Link)
	if err != nil {
		t.Fatal(err)
	}
	said := newTold()
	cfg := local(t, "viewer")
	cfg.Tell = said.tell
	v, err := NewViewer(ViewerConfig{Config: cfg, Link: o.Link()})
	if err != nil {
		t.Fatal(err)
	}
	run(t, v)
	until(t, v.PageURL(), "the public talk", func(s shim.Status) bool { return live(s) == public })

	cfg = local(t, "insider")
	if err := openRing(t, cfg.Dir).keep(archive.Key{Channel: link.Channel, Broadcast: b.ID}, seal.Secret(link.Key)); err != nil {
		t.Fatal(err)
	}
	insider, err := NewViewer(ViewerConfig{Config: cfg, Link: o.Link()})
	if err != nil {
		t.Fatal(err)
	}
	run(t, insider)
	feedPrivate(t, o, b.ID)
	until(t, insider.PageURL(), "the private talk", func(s shim.Status) bool { return live(s) == b.ID })
	if line := said.until(t, "private"); !strings.Contains(line, "Board meeting") {
		t.Errorf("said %q", line)
	}
	s := until(t, v.PageURL(), "it on the page", func(s shim.Status) bool { return len(s.Broadcasts) == 2 })
	if on, off := s.Broadcasts[0], s.Broadcasts[1]; on.ID != public || on.Locked != "" || off.ID != b.ID || off.Locked == "" || len(off.Tracks) > 0 {
		t.Errorf("the viewer went to %+v", s.Broadcasts)
	}
	c.do("DELETE", "broadcasts/"+b.ID, "", 204)
	until(t, v.PageURL(), "it off the page", func(s shim.Status) bool { return len(s.Broadcasts) == 1 && live(s) == public })
}

// TestPrivateUnsaved: a private broadcast whose epoch cannot be written down is ended at a restart, a public one goes on.
func TestPrivateUnsaved(t *testing.T) {
	t.Parallel()
	o, c := apiOrigin(t, OriginConfig{})
	private := c.do("POST", "broadcasts", `{"private":true}`, 201)
	public := c.do("POST", "broadcasts", `{}`, 201)
	path := filepath.Join(o.dir, savedFile)
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "in the way"), 0o700)); err != nil {
		t.Fatal(err)
	}
	o.endUnsaved()
	if b := c.do("GET", "broadcasts/"+private.ID, "", 200); b.State != stateWaiting {
		t.Errorf("nothing has changed, and the private one is %s", b.State)
	}
	o.announcing.Lock()
	o.saved = "?" // as after a restart
	o.announcing.Unlock()
	o.endUnsaved()
	for _, want := range []struct{ id, state string }{{private.ID, stateEnded}, {public.ID, stateWaiting}} {
		if b := c.do("GET", "broadcasts/"+want.id, "", 200); b.State != want.state {
			t.Errorf("%s is %s, want %s", want.id, b.State, want.state)
		}
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// TestPrivateHeldBack: a chunk that was cut without a sealer does not leave a private broadcast, nor is it kept.
func TestPrivateHeldBack(t *testing.T) {
	secret := ringSecret(1)
	kept := 0
	b := &broadcast{secret: &secret, log: slog.New(slog.DiscardHandler), record: func(envelope.Chunk) error {
		kept++
		return nil
	}}
	b.emit([]envelope.Chunk{{Envelope: &envelope.Envelope{Track: "de"}, Block: []byte("moof")}})
	if kept > 0 || b.full == nil || b.onAir {
		t.Errorf("kept %d, %v, on air %v", kept, b.full, b.onAir)
	}
}

// TestPrivateLocked: who watches is told that the key lacks, once, and not that a chunk came before its init segment, which may
// happen to whoever comes with the right key.
func TestPrivateLocked(t *testing.T) {
	heard := newTold()
	cfg := local(t, "viewer")
	cfg.Tell = heard.tell
	p, err := newParticipant("viewer", mesh.Viewer, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	face, err := p.shim.Open(shim.BroadcastInfo{ID: "talk", Private: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &showing{host: p, face: face, opener: p.opener(ringKey(1, "talk"), true)}
	s.lock(fmt.Errorf("%w: chunk 1-2 came before an init segment", errLocked))
	if _, why := face.Private(); why != "" || len(heard.lines) != 0 {
		t.Errorf("for one chunk: %q, %q", why, heard.lines)
	}
	s.lock(errNoKey)
	s.lock(errNoKey)
	if _, why := face.Private(); why != errNoKey.Error() || len(heard.lines) != 1 {
		t.Errorf("without a key: %q, %q", why, heard.lines)
	}
}

// TestPrivateEarly: what comes before an init segment, as the second chunk of a broadcast may, is shown once that is here.
func TestPrivateEarly(t *testing.T) {
	p, err := newParticipant("viewer", mesh.Viewer, local(t, "viewer"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	face, err := p.shim.Open(shim.BroadcastInfo{ID: "0a", Private: true})
	if err != nil {
		t.Fatal(err)
	}
	secret := ringSecret(5)
	s := &showing{host: p, face: face, opener: p.opener(archive.Key{Channel: envelope.Channel{1}, Broadcast: "0a"}, true)}
	s.opener.secret, s.recording = &secret, func() (*archive.Recording, bool) { return nil, false }
	s.main = s.strand(mainTrack)
	if err := s.main.show(mesh.TrackInfo{}, nil); err != nil {
		t.Fatal(err)
	}
	timed := func(seq uint64) envelope.Chunk {
		c := sealedChunk(t, secret, mainTrack, seq)
		c.Timescale, c.Duration, c.DecodeTime = 1000, 250, 250*seq
		return c
	}
	for i, seq := range []uint64{1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16} {
		c := timed(seq)
		if seq%8 == 0 {
			c.Flags = envelope.Independent
		} else {
			c.Init = nil
		}
		if err := s.main.push(c); err != nil {
			t.Fatal(err)
		}
		if early := len(s.main.early); (early == 1) != (i == 0) {
			t.Errorf("after chunk %d, %d are held", c.Seq, early)
		}
	}
	for seq := range uint64(2) {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/b/0a/main/"+playlist.PartURI(playlist.ID{Epoch: 7, Seq: seq}), nil)
		r.RemoteAddr = "127.0.0.1:9"
		w := httptest.NewRecorder()
		p.shim.Handler().ServeHTTP(w, r)
		if text := w.Body.String(); w.Code != http.StatusOK || text != "moof mdat" {
			t.Errorf("chunk %d: %d %q", seq, w.Code, text)
		}
	}
}

// TestPrivateTracks: a further track of a private broadcast is sealed as main is, and opened for the same people.
func TestPrivateTracks(t *testing.T) {
	t.Parallel()
	o, c := apiOrigin(t, OriginConfig{})
	made := c.do("POST", "broadcasts", `{"title":"Board meeting","private":true,"tracks":["main","de"]}`, 201)
	b := o.broadcastByID(made.ID)
	side, err := o.authorize("live", made.Key, "de")
	if err != nil {
		t.Fatal(err)
	}
	v := newViewer(t, made.Link)
	run(t, v)
	bare, _, _ := strings.Cut(made.Link, "&k=")
	outside := newViewer(t, bare)
	run(t, outside)
	began := time.Now().Add(-8 * time.Second)
	begin(t, b, toneFormat)
	begin(t, side, toneFormat)
	sent := 8 * time.Second
	together(t, 0, sent, desk{sink: b, began: began}, desk{sink: side, began: began})

	rec, ok := b.recording()
	if !ok {
		t.Fatal("no recording")
	}
	for _, name := range []string{mainTrack, "de"} {
		track, ok := rec.Track(name)
		if !ok {
			t.Fatalf("the recording has no track %s", name)
		}
		chunks, _ := track.Range(envelope.ID{}, envelope.ID{Epoch: 1 << 40}, 1<<16, 1<<30)
		if len(chunks) < 20 {
			t.Errorf("%d chunks of %s", len(chunks), name)
		}
		for _, k := range chunks {
			if !k.Key.Sealed() || bytes.Contains(k.Block, []byte("moof")) || bytes.Contains(k.Init, []byte("moov")) {
				t.Fatalf("chunk %v of %s is kept in the clear", k.ID(), name)
			}
		}
	}
	for who, page := range map[string]string{"the origin": o.PageURL(), "a viewer": v.PageURL()} {
		until(t, page, who+": the talk", func(s shim.Status) bool {
			now := time.Since(began) // it goes on: a viewer that came while it was sent has the rest pushed
			together(t, sent, now, desk{sink: b, began: began}, desk{sink: side, began: began})
			sent = now
			return live(s) == made.ID && strings.Contains(get(t, page+"b/"+made.ID+"/index.m3u8"), "de/")
		})
		part, init := firstPartOf(t, page, made.ID, "de")
		if _, _, text := ask(t, init, nil); !strings.Contains(text, "moov") {
			t.Errorf("%s: the init segment of de is none", who)
		}
		if code, _, text := ask(t, part, nil); code != http.StatusOK || !strings.Contains(text, "moof") {
			t.Errorf("%s: a part of de: %d", who, code)
		}
	}
	until(t, outside.PageURL(), "without the key: the talk", func(shim.Status) bool {
		code, _, _ := ask(t, outside.PageURL()+"b/"+made.ID+"/index.m3u8", nil)
		return code != http.StatusNotFound // it has heard of it
	})
	for _, path := range []string{"de/index.m3u8", "de/live.mp4", "main/index.m3u8"} {
		if code, _, text := ask(t, outside.PageURL()+"b/"+made.ID+"/"+path, nil); code != http.StatusForbidden || !strings.Contains(text, "private") {
			t.Errorf("without the key, %s: %d %q", path, code, text)
		}
	}
}
