package node

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/shim"
)

// record makes an origin's broadcast of some seconds, and waits for its recording.
func record(t *testing.T, o *Origin) string {
	t.Helper()
	before := map[string]bool{}
	for _, i := range o.library.store.List() {
		before[i.Key.Broadcast] = true
	}
	stop := feed(o)
	id := live(until(t, o.PageURL(), "the talk", func(s shim.Status) bool { return live(s) != "" && !before[live(s)] }))
	time.Sleep(2 * time.Second) // of pictures
	stop()
	if err := o.end(o.broadcastByID(id)); err != nil {
		t.Fatal(err)
	}
	until(t, o.PageURL(), "its recording", func(s shim.Status) bool { return finished(s, id) })
	return id
}

func finished(s shim.Status, id string) bool {
	return slices.ContainsFunc(s.Recordings, func(r shim.RecordingStatus) bool { return r.Broadcast == id && r.State == string(archive.Finished) })
}

// kept asks a recording of a participant's API.
func (c client) kept(method, path, body string, want int) (r KeptRecording) {
	c.t.Helper()
	c.into(&r, method, path, body, want)
	return r
}

func (c client) recordings() []KeptRecording {
	c.t.Helper()
	resp, text := c.raw("GET", "recordings", "", "", "")
	var l struct{ Recordings []KeptRecording }
	if err := json.Unmarshal(text, &l); err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s, %v: %s", resp.Status, err, text)
	}
	return l.Recordings
}

