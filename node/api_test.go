package node

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"murmuration/node/shim"
)

// client asks a participant's API, and holds every answer to its description.
type client struct {
	t     testing.TB
	o     face
	about *description
}

// face is what a client needs of any role.
type face interface {
	PageURL() string
	Token() string
}

func newClient(t testing.TB, o *Origin) client { return client{t, o, readDescription(t, "origin")} }

// raw sends a request and returns the answer. Path is below /api/v1/; an operation that is not described is not checked.
func (c client) raw(method, path, token, kind, body string) (*http.Response, []byte) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.o.PageURL()+"api/v1/"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	route, _, _ := strings.Cut("/api/v1/"+path, "?")
	route = regexp.MustCompile(`^(/api/v1/(broadcasts|recordings))/[^/]+`).ReplaceAllString(route, "$1/{id}")
	if operation := method + " " + route; slices.Contains(c.about.operations(), operation) {
		c.about.answers(c.t, operation, resp, answer)
	}
	return resp, answer
}

// do sends JSON with the token, wants a status and returns the broadcast in the answer.
func (c client) do(method, path, body string, want int) (b broadcastJSON) {
	c.t.Helper()
	c.into(&b, method, path, body, want)
	return b
}

// into is do for any answer.
func (c client) into(answer any, method, path, body string, want int) {
	c.t.Helper()
	kind := ""
	if body != "" {
		kind = "application/json"
	}
	resp, text := c.raw(method, path, c.o.Token(), kind, body)
	if resp.StatusCode != want {
		c.t.Fatalf("%s %s %s: %s, want %d: %s", method, path, body, resp.Status, want, text)
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, answer); err != nil {
			c.t.Fatalf("%v: %s", err, text)
		}
	}
}

func (c client) list(token string) []broadcastJSON {
	c.t.Helper()
	resp, text := c.raw("GET", "broadcasts", token, "", "")
	var l struct{ Broadcasts []broadcastJSON }
	if err := json.Unmarshal(text, &l); err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s, %v: %s", resp.Status, err, text)
	}
	return l.Broadcasts
}

func apiOrigin(t *testing.T, cfg OriginConfig) (*Origin, client) {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Config = local(t, "origin")
	}
	if cfg.RTMP == "" && cfg.Input == "" {
		cfg.RTMP = "127.0.0.1:0"
	}
	o := newOrigin(t, cfg)
	run(t, o)
	return o, newClient(t, o)
}

// TestAPITracks: further tracks are named beforehand, each with what its encoder is to give, which is a secret.
func TestAPITracks(t *testing.T) {
	_, c := apiOrigin(t, OriginConfig{})
	b := c.do("POST", "broadcasts", `{"key":"a-key-of-mine","tracks":["de","main","pt-br"]}`, 201)
	want := []trackJSON{{Name: "main", Key: "a-key-of-mine"}, {Name: "de", Key: "a-key-of-mine?track=de"}, {Name: "pt-br", Key: "a-key-of-mine?track=pt-br"}}
	if !slices.Equal(b.Tracks, want) {
		t.Errorf("%+v, want %+v", b.Tracks, want)
	}
	for _, b := range c.list("") {
		for _, track := range b.Tracks {
			if track.Key != "" {
				t.Errorf("everybody is told the key of %s", track.Name)
			}
		}
	}
}

