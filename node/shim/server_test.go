package shim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestGuard is the table of who may ask for what.
func TestGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Token: "secret", AllowHosts: []string{"venue.example"}})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 10)
		changed := 0
		r.Handle("POST /api/v1/stop", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			changed++
			w.WriteHeader(http.StatusNoContent)
		}))
		const list, status, stop = "/b/talk/main/index.m3u8", "/api/v1/status", "/api/v1/stop"
		for _, c := range []struct {
			method, path string
			header       []string
			code         int
		}{
			{"GET", list, nil, 200},
			{"GET", list, []string{"Host", "localhost:8480"}, 200},
			{"GET", list, []string{"Host", "LOCALHOST"}, 200},
			{"GET", list, []string{"Host", "murmur.localhost:8480"}, 200},
			{"GET", list, []string{"Host", "[::1]:8480"}, 200},
			{"GET", list, []string{"Host", "127.9.9.9"}, 200},
			{"GET", list, []string{"Host", "venue.example:80"}, 200},
			{"GET", list, []string{"Host", "evil.example"}, 403},
			{"GET", list, []string{"Host", "localhost.evil.example"}, 403},
			{"GET", list, []string{"Host", "10.0.0.1:8480"}, 403},
			{"GET", "/", []string{"Host", "evil.example"}, 403},
			{"GET", status, []string{"Host", "evil.example:8480"}, 403},
			{"GET", list, []string{"Origin", "https://evil.example"}, 200},
			{"GET", "/", nil, 200},
			{"GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
			{"GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
			{"GET", status, nil, 200},
			{"GET", status, []string{"Origin", "http://127.0.0.1:8480"}, 200},
			{"GET", status, []string{"Origin", "http://127.0.0.1:9999"}, 403},
			{"GET", status, []string{"Origin", "https://evil.example"}, 403},
			{"GET", status, []string{"Origin", "null"}, 403},
			{"GET", status, []string{"Sec-Fetch-Site", "same-origin"}, 200},
			{"GET", status, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
			{"GET", "/metrics", []string{"Origin", "https://evil.example"}, 403},
			{"GET", "/healthz", nil, 200},
			{"POST", stop, nil, 401},
			{"POST", stop, []string{"X-Murmur-Token", "wrong"}, 401},
			{"POST", stop, []string{"Authorization", "Basic secret"}, 401},
			{"POST", stop, []string{"X-Murmur-Token", "secret", "Origin", "https://evil.example"}, 403},
			{"POST", stop, []string{"X-Murmur-Token", "secret"}, 204},
			{"POST", stop, []string{"Authorization", "Bearer secret"}, 204},
			{"POST", stop, []string{"Authorization", "bearer secret", "Origin", "http://127.0.0.1:8480"}, 204},
			{"DELETE", list, nil, 401},
			{"POST", list, []string{"X-Murmur-Token", "secret"}, 405},
			{"OPTIONS", status, []string{"Origin", "https://evil.example"}, 403},
			{"OPTIONS", list, []string{"Origin", "https://evil.example"}, 204},
		} {
			a := r.do(context.Background(), c.method, c.path, c.header...)
			if a.code != c.code {
				t.Errorf("%s %s %v: %d, want %d", c.method, c.path, c.header, a.code, c.code)
			}
			if cors := a.header.Get("Access-Control-Allow-Origin"); c.path != list && cors != "" {
				t.Errorf("%s %s: readable by %s", c.method, c.path, cors)
			}
		}
		if changed != 3 {
			t.Errorf("%d changes", changed)
		}
	})
}

// TestNoToken checks that without a token nothing can be changed, an empty one included.
func TestNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{MediaOrigins: []string{"https://venue.example"}})
		defer r.stop()
		r.Handle("POST /api/v1/stop", http.NotFoundHandler())
		if a := r.do(context.Background(), "POST", "/api/v1/stop", "Authorization", "Bearer "); a.code != 401 {
			t.Error(a.code)
		}
		r.publish(r.open("talk"), newOrigin("talk"), 1)
		if a := r.get("/live.m3u8", "Origin", "https://venue.example"); a.header.Get("Access-Control-Allow-Origin") != "https://venue.example" {
			t.Errorf("%v", a.header)
		}
		if a := r.get("/live.m3u8", "Origin", "https://evil.example"); a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v", a.header)
		}
	})
}

