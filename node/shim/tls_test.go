package shim

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/node/internal/pipes"
)

// farewell is longer than TLS waits for its last word to be read (5 s in crypto/tls).
const farewell = 6 * time.Second

// newTLSRig is newRig with a certificate of the authority, and a client that trusts it.
func newTLSRig(t *testing.T, a *authority, cfg Config) *rig {
	t.Helper()
	cfg.TLSCert, cfg.TLSKey = a.certFile, a.keyFile
	r := newRig(t, cfg)
	tr := r.client.Transport.(*http.Transport)
	tr.TLSClientConfig = &tls.Config{RootCAs: a.trust}
	tr.ForceAttemptHTTP2 = true
	stop := r.stop
	r.stop = func() {
		stop()
		// Two ends of a pipe that close at once wait for each other to read their closing alerts. The bubble's clock stands
		// still once its first goroutine has ended, so they would wait for ever.
		time.Sleep(farewell)
	}
	return r
}

// TestTLS plays by HTTP/2: what players ask for, and who may ask.
func TestTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.issue(100*time.Hour, "venue.example", "*.stage.example")
		r := newTLSRig(t, a, Config{Token: "secret", AllowHosts: []string{"other.example"}})
		defer r.stop()
		r.Handle("POST /api/v1/stop", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		if r.URL() != "https://127.0.0.1:8480/" {
			t.Errorf("page %s", r.URL())
		}
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 19)
		const list, status, stop = "/b/talk/main/index.m3u8", "/api/v1/status", "/api/v1/stop"

		res, err := r.client.Get(r.base + list)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.ProtoMajor != 2 || res.TLS.NegotiatedProtocol != "h2" || res.TLS.Version < tls.VersionTLS12 {
			t.Errorf("%s, ALPN %q", res.Proto, res.TLS.NegotiatedProtocol)
		}
		for _, c := range []struct {
			method, path string
			header       []string
			code         int
		}{
			{"GET", list, []string{"Host", "venue.example"}, 200},
			{"GET", list, []string{"Host", "VENUE.example:8480"}, 200},
			{"GET", list, []string{"Host", "main.stage.example"}, 200},
			{"GET", list, []string{"Host", "other.example"}, 200},
			{"GET", list, []string{"Host", "evil.example"}, 403},
			{"GET", list, []string{"Host", "venue.example.evil.example"}, 403},
			{"GET", list, []string{"Host", "10.0.0.1:8480"}, 403},
			{"GET", list, []string{"Origin", "https://evil.example"}, 200},
			{"GET", status, []string{"Origin", "https://127.0.0.1:8480"}, 200},
			{"GET", status, []string{"Host", "venue.example", "Origin", "https://venue.example"}, 200},
			{"GET", status, []string{"Origin", "http://127.0.0.1:8480"}, 403}, // could be anybody's on the way
			{"GET", status, []string{"Origin", "https://evil.example"}, 403},
			{"POST", stop, nil, 401},
			{"POST", stop, []string{"Authorization", "Bearer secret"}, 204},
			{"POST", stop, []string{"Authorization", "Bearer secret", "Origin", "https://evil.example"}, 403},
		} {
			if a := r.do(context.Background(), c.method, c.path, c.header...); a.code != c.code {
				t.Errorf("%s %s %v: %d, want %d", c.method, c.path, c.header, a.code, c.code)
			}
		}

		wait := func(path string) <-chan answer {
			ch := make(chan answer, 1)
			go func() { ch <- r.get(path) }()
			synctest.Wait()
			return ch
		}
		reload, hint := wait(list+"?_HLS_msn=2&_HLS_part=3"), wait("/b/talk/main/p-7-19.m4s")
		r.publish(b, o, 1)
		if a := <-reload; a.code != 200 || a.took != 250*time.Millisecond || !strings.Contains(a.body, "p-7-19.m4s") {
			t.Errorf("blocking reload: %+v", a)
		}
		if a := <-hint; a.code != 200 || a.took != 250*time.Millisecond || len(a.body) != 1019 {
			t.Errorf("hinted part: %d after %v", a.code, a.took)
		}
		if a := r.get(list + "?_HLS_msn=2&_HLS_part=4"); a.code != 503 || a.took != 6*time.Second {
			t.Errorf("held too long: %d after %v", a.code, a.took)
		}
		if a := r.get("/b/talk/main/p-7-19.m4s", "Range", "bytes=10-19"); a.code != 206 || len(a.body) != 10 || a.header.Get("Content-Range") != "bytes 10-19/1019" {
			t.Errorf("range: %d, %v", a.code, a.header)
		}
	})
}