// TestAPILife takes a broadcast from its making to its end, as a program would.
func TestAPILife(t *testing.T) {
	o, c := apiOrigin(t, OriginConfig{Title: "The stage"})
	b := c.do("POST", "broadcasts", `{"title":"A talk","grace_s":7.5,"tracks":["main"],"private":false,"webhook":"http://127.0.0.1:1/x?s=1"}`, 201)
	if b.State != "waiting" || b.Title != "A talk" || b.GraceS != 7.5 || b.Feed || b.Started != nil || b.Ended != nil || b.Standing || b.Private {
		t.Errorf("%+v", b)
	}
	server, main := o.RTMP()
	if b.RTMP != server || len(b.Key) != 24 || b.Key == main || b.Webhook == "" || b.Page != o.PageURL() {
		t.Errorf("encoder: server %s, key %s; page %s", b.RTMP, b.Key, b.Page)
	}
	if link, err := parseLink(b.Link); err != nil || link.Broadcast != b.ID || link.Channel != o.shareLink().Channel || len(link.Peers) == 0 {
		t.Errorf("link %s, %v", b.Link, err)
	}
	until(t, o.PageURL(), "it on the page", func(s shim.Status) bool {
		return len(s.Broadcasts) == 1 && s.Broadcasts[0].ID == b.ID && s.Broadcasts[0].State == shim.StateWaiting
	})

	second := c.do("POST", "broadcasts", `{}`, 201)
	if second.Title != "The stage" || second.GraceS != 30 || second.ID <= b.ID {
		t.Errorf("%+v", second)
	}
	if list := c.list(o.Token()); len(list) != 2 || list[0].ID != second.ID || list[1].Key != b.Key {
		t.Errorf("list: %+v", list)
	}
	for _, seen := range append(c.list(""), c.anonymous(b.ID)) {
		if seen.Key != "" || seen.Webhook != "" {
			t.Errorf("secrets are shown without the token: %+v", seen)
		}
	}
	if resp, _ := c.raw("GET", "broadcasts", "wrong", "", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong token: %s", resp.Status)
	}

	if got := c.do("PATCH", "broadcasts/"+b.ID, `{"title":"Gespräch"}`, 200); got.Title != "Gespräch" {
		t.Errorf("title %q", got.Title)
	}
	until(t, o.PageURL(), "the title on the page", func(s shim.Status) bool { return s.Broadcasts[0].Title == "Gespräch" })

	for range 2 {
		c.do("DELETE", "broadcasts/"+b.ID, "", 204)
	}
	if got := c.do("GET", "broadcasts/"+b.ID, "", 200); got.State != "ended" || got.Ended == nil || got.RTMP != "" {
		t.Errorf("%+v", got)
	}
	until(t, o.PageURL(), "it off the page", func(s shim.Status) bool { return len(s.Broadcasts) == 1 && s.Broadcasts[0].ID == second.ID })

	c.do("GET", "status", "", 200)
	c.do("GET", "openapi.json", "", 200)
}

func (c client) anonymous(id string) broadcastJSON {
	c.t.Helper()
	_, text := c.raw("GET", "broadcasts/"+id, "", "", "")
	var b broadcastJSON
	if err := json.Unmarshal(text, &b); err != nil {
		c.t.Fatal(err)
	}
	return b
}

