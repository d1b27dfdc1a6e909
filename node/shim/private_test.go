package shim

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// privacy is a server with a public and a private broadcast of which each has a segment; the private one began last.
func privacy(t *testing.T, cfg Config) (*Server, *Broadcast) {
	t.Helper()
	cfg.Listen, cfg.Token = "127.0.0.1:0", "right"
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var private *Broadcast
	for _, id := range []string{"public", "secret"} {
		b, err := s.Open(BroadcastInfo{ID: id, Started: time.Unix(int64(len(s.broadcasts)), 0), Private: id == "secret"})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.AddTrack(TrackInfo{Name: "main"}, nil); err != nil {
			t.Fatal(err)
		}
		o := newOrigin(id)
		for range 20 {
			if err := b.Push("main", o.chunk(time.Now())); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Push("main", o.end(time.Now())); err != nil {
			t.Fatal(err)
		}
		private = b
	}
	return s, private
}

// request is one as a browser or a player sends it to the server.
func request(s *Server, method, path, from string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8480"+path, nil)
	r.RemoteAddr = from
	for k, v := range header {
		switch k {
		case "Host":
			r.Host = v
		case "Proto":
			r.Proto, r.ProtoMajor, r.ProtoMinor = v, 1, 0
		}
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// TestPrivateMedia asks for all that a private broadcast has, as everybody might who is not meant: nobody gets a byte of it,
// and no page is promised that it may read it. What is public stays as open as it was.
func TestPrivateMedia(t *testing.T) {
	s, _ := privacy(t, Config{AllowHosts: []string{"*"}})
	const near = "127.0.0.1:50000"
	paths := []string{"index.m3u8", "live.mp4", "main/index.m3u8", "main/p-7-8.m4s", "main/s-7-0-7.m4s"}
	list := request(s, "GET", "/b/secret/main/index.m3u8", near, nil).Body.String()
	for _, line := range strings.Split(list, "\n") {
		if _, rest, ok := strings.Cut(line, `#EXT-X-MAP:URI="`); ok {
			paths = append(paths, "main/"+strings.TrimSuffix(rest, `"`))
		}
	}
	if len(paths) != 6 {
		t.Fatalf("no init segment in %s", list)
	}
	for name, c := range map[string]struct {
		from   string
		header map[string]string
		code   int
	}{
		"a player here":                   {near, nil, 200},
		"a player here, by IPv6":          {"[::1]:50000", map[string]string{"Host": "[::1]:8480"}, 200},
		"a player here, by name":          {near, map[string]string{"Host": "localhost:8480"}, 200},
		"our own page":                    {near, map[string]string{"Origin": "http://127.0.0.1:8480", "Sec-Fetch-Site": "same-origin"}, 200},
		"a script of another page":        {near, map[string]string{"Origin": "https://elsewhere.example"}, 403},
		"a page of another port here":     {near, map[string]string{"Origin": "http://127.0.0.1:9000"}, 403},
		"a sandboxed frame":               {near, map[string]string{"Origin": "null"}, 403},
		"a video element elsewhere":       {near, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "video"}, 403},
		"a frame elsewhere":               {near, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403},
		"another page with the token":     {near, map[string]string{"Origin": "https://elsewhere.example", "X-Murmur-Token": "right"}, 403},
		"a name that was rebound":         {near, map[string]string{"Host": "rebound.example"}, 403},
		"the network":                     {"192.0.2.7:50000", map[string]string{"Host": "192.0.2.1:8480"}, 403},
		"the network, by a loop's name":   {"192.0.2.7:50000", nil, 403},
		"the network with the token":      {"192.0.2.7:50000", map[string]string{"X-Murmur-Token": "right"}, 200},
		"the network, a wrong token":      {"192.0.2.7:50000", map[string]string{"X-Murmur-Token": "wrong"}, 403},
		"a proxy here":                    {near, map[string]string{"X-Forwarded-For": "192.0.2.7"}, 403},
		"a proxy here that tells nothing": {near, map[string]string{"Proto": "HTTP/1.0"}, 403},
		"a proxy here, by the standard":   {near, map[string]string{"Forwarded": "for=192.0.2.7"}, 403},
	} {
		for _, path := range paths {
			w := request(s, "GET", "/b/secret/"+path, c.from, c.header)
			h := w.Header()
			if w.Code != c.code {
				t.Errorf("%s, %s: %d %s", name, path, w.Code, w.Body)
			}
			if body := w.Body.String(); w.Code != 200 && (strings.Contains(body, "moof") || strings.Contains(body, "ftyp") || strings.Contains(body, "#EXT")) {
				t.Errorf("%s, %s: media", name, path)
			}
			if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" || !strings.Contains(h.Get("Cache-Control"), "no-store") {
				t.Errorf("%s, %s: %v", name, path, h)
			}
			w = request(s, "GET", "/b/public/"+strings.Replace(path, "secret", "public", 1), c.from, c.header)
			if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s, public %s: %d %v", name, path, w.Code, w.Header())
			}
		}
		// What is on is, for who may not see the newest, the one before.
		want := map[int]string{200: "/b/secret/", 403: "/b/public/"}[c.code]
		if w := request(s, "GET", "/live.m3u8", c.from, c.header); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: what is on: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestPrivateOrigins: pages that may read playlists and media may not read private ones.
func TestPrivateOrigins(t *testing.T) {
	s, _ := privacy(t, Config{MediaOrigins: []string{"https://stage.example"}})
	header := map[string]string{"Origin": "https://stage.example"}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if w := request(s, method, "/b/secret/main/index.m3u8", "127.0.0.1:5", header); w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
}

// TestPrivatePreflight: what a browser asks before another page may read gets for a private broadcast what the reading would
// get, with no promise; so for one that must be opened for it. What is public promises as ever.
func TestPrivatePreflight(t *testing.T) {
	var s *Server
	opened := 0
	s, _ = privacy(t, Config{Recording: func(id string) bool {
		if id != "past" {
			return false
		}
		opened++
		_, err := s.Open(BroadcastInfo{ID: id, Private: true})
		return err == nil
	}})
	const public = true
	for _, c := range []struct {
		path, origin string
		code         int
		public       bool
	}{
		{"/b/secret/main/index.m3u8", "https://elsewhere.example", 403, !public},
		{"/b/secret/main/p-7-8.m4s", "https://elsewhere.example", 403, !public},
		{"/b/secret/index.m3u8", "https://elsewhere.example", 403, !public},
		{"/b/secret/live.mp4", "null", 403, !public},
		{"/b/secret/nothing", "http://127.0.0.1:9000", 403, !public},
		{"/b//public/../secret/index.m3u8", "https://elsewhere.example", 403, !public},
		{"/b/sec%72et/index.m3u8", "https://elsewhere.example", 403, !public},
		{"/b/past/index.m3u8", "https://elsewhere.example", 403, !public},
		{"/b/secret/main/index.m3u8", "http://127.0.0.1:8480", 204, !public},
		{"/b/secret/main/index.m3u8", "", 204, !public},
		{"/b/public/main/index.m3u8", "https://elsewhere.example", 204, public},
		{"/b/public/live.mp4", "null", 204, public},
		{"/b/unknown/index.m3u8", "https://elsewhere.example", 204, public},
		{"/live.m3u8", "https://elsewhere.example", 204, public},
		{"/live.mp4", "https://elsewhere.example", 204, public},
	} {
		header := map[string]string{
			"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range", "Access-Control-Request-Private-Network": "true",
		}
		if c.origin != "" {
			header["Origin"] = c.origin
		}
		w := request(s, http.MethodOptions, c.path, "127.0.0.1:5", header)
		if w.Code != c.code {
			t.Errorf("%s from %q: %d %s", c.path, c.origin, w.Code, w.Body)
		}
		for _, name := range []string{"Origin", "Methods", "Headers", "Private-Network"} {
			if promised := w.Header().Get("Access-Control-Allow-"+name) != ""; promised != c.public {
				t.Errorf("%s from %q: %s %v", c.path, c.origin, name, w.Header())
			}
		}
		for name := range w.Header() {
			if !c.public && strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s from %q: %s", c.path, c.origin, name)
			}
		}
	}
	if opened != 1 {
		t.Errorf("the recording was opened %d times", opened)
	}
}

// TestLocked: a broadcast that cannot be opened answers with the reason, at once, and tells it in the status.
func TestLocked(t *testing.T) {
	s, _ := privacy(t, Config{})
	b, err := s.Open(BroadcastInfo{ID: "sealed"})
	if err != nil {
		t.Fatal(err)
	}
	if !b.Lock("private: no key") || b.Lock("private: no key") {
		t.Error("what is news")
	}
	for _, path := range []string{"index.m3u8", "live.mp4", "main/index.m3u8", "main/p-7-8.m4s"} {
		if w := request(s, "GET", "/b/sealed/"+path, "127.0.0.1:5", nil); w.Code != 403 || !strings.Contains(w.Body.String(), "This broadcast is private: no key.") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	told := map[string]string{}
	for _, b := range s.Status().Broadcasts {
		if b.Private {
			told[b.ID] = b.Locked
		}
	}
	if len(told) != 2 || told["sealed"] != "private: no key" || told["secret"] != "" {
		t.Errorf("status: %v", told)
	}
	b.Unlock()
	if private, locked := b.Private(); !private || locked != "" {
		t.Error("unlocked:", private, locked)
	}
}