// TestEvents checks that events come every second, at once on a change, and end with the server.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:8480/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Error(got)
		}
		lines := bufio.NewScanner(res.Body)
		event := func() (Status, time.Duration) {
			began := time.Now()
			var st Status
			for lines.Scan() {
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					if err := json.Unmarshal([]byte(data), &st); err != nil {
						t.Fatal(err)
					}
				}
				if lines.Text() == "" {
					return st, time.Since(began)
				}
			}
			return st, -1
		}
		if st, took := event(); took != 0 || st.Broadcasts == nil || st.Peers == nil {
			t.Errorf("first event after %v: %+v", took, st)
		}
		if _, took := event(); took != time.Second {
			t.Errorf("second event after %v", took)
		}
		time.Sleep(500 * time.Millisecond)
		r.open("talk")
		if st, took := event(); took != 0 || len(st.Broadcasts) != 1 || st.Broadcasts[0].State != StateWaiting {
			t.Errorf("event on a change after %v: %+v", took, st)
		}
		r.Changed()
		r.Changed()
		if _, took := event(); took != eventRest {
			t.Errorf("changes in quick succession: after %v", took)
		}
		stopped := make(chan struct{})
		go func() { r.stop(); close(stopped) }()
		for took := time.Duration(0); took >= 0; {
			_, took = event()
		}
		<-stopped
	})
}

// TestShutdown checks that the server's end does not wait for those who wait, and tells players of an end before.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 19)
		reload, live := make(chan answer, 1), make(chan answer, 1)
		go func() { reload <- r.get("/b/talk/main/index.m3u8?_HLS_msn=2&_HLS_part=3") }()
		go func() { live <- r.get("/live.mp4") }()
		synctest.Wait()
		began := time.Now()
		b.End()
		r.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		if a := <-reload; a.code != 200 || !strings.Contains(a.body, "ENDLIST") {
			t.Errorf("%+v", a)
		}
		if a := <-live; a.code != 200 || len(a.body) < 1000 {
			t.Errorf("%+v", a)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 19)
		hint := make(chan answer, 1)
		go func() { hint <- r.get("/b/talk/main/p-7-19.m4s") }()
		synctest.Wait()
		began := time.Now()
		r.stop()
		if a := <-hint; a.code != 503 || time.Since(began) > time.Second {
			t.Errorf("%d after %v", a.code, time.Since(began))
		}
	})
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, err = New(Config{Listen: l.Addr().String()})
	if !errors.Is(err, ErrPortInUse) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("%v", err)
	}
	if _, err := New(Config{Listen: "nonsense"}); err == nil || errors.Is(err, ErrPortInUse) {
		t.Errorf("%v", err)
	}
}

// TestPage checks the page's headers, and that the plain page works where the other was not built.
func TestPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "murmur_node_test"}))
		r := newRig(t, Config{Metrics: reg})
		defer r.stop()
		a := r.get("/")
		policy := a.header.Get("Content-Security-Policy")
		if a.code != 200 || !strings.Contains(a.body, "<video") || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Errorf("%d %v", a.code, a.header)
		}
		for _, want := range []string{"media-src 'self' blob:", "worker-src 'self' blob:", "frame-ancestors 'none'", "default-src 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("policy %q lacks %q", policy, want)
			}
		}
		if a := r.get("/assets/fallback.js"); a.code != 200 || !strings.Contains(a.header.Get("Content-Type"), "javascript") {
			t.Errorf("%d %v", a.code, a.header)
		}
		for _, path := range []string{"/assets/", "/assets/none.js", "/embed.go", "/built"} {
			if a := r.get(path); a.code == 200 {
				t.Errorf("%s: %d", path, a.code)
			}
		}
		if a := r.get("/metrics"); !strings.Contains(a.body, "murmur_node_test") || !strings.Contains(a.body, "murmur_shim_requests_total") {
			t.Error(a.body)
		}
	})
}

func TestInlineScripts(t *testing.T) {
	html := []byte(`<script src="/a.js"></script><script>go()</script>`)
	if got := inlineScripts(html); strings.Count(got, "'sha256-") != 1 {
		t.Error(got)
	}
}