// TestAPIRefuses: what is wrong with a request is said in a line, and nothing comes of it.
func TestAPIRefuses(t *testing.T) {
	o, c := apiOrigin(t, OriginConfig{})
	taken := c.do("POST", "broadcasts", `{"key":"taken-key-1"}`, 201)
	before := len(c.list(""))
	const one = "broadcasts"
	id := "broadcasts/" + taken.ID
	for _, r := range []struct {
		name, method, path, kind, body string
		want                           int
		says                           string
	}{
		{"private, in words", "POST", one, "", `{"private":"yes"}`, 400, ""},
		{"tracks without main", "POST", one, "", `{"tracks":["de"]}`, 422, "main"},
		{"no tracks", "POST", one, "", `{"tracks":[]}`, 422, "main"},
		{"a track twice", "POST", one, "", `{"tracks":["main","de","de"]}`, 422, "twice"},
		{"too many tracks", "POST", one, "", `{"tracks":["main"` + strings.Repeat(`,"x"`, 16) + `]}`, 422, "at most 16"},
		{"a track that is no name", "POST", one, "", `{"tracks":["main","../x"]}`, 422, "not a name"},
		{"key in use", "POST", one, "", `{"key":"taken-key-1"}`, 409, "stream key"},
		{"short key", "POST", one, "", `{"key":"x"}`, 422, "8 to 128"},
		{"no key", "POST", one, "", `{"key":""}`, 422, "8 to 128"},
		{"key with a slash", "POST", one, "", `{"key":"live/abcdefgh"}`, 422, "letters"},
		{"empty title", "POST", one, "", `{"title":""}`, 422, "1 to 256"},
		{"long title", "POST", one, "", `{"title":"` + strings.Repeat("ä", 129) + `"}`, 422, "258 bytes"},
		{"title with a line break", "POST", one, "", `{"title":"a\nb"}`, 422, "control character"},
		{"webhook", "POST", one, "", `{"webhook":"file:///etc/passwd"}`, 422, "webhook"},
		{"negative grace", "POST", one, "", `{"grace_s":-1}`, 422, "grace_s"},
		{"long grace", "POST", one, "", `{"grace_s":1e9}`, 422, "grace_s"},
		{"two things", "POST", one, "", `{"title":"","grace_s":-1}`, 422, "; "},
		{"unknown field", "POST", one, "", `{"titel":"x"}`, 400, `"titel"`},
		{"wrong type", "POST", one, "", `{"title":5}`, 400, `"title"`},
		{"number too large", "POST", one, "", `{"grace_s":1e999}`, 400, "grace_s"},
		{"not an object", "POST", one, "", `["x"]`, 400, "object"},
		{"null", "POST", one, "", `null`, 400, "object"},
		{"nothing", "POST", one, "", ``, 400, "object"},
		{"cut short", "POST", one, "", `{"title":`, 400, "cut short"},
		{"more behind it", "POST", one, "", `{} {}`, 400, "after"},
		{"too large", "POST", one, "", `{"title":"` + strings.Repeat("x", maxBody) + `"}`, 413, "65536"},
		{"a form", "POST", one, "application/x-www-form-urlencoded", `title=x`, 415, "application/json"},
		{"no type", "POST", one, "-", `{}`, 415, "application/json"},
		{"another charset", "POST", one, "application/json; charset=latin1", `{}`, 415, "UTF-8"},
		{"patch of nothing", "PATCH", id, "", `{}`, 422, "title"},
		{"patch of the key", "PATCH", id, "", `{"key":"another-key"}`, 400, "key"},
		{"bad title", "PATCH", id, "", `{"title":""}`, 422, "title"},
		{"patch as a form", "PATCH", id, "text/plain", `{"title":"x"}`, 415, "application/json"},
		{"large patch", "PATCH", id, "", strings.Repeat(" ", maxBody+1), 413, "65536"},
		{"patch of an unknown one", "PATCH", "broadcasts/nobody", "", `{"title":"x"}`, 404, "no broadcast"},
		{"an unknown one", "GET", "broadcasts/nobody", "", "", 404, "no broadcast"},
		{"an odd one", "GET", "broadcasts/%2e%2e%2fx", "", "", 404, "no broadcast"},
		{"delete of an unknown one", "DELETE", "broadcasts/nobody", "", "", 404, "no broadcast"},
	} {
		t.Run(r.name, func(t *testing.T) {
			c := client{t, o, c.about}
			switch r.kind {
			case "-":
				r.kind = ""
			case "":
				r.kind = "application/json; charset=UTF-8"
			}
			resp, text := c.raw(r.method, r.path, o.Token(), r.kind, r.body)
			var said struct{ Error string }
			if err := json.Unmarshal(text, &said); err != nil || resp.StatusCode != r.want || !strings.Contains(said.Error, r.says) || strings.Contains(said.Error, "\n") {
				t.Errorf("%s, want %d and %q: %s", resp.Status, r.want, r.says, text)
			}
		})
	}
	for _, token := range []string{"", "wrong"} {
		for _, r := range [][2]string{{"POST", one}, {"PATCH", id}, {"DELETE", id}} {
			if resp, _ := c.raw(r[0], r[1], token, "application/json", `{"title":"x"}`); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s with the token %q: %s", r[0], token, resp.Status)
			}
		}
	}
	if resp, _ := c.raw("PUT", id, o.Token(), "application/json", `{}`); resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %s", resp.Status)
	}
	req, err := http.NewRequest(http.MethodGet, o.PageURL()+"api/v1/broadcasts", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("by another name: %s", resp.Status)
	}
	if after := len(c.list("")); after != before {
		t.Errorf("%d broadcasts came of what was refused", after-before)
	}
}