// status returns a URL's status code.
func statusOf(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestRecordingsAPI takes a recording of the organiser from its first chunk to its deletion, which the channel learns of
// and which a restart does not undo.
func TestRecordingsAPI(t *testing.T) {
	t.Parallel()
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0", Title: "Stage"}
	o := newOrigin(t, cfg)
	stopOrigin := run(t, o)
	c := newClient(t, o)
	if list := c.recordings(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	seed, err := NewSeed(SeedConfig{Config: local(t, "seed"), Links: []string{o.Link()}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, seed)

	// While it is live.
	stop := feed(o)
	id := live(until(t, seed.PageURL(), "the talk at the seed", func(s shim.Status) bool { return live(s) != "" }))
	at := "recordings/" + id
	if r := c.kept("GET", at, "", 200); r.State != archive.Live || r.Root != "" || r.MP4 != "" || r.Ended != nil || !r.Own || r.Replicas != nil {
		t.Errorf("%+v", r)
	}
	c.kept("DELETE", at, "", 409)
	c.kept("DELETE", at+"?force=true", "", 409)
	c.kept("POST", at+"/verify", "", 409)
	c.kept("PATCH", at, `{"pinned":true}`, 200)
	time.Sleep(2 * time.Second) // of pictures
	stop()
	c.do("DELETE", "broadcasts/"+id, "", 204)
	until(t, o.PageURL(), "the recording", func(s shim.Status) bool { return finished(s, id) })
	until(t, seed.PageURL(), "the recording at the seed", func(s shim.Status) bool { return finished(s, id) })

	// Once it is over.
	r := c.kept("GET", at, "", 200)
	if r.Root == "" || r.Ended == nil || !r.Pinned || r.Missing != 0 || r.Media == 0 || r.Bytes < r.Media || r.Title != "Stage" || len(r.Tracks) != 1 || r.Tracks[0].Chunks == 0 {
		t.Errorf("%+v", r)
	}
	if byRoot := c.kept("GET", "recordings/"+r.Root, "", 200); byRoot.Broadcast != id {
		t.Errorf("by its root: %+v", byRoot)
	}
	page := strings.TrimSuffix(o.PageURL(), "/")
	for _, path := range []string{r.Playlist, r.Poster, r.CAR, r.MP4} {
		if code := statusOf(t, page+path); code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
	}
	if r := c.kept("POST", at+"/verify", "", 202); r.Check == nil {
		t.Errorf("%+v", r)
	}
	for r = c.kept("GET", at, "", 200); r.Check.State == checkRunning; r = c.kept("GET", at, "", 200) {
		time.Sleep(10 * time.Millisecond)
	}
	if ch := r.Check; ch.State != checkDone || ch.OK == nil || !*ch.OK || ch.Blocks == 0 || ch.Damaged+ch.Unsigned != 0 || ch.Finished == nil {
		t.Errorf("%+v", r.Check)
	}

	// Its deletion.
	c.kept("DELETE", at, "", 409)
	c.kept("DELETE", at+"?force=yes", "", 422)
	c.kept("PATCH", at, `{"pinned":false}`, 200)
	other := record(t, o)
	c.kept("DELETE", at, "", 204)
	c.kept("DELETE", at, "", 404)
	if list := c.recordings(); len(list) != 1 || list[0].Broadcast != other {
		t.Errorf("after the deletion: %+v", list)
	}
	if code := statusOf(t, page+r.Playlist); code != http.StatusNotFound {
		t.Errorf("%s: %d", r.Playlist, code)
	}
	unlisted := func(f *mesh.Feed, what string) {
		t.Helper()
		rec, _ := f.Latest()
		if len(rec.Recordings) != 1 || rec.Recordings[0].Broadcast != other || slices.ContainsFunc(rec.Broadcasts, func(b mesh.BroadcastInfo) bool { return b.ID == id }) {
			t.Errorf("%s: the channel record still lists it: %+v", what, rec)
		}
	}
	unlisted(o.feed, "at the origin")
	until(t, seed.PageURL(), "the deletion at the seed", func(shim.Status) bool {
		rec, _ := seed.followers[0].feed.Latest()
		return len(rec.Recordings) == 1
	})
	if !finished(seed.status(), id) {
		t.Error("the seed deleted what it was not asked to")
	}

	// The seed tells the next origin the record; it was one that listed the recording only where nothing was remembered.
	var seedAddr []string
	for _, a := range o.shareLink().Peers[0].Addrs {
		seedAddr = append(seedAddr, a.String())
	}
	stopOrigin()
	cfg.Listen = seedAddr // the seed finds it there
	o = newOrigin(t, cfg)
	run(t, o)
	c = newClient(t, o)
	if err := o.mesh.Connect(t.Context(), seed.shareLink().Peers); err != nil {
		t.Log(err)
	}
	third := record(t, o)
	rec, _ := o.feed.Latest()
	if slices.ContainsFunc(rec.Recordings, func(r mesh.RecordingInfo) bool { return r.Broadcast == id }) || len(rec.Recordings) != 2 {
		t.Errorf("after a restart: %+v", rec.Recordings)
	}

	// To make room: it stays in the list, and is still to be had.
	c.kept("DELETE", "recordings/"+third+"?listed=true", "", 204)
	if err := o.announce(); err != nil {
		t.Fatal(err)
	}
	rec, _ = o.feed.Latest()
	if !slices.ContainsFunc(rec.Recordings, func(r mesh.RecordingInfo) bool { return r.Broadcast == third }) {
		t.Errorf("it is not listed any more: %+v", rec.Recordings)
	}
}

// TestRecordingsAPIOfSeed: what somebody deletes on a seed stays deleted although the channel lists it.
func TestRecordingsAPIOfSeed(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	run(t, o)
	id := record(t, o)
	cfg := SeedConfig{Config: local(t, "seed"), Links: []string{o.Link()}}
	seed, err := NewSeed(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, seed)
	until(t, seed.PageURL(), "the recording", func(s shim.Status) bool { return finished(s, id) })
	c := client{t, seed, readDescription(t, "seed")}
	if r := c.kept("GET", "recordings/"+id, "", 200); r.Own || r.State != archive.Finished {
		t.Errorf("%+v", r)
	}
	for _, route := range []string{"broadcasts", "broadcasts/" + id} {
		if code := statusOf(t, seed.PageURL()+"api/v1/"+route); code != http.StatusNotFound {
			t.Errorf("%s: %d", route, code)
		}
	}
	c.raw("GET", "openapi.json", "", "", "")
	c.raw("GET", "status", "", "", "")

	playlist := seed.PageURL() + "b/" + id + "/index.m3u8"
	if code := statusOf(t, playlist); code != http.StatusOK {
		t.Errorf("%s: %d", playlist, code)
	}
	if running, err := FindKeeper(seed.library.cfg.Dir); err != nil || running.Token != seed.Token() || running.API+"/" != seed.PageURL() || running.Role != "seed" {
		t.Errorf("%+v, %v", running, err)
	}
	if info, err := os.Stat(filepath.Join(seed.library.cfg.Dir, "running.json")); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	c.kept("DELETE", "recordings/"+id, "", 204)
	if code := statusOf(t, playlist); code != http.StatusNotFound {
		t.Errorf("%s: %d", playlist, code)
	}
	s := until(t, seed.PageURL(), "it among what is listed", func(s shim.Status) bool { return len(s.Recordings) == 1 && s.Recordings[0].State == "listed" })
	if s.Store.Recordings != 0 {
		t.Errorf("%+v", s.Store)
	}
	stop()
	if _, err := FindKeeper(seed.library.cfg.Dir); !os.IsNotExist(err) {
		t.Errorf("running.json after the end: %v", err)
	}

	again, err := NewSeed(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, again)
	until(t, again.PageURL(), "the list", func(s shim.Status) bool { return len(s.Recordings) == 1 })
	if r, ok := again.library.keeper(o.feed.Channel(), func(string) {}, func() {}).next(t.Context()); ok {
		t.Errorf("it would be fetched again: %+v", r)
	}
}

// TestImportByAPI: a running node takes in a recording as a CAR, checked, once, and no more than there is room for.
func TestImportByAPI(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	run(t, o)
	id := record(t, o)
	rec, _ := o.library.store.Lookup(archive.Key{Channel: o.feed.Channel(), Broadcast: id})
	var car bytes.Buffer
	if err := rec.ExportCAR(t.Context(), &car, nil); err != nil {
		t.Fatal(err)
	}
	other := newOrigin(t, OriginConfig{Config: local(t, "other"), RTMP: "127.0.0.1:0"})
	run(t, other)
	c := newClient(t, other)
	post := func(query, kind, body string, want int) (*http.Response, []byte) {
		t.Helper()
		resp, text := c.raw("POST", "recordings"+query, other.Token(), kind, body)
		if resp.StatusCode != want {
			t.Errorf("%s, want %d: %s", resp.Status, want, text)
		}
		return resp, text
	}
	whole := car.String()
	post("", "application/json", "{}", 415)
	post("?pin=maybe", carType, whole, 422)
	post("", carType, "", 422)
	post("", carType, "no CAR", 422)
	post("", carType, whole[:len(whole)/2], 422)
	spoiled := []byte(whole)
	spoiled[len(spoiled)/2] ^= 1
	post("", carType, string(spoiled), 422)
	other.library.importing.Lock()
	post("", carType, whole, 409)
	other.library.importing.Unlock()
	other.library.cfg.Disk = int64(len(whole)) / 2
	post("", carType, whole, 507)
	other.library.cfg.Disk = 0
	if resp, _ := c.raw("POST", "recordings", "wrong", carType, whole); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %s", resp.Status)
	}
	if list := c.recordings(); len(list) != 0 {
		t.Fatalf("something was kept: %+v", list)
	}
	resp, text := post("?pin=true", carType, whole, 201)
	var r KeptRecording
	if err := json.Unmarshal(text, &r); err != nil || r.Broadcast != id || !r.Pinned || r.State != archive.Finished || resp.Header.Get("Location") != "/api/v1/recordings/"+r.Root {
		t.Errorf("%v: %s", err, text)
	}
	post("", carType, whole, 201) // again
	if list := c.recordings(); len(list) != 1 || !list[0].Pinned || list[0].Root != rec.Info().Root.String() {
		t.Errorf("%+v", list)
	}
	if left, err := filepath.Glob(filepath.Join(other.library.cfg.Dir, "import-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestRecordingsAPIWithoutStore: who keeps nothing has no recordings, and says so.
func TestRecordingsAPIWithoutStore(t *testing.T) {
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	run(t, o)
	cfg := local(t, "viewer")
	cfg.Recordings.Off = true
	v, err := NewViewer(ViewerConfig{Config: cfg, Link: o.Link()})
	if err != nil {
		t.Fatal(err)
	}
	run(t, v)
	c := client{t, v, readDescription(t, "viewer")}
	if list := c.recordings(); list == nil || len(list) != 0 {
		t.Errorf("%+v", list)
	}
	c.kept("GET", "recordings/x", "", 404)
	c.kept("PATCH", "recordings/x", `{"pinned":true}`, 404)
	c.kept("DELETE", "recordings/x", "", 404)
	c.kept("POST", "recordings/x/verify", "", 404)
	c.raw("GET", "openapi.json", "", "", "")
	c.raw("GET", "status", "", "", "")
}

// TestRecordingsAPIRefuses: what is wrong with a request is said in a line, and nothing comes of it.
func TestRecordingsAPIRefuses(t *testing.T) {
	o, c := apiOrigin(t, OriginConfig{})
	key := archive.Key{Channel: o.feed.Channel(), Broadcast: "0000000000000001"}
	if _, err := o.library.store.Create(key, archive.Meta{Title: "Live"}); err != nil {
		t.Fatal(err)
	}
	strange := key
	strange.Channel[3]++
	strange.Broadcast = "0000000000000002"
	twin := strange
	twin.Channel[3]++
	for _, k := range []archive.Key{strange, twin} {
		if _, err := o.library.store.Create(k, archive.Meta{Title: "Twin"}); err != nil {
			t.Fatal(err)
		}
	}
	at := "recordings/" + key.Broadcast
	for _, r := range []struct {
		name, method, path, kind, body string
		want                           int
		says                           string
	}{
		{"unknown", "GET", "recordings/nobody", "", "", 404, "no recording"},
		{"odd", "GET", "recordings/%2e%2e%2fx", "", "", 404, "no recording"},
		{"two of that id", "GET", "recordings/" + twin.Broadcast, "", "", 409, "root"},
		{"two of that id", "DELETE", "recordings/" + twin.Broadcast, "", "", 409, "root"},
		{"nothing to change", "PATCH", at, "application/json", `{}`, 422, "pinned"},
		{"null", "PATCH", at, "application/json", `{"pinned":null}`, 422, "pinned"},
		{"not a bool", "PATCH", at, "application/json", `{"pinned":"yes"}`, 400, "pinned"},
		{"another field", "PATCH", at, "application/json", `{"title":"x"}`, 400, "title"},
		{"a form", "PATCH", at, "application/x-www-form-urlencoded", `pinned=true`, 415, "application/json"},
		{"too large", "PATCH", at, "application/json", strings.Repeat(" ", maxBody+1), 413, "65536"},
		{"live", "DELETE", at, "", "", 409, "not over"},
		{"live, by force", "DELETE", at + "?force=true", "", "", 409, "not over"},
		{"no truth", "DELETE", at + "?listed=1", "", "", 422, "true or false"},
		{"live", "POST", at + "/verify", "", "", 409, "not over"},
	} {
		resp, text := c.raw(r.method, r.path, o.Token(), r.kind, r.body)
		var said struct{ Error string }
		if err := json.Unmarshal(text, &said); err != nil || resp.StatusCode != r.want || !strings.Contains(said.Error, r.says) || strings.Contains(said.Error, "\n") {
			t.Errorf("%s: %s, want %d and %q: %s", r.name, resp.Status, r.want, r.says, text)
		}
	}
	for _, token := range []string{"", "wrong"} {
		for _, r := range [][2]string{{"PATCH", at}, {"DELETE", at}, {"POST", at + "/verify"}} {
			if resp, _ := c.raw(r[0], r[1], token, "application/json", `{"pinned":true}`); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s with the token %q: %s", r[0], token, resp.Status)
			}
		}
	}
	for _, path := range []string{"recordings", at} {
		if resp, _ := c.raw("GET", path, "wrong", "", ""); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s with a wrong token: %s", path, resp.Status)
		}
	}
	if list := c.recordings(); len(list) != 3 || list[0].Pinned {
		t.Errorf("%+v", list)
	}
}

// TestChecks: one at a time; the same one twice is one; a deletion stops it; nothing runs after the end.
func TestChecks(t *testing.T) {
	s, err := archive.Open(archive.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var recs []*archive.Recording
	for _, name := range []string{"one", "two"} {
		rec, err := s.Create(archive.Key{Broadcast: name}, archive.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, rec)
	}
	var c checks
	release := make(chan struct{})
	over := func(archive.Report, error) { <-release }
	if fresh, err := c.begin(recs[0], over); !fresh || err != nil {
		t.Errorf("%t, %v", fresh, err)
	}
	close(release)
	for c.of(recs[0].Key()).State == checkRunning {
		time.Sleep(time.Millisecond)
	}
	// As if the first one took long.
	ctx, cancel := context.WithCancel(t.Context())
	c.mu.Lock()
	c.stop, c.now = cancel, recs[0].Key()
	c.mu.Unlock()
	if fresh, err := c.begin(recs[0], over); fresh || err != nil {
		t.Errorf("the same again: %t, %v", fresh, err)
	}
	if _, err := c.begin(recs[1], over); err != errChecking { //nolint:errorlint // as it is
		t.Errorf("another one: %v", err)
	}
	c.forget(recs[0].Key())
	if ctx.Err() == nil || c.of(recs[0].Key()) != nil {
		t.Error("the deletion did not stop it")
	}
	c.close()
	if _, err := c.begin(recs[1], over); err != archive.ErrClosed { //nolint:errorlint // as it is
		t.Errorf("after the end: %v", err)
	}
}