// TestTLSEvents wants server-sent events and /live.mp4 to outlive the time that one answer has otherwise.
func TestTLSEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.issue(100 * time.Hour)
		r := newTLSRig(t, a, Config{})
		defer r.stop()
		b, o := r.open("talk"), newOrigin("talk")
		r.publish(b, o, 19)
		follow := func(path string, piece int) (count func() int, end func()) {
			res, err := r.client.Get(r.base + path)
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			n := 0
			go func() {
				for buf := make([]byte, 1<<16); ; {
					got, err := res.Body.Read(buf)
					mu.Lock()
					if n += got; piece == 0 {
						n += bytes.Count(buf[:got], []byte("event: status")) - got
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			}()
			return func() int { mu.Lock(); defer mu.Unlock(); return n }, func() { _ = res.Body.Close() }
		}
		events, endEvents := follow("/api/v1/events", 0)
		defer endEvents()
		live, endLive := follow("/live.mp4", 1)
		defer endLive()
		r.publish(b, o, 400) // 100 s
		synctest.Wait()
		if n := events(); n < 100 {
			t.Errorf("%d events in 100 s", n)
		}
		if n := live(); n < 400*1000 {
			t.Errorf("/live.mp4: %d bytes in 100 s", n)
		}
	})
}

// TestTLSOthers: HTTP/1.1 goes on, old TLS does not, and who speaks no TLS is told so.
func TestTLSOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.issue(100 * time.Hour)
		r := newTLSRig(t, a, Config{})
		defer r.stop()
		dial := r.listener.(*pipes.Listener).Dial
		connect := func() net.Conn {
			conn, err := dial(context.Background(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
		plain := connect()
		go func() { _, _ = io.WriteString(plain, "GET / HTTP/1.1\r\nHost: 127.0.0.1:8480\r\n\r\n") }()
		res, err := http.ReadResponse(bufio.NewReader(plain), nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "HTTP request to an HTTPS server") {
			t.Errorf("plain HTTP: %s: %s", res.Status, text)
		}
		_ = plain.Close()

		old := tls.Client(connect(), &tls.Config{RootCAs: a.trust, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
		if err := old.Handshake(); err == nil {
			t.Error("TLS 1.1 is taken")
		}
		_ = old.Close()

		tr := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: a.trust, NextProtos: []string{"http/1.1"}}}
		defer tr.CloseIdleConnections()
		one, err := (&http.Client{Transport: tr}).Get(r.base + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = one.Body.Close()
		if one.ProtoMajor != 1 || one.StatusCode != http.StatusOK {
			t.Errorf("%s %s", one.Proto, one.Status)
		}
	})
}

// TestTLSStalled: a client that takes nothing is let go of, the whole connection's requests with it, and a client that
// leaves one answer lying has its others.
func TestTLSStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		a.issue(100 * time.Hour)
		r := newTLSRig(t, a, Config{})
		defer r.stop()
		took := make(chan time.Duration, 20)
		r.Handle("GET /much/{way}", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			began, much := time.Now(), make([]byte, 8<<20)
			if req.PathValue("way") == "once" {
				_, _ = w.Write(much)
			} else if (&liveWriter{w: w, control: http.NewResponseController(w)}).write(much) {
				t.Error("all of it went out")
			}
			took <- time.Since(began)
		}))
		// One stream's window is full, the connection's is not.
		tr := r.client.Transport.(*http.Transport)
		tr.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 128 << 10}
		for way, want := range map[string]time.Duration{"once": writeTimeout, "live": liveWrite} {
			res, err := r.client.Get(r.base + "/much/" + way)
			if err != nil {
				t.Fatal(err)
			}
			if a := r.get("/healthz"); a.code != 200 || a.took != 0 {
				t.Errorf("beside it: %d after %v", a.code, a.took)
			}
			if d := <-took; d != want {
				t.Errorf("%s: held for %v, want %v", way, d, want)
			}
			_ = res.Body.Close()
		}
		// Nothing is read from the socket any more.
		gate, dead := make(chan struct{}), make(chan struct{})
		dial := tr.DialContext
		stuck := tr.Clone()
		stuck.HTTP2 = nil
		stuck.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			return gated{c, gate, dead}, err
		}
		client := &http.Client{Transport: stuck}
		res, err := client.Get(r.base + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		synctest.Wait()
		close(gate)
		for range 10 {
			go func() {
				if res, err := client.Get(r.base + "/much/once"); err == nil {
					_ = res.Body.Close()
				}
			}()
		}
		for range 10 {
			if d := <-took; d != stallTimeout+5*time.Second { // which crypto/tls takes for its farewell
				t.Errorf("held for %v by a client that reads nothing", d)
			}
		}
		close(dead)
		synctest.Wait()
		stuck.CloseIdleConnections()
	})
}

// gated is a connection that nothing is read from once gate is closed, until dead is.
type gated struct {
	net.Conn
	gate, dead chan struct{}
}

func (g gated) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	select {
	case <-g.gate:
		<-g.dead
		return 0, net.ErrClosed
	default:
	}
	return n, err
}