// TestAPIBounds: as many as a channel record can list, and room again when one has ended.
func TestAPIBounds(t *testing.T) {
	_, c := apiOrigin(t, OriginConfig{})
	var last broadcastJSON
	for range maxOpen {
		last = c.do("POST", "broadcasts", `{}`, 201)
	}
	c.do("POST", "broadcasts", `{}`, 409)
	c.do("DELETE", "broadcasts/"+last.ID, "", 204)
	c.do("POST", "broadcasts", `{"key":"`+last.Key+`"}`, 201) // its key is free again
}

// TestAPIWithoutRTMP: an origin with an input has its one broadcast, and takes no other.
func TestAPIWithoutRTMP(t *testing.T) {
	o, c := apiOrigin(t, OriginConfig{Input: "test"})
	c.do("POST", "broadcasts", `{}`, 409)
	id := live(until(t, o.PageURL(), "the input", func(s shim.Status) bool { return live(s) != "" }))
	b := c.do("GET", "broadcasts/"+id, "", 200)
	if b.RTMP != "" || b.Key != "" || b.State != "live" || len(b.Tracks) != 1 || b.Tracks[0].Width == 0 {
		t.Errorf("%+v", b)
	}
}

// TestOriginFile: programs find the origin by its file while it runs; others cannot read it.
func TestOriginFile(t *testing.T) {
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"}
	if _, err := FindOrigin(cfg.Dir); !os.IsNotExist(err) {
		t.Errorf("before: %v", err)
	}
	o := newOrigin(t, cfg)
	stop := run(t, o)
	r, err := FindOrigin(cfg.Dir)
	if err != nil || r.Token != o.Token() || r.API+"/" != o.PageURL() || r.PID != os.Getpid() {
		t.Errorf("%+v, %v", r, err)
	}
	info, err := os.Stat(filepath.Join(cfg.Dir, "origin.json"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	stop()
	if _, err := os.Stat(filepath.Join(cfg.Dir, "origin.json")); !os.IsNotExist(err) {
		t.Errorf("after: %v", err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Dir, "origin.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FindOrigin(cfg.Dir); err == nil || os.IsNotExist(err) {
		t.Errorf("a torn file: %v", err)
	}
}

// TestOriginFileInTheWay: an origin that cannot write its file runs all the same.
func TestOriginFileInTheWay(t *testing.T) {
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, originFile), 0o700); err != nil {
		t.Fatal(err)
	}
	_, c := apiOrigin(t, cfg)
	c.do("POST", "broadcasts", `{}`, http.StatusCreated)
}

func TestRTMPServerName(t *testing.T) {
	o, _ := apiOrigin(t, OriginConfig{RTMP: "0.0.0.0:0"})
	_, port, _ := net.SplitHostPort(o.rtmp.Addr().String())
	for host, want := range map[string]string{
		"venue:8480": "rtmp://venue:" + port + "/live", "venue": "rtmp://venue:" + port + "/live", "": "rtmp://127.0.0.1:" + port + "/live",
		"[2001:db8::1]:80": "rtmp://[2001:db8::1]:" + port + "/live", "[2001:db8::1]": "rtmp://[2001:db8::1]:" + port + "/live",
	} {
		if got := o.rtmpServer(host); got != want {
			t.Errorf("asked at %q: %s, want %s", host, got, want)
		}
	}
}

func FuzzDecodeStrictly(f *testing.F) {
	f.Add([]byte(`{"title":"x"}`))
	f.Add([]byte(`{"title":null}{}`))
	f.Add([]byte("\xef\xbb\xbf{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v struct {
			Title *string `json:"title"`
		}
		if err := decodeStrictly(text, &v); err == nil && !json.Valid(bytes.TrimSpace(text)) {
			t.Errorf("taken: %q", text)
		}
	})
}
