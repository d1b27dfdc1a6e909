package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-car/v2"

	"murmuration/node/archive/internal/fixture"
)

// A channel as a peer ID, and as the name that gateways give it.
const (
	channelID   = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf"
	channelName = "k51qzi5uqu5diuci8bva7narzo109juvlfbckhzf3j2ljua2979b21rs6uyquk"
)

func serve(t *testing.T, cfg Config) http.Handler {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestFiles(t *testing.T) {
	rec := fixture.New(1, 20, 5000)
	h := serve(t, Config{Blocks: rec.Blocks, Names: func(_ context.Context, channel string) (string, error) {
		if channel != channelID {
			return "", errors.New("unknown channel")
		}
		return "/ipfs/" + rec.Root.String(), nil
	}})
	for path, kind := range map[string]string{
		"index.m3u8":           "application/vnd.apple.mpegurl",
		"init.mp4":             "video/mp4",
		"segments/1-0-7.m4s":   "video/mp4",
		"segments/1-16-19.m4s": "video/mp4",
		"recording.mp4":        "video/mp4",
		"info.json":            "application/json",
	} {
		w := ask(h, "/ipfs/"+rec.Root.String()+"/"+path)
		if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), rec.Files[path]) {
			t.Errorf("%s: %d, %d bytes", path, w.Code, w.Body.Len())
		}
		for name, want := range map[string]string{
			"Content-Type": kind, "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*",
			"Cache-Control": "public, max-age=29030400, immutable", "Cross-Origin-Resource-Policy": "cross-origin",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		named := ask(h, "/ipns/"+channelName+"/"+path)
		if named.Code != 200 || !bytes.Equal(named.Body.Bytes(), rec.Files[path]) {
			t.Errorf("by name: %s: %d, %s", path, named.Code, named.Body)
		}
		if got := named.Header().Get("Cache-Control"); strings.Contains(got, "immutable") || !strings.Contains(got, "max-age=60") {
			t.Errorf("by name: kept as %q", got)
		}
	}
}

func TestPeerIDIsRedirected(t *testing.T) {
	w := ask(serve(t, Config{Blocks: fixture.Blocks{}}), "/ipns/"+channelID+"/index.m3u8")
	if w.Code != http.StatusFound || !strings.HasSuffix(w.Header().Get("Location"), "/ipns/"+channelName+"/index.m3u8") {
		t.Errorf("%d to %q", w.Code, w.Header().Get("Location"))
	}
}

func TestRanges(t *testing.T) {
	rec := fixture.New(2, 30, 4000)
	h := serve(t, Config{Blocks: rec.Blocks})
	whole := rec.Files["recording.mp4"]
	for spec, want := range map[string][]byte{
		"bytes=0-9": whole[:10], "bytes=3990-12345": whole[3990:12346], "bytes=-7": whole[len(whole)-7:],
		"bytes=100000-": whole[100000:],
	} {
		w := ask(h, "/ipfs/"+rec.Root.String()+"/recording.mp4", "Range", spec)
		if w.Code != http.StatusPartialContent || !bytes.Equal(w.Body.Bytes(), want) {
			t.Errorf("%s: %d, %d bytes", spec, w.Code, w.Body.Len())
		}
		if w.Header().Get("Content-Type") != "video/mp4" {
			t.Errorf("%s: %q", spec, w.Header().Get("Content-Type"))
		}
	}
	if w := ask(h, "/ipfs/"+rec.Root.String()+"/recording.mp4", "Range", "bytes=99999999-"); w.Code != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("beyond the end: %d", w.Code)
	}
}

func TestVerifiableAnswers(t *testing.T) {
	rec := fixture.New(3, 20, 3000)
	h := serve(t, Config{Blocks: rec.Blocks})
	for name, w := range map[string]*httptest.ResponseRecorder{
		"query":  ask(h, "/ipfs/"+rec.Root.String()+"?format=raw"),
		"accept": ask(h, "/ipfs/"+rec.Root.String(), "Accept", "application/vnd.ipld.raw"),
	} {
		if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), rec.Blocks[rec.Root]) || w.Header().Get("Content-Type") != "application/vnd.ipld.raw" {
			t.Errorf("%s: %d %s", name, w.Code, w.Header().Get("Content-Type"))
		}
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"query":  ask(h, "/ipfs/"+rec.Root.String()+"?format=car"),
		"accept": ask(h, "/ipfs/"+rec.Root.String(), "Accept", "application/vnd.ipld.car"),
	} {
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/vnd.ipld.car") {
			t.Fatalf("%s: %d %s", name, w.Code, w.Header().Get("Content-Type"))
		}
		r, err := car.NewBlockReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		got := map[cid.Cid]bool{}
		for {
			b, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got[b.Cid()] = true
		}
		if len(got) != len(rec.Blocks) || r.Roots[0] != rec.Root {
			t.Errorf("%s: %d of %d blocks, root %v", name, len(got), len(rec.Blocks), r.Roots)
		}
	}
}

// No answer lets a stranger's document act in the origin of the node's page.
func TestStrangersScripts(t *testing.T) {
	rec := fixture.New(4, 10, 100)
	h := serve(t, Config{Blocks: rec.Blocks})
	for _, path := range []string{"/page.html", "/info.json", "/", "/nothing", "?format=raw", "/recording.mp4?format=raw"} {
		w := ask(h, "/ipfs/"+rec.Root.String()+path)
		if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox;") {
			t.Errorf("%s: %d %q has policy %q", path, w.Code, w.Header().Get("Content-Type"), csp)
		}
	}
	if w := ask(h, "/ipfs/"+rec.Root.String()+"/page.html", "Service-Worker", "script"); w.Code != http.StatusBadRequest {
		t.Errorf("service worker: %d", w.Code)
	}
}

func TestRefusals(t *testing.T) {
	rec := fixture.New(5, 10, 100)
	other := fixture.New(6, 10, 100)
	h := serve(t, Config{Blocks: rec.Blocks, Names: func(context.Context, string) (string, error) {
		return "/ipns/" + channelID, nil // a loop
	}})
	for path, want := range map[string]int{
		"/":                                    http.StatusNotFound,
		"/api/v0/add":                          http.StatusNotFound,
		"/ipfs/":                               http.StatusBadRequest,
		"/ipfs/nonsense":                       http.StatusBadRequest,
		"/ipfs/" + rec.Root.String() + "/gone": http.StatusNotFound,
		"/ipfs/" + other.Root.String():         http.StatusNotFound,
		"/ipns/example.com/index.m3u8":         http.StatusNotFound, // no DNS for strangers
		"/ipns/" + channelName:                 http.StatusNotFound,
		"/ipfs/" + rec.Root.String() + "?format=tar": http.StatusOK,
	} {
		if w := ask(h, path); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/ipfs/"+rec.Root.String(), strings.NewReader("x"))
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	if w := ask(serve(t, Config{Blocks: rec.Blocks, SameOrigin: true}), "/ipfs/"+rec.Root.String()+"/info.json"); w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("others may read")
	}
	if _, err := New(Config{}); !errors.Is(err, ErrConfig) {
		t.Error(err)
	}
}

// elsewhere is a Fetcher that counts.
type elsewhere struct {
	from  fixture.Blocks
	asked map[cid.Cid]int
}

func (e *elsewhere) Blocks(_ context.Context, cids []cid.Cid) (<-chan blocks.Block, error) {
	out := make(chan blocks.Block, len(cids))
	defer close(out)
	for _, c := range cids {
		e.asked[c]++
		if data := e.from[c]; data != nil {
			b, err := blocks.NewBlockWithCid(data, c)
			if err != nil {
				return nil, err
			}
			out <- b
		}
	}
	return out, nil
}

// What is not here is fetched for players and for the node's own page, and for no other page.
func TestFetch(t *testing.T) {
	rec := fixture.New(7, 20, 300)
	far := &elsewhere{from: rec.Blocks, asked: map[cid.Cid]int{}}
	cfg := Config{Blocks: fixture.Blocks{}, Fetch: func(context.Context) Fetcher { return far }}
	path := "/ipfs/" + rec.Root.String() + "/recording.mp4"
	for name, header := range map[string][]string{
		"script":    {"Origin", "https://evil.example"},
		"null":      {"Origin", "null"},
		"image":     {"Sec-Fetch-Site", "cross-site"},
		"same site": {"Sec-Fetch-Site", "same-site"},
	} {
		if w := ask(serve(t, cfg), path, header...); w.Code != http.StatusNotFound || len(far.asked) > 0 {
			t.Errorf("%s: %d, asked for %d", name, w.Code, len(far.asked))
		}
	}
	for name, header := range map[string][]string{
		"player": nil,
		"page":   {"Origin", "http://127.0.0.1:8080", "Sec-Fetch-Site", "same-origin"},
		"typed":  {"Sec-Fetch-Site", "none"},
	} {
		clear(far.asked)
		h := serve(t, cfg)
		if w := ask(h, path, header...); w.Code != 200 || !bytes.Equal(w.Body.Bytes(), rec.Files["recording.mp4"]) {
			t.Errorf("%s: %d, %d bytes: %s", name, w.Code, w.Body.Len(), w.Body)
		}
		for c, n := range far.asked {
			if _, ok := rec.Blocks[c]; !ok || n > 1 {
				t.Errorf("%s: asked %d times for %s", name, n, c)
			}
		}
		before := len(far.asked)
		if w := ask(h, "/ipfs/"+rec.Root.String()+"/info.json", header...); w.Code != 200 {
			t.Errorf("%s: %d", name, w.Code)
		}
		if len(far.asked) != before+2 { // the file and its leaf; the directory is remembered
			t.Errorf("%s: %d more fetched", name, len(far.asked)-before)
		}
	}
	// No more than Fetches at a time: the next gets what is here.
	cfg.Fetches = 1
	inside := make(chan struct{})
	release := make(chan struct{})
	cfg.Fetch = func(ctx context.Context) Fetcher {
		close(inside)
		<-release
		return far
	}
	h := serve(t, cfg)
	first := make(chan int)
	go func() { first <- ask(h, path).Code }()
	<-inside
	if w := ask(h, path); w.Code != http.StatusNotFound {
		t.Errorf("second: %d", w.Code)
	}
	close(release)
	if code := <-first; code != 200 {
		t.Errorf("first: %d", code)
	}
}

func TestRecent(t *testing.T) {
	r := newRecent(1000)
	var cids []cid.Cid
	for i := range 20 {
		rec := fixture.New(uint64(100+i), 1, 10)
		cids = append(cids, rec.Root)
		r.put(rec.Root, make([]byte, 300))
		r.put(rec.Root, make([]byte, 300)) // twice counts once
	}
	for i, c := range cids {
		if _, ok := r.get(c); ok != (i >= 17) {
			t.Errorf("block %d: %v", i, ok)
		}
	}
	if r.bytes != 900 || len(r.order) != 3 {
		t.Errorf("%d bytes of %d blocks", r.bytes, len(r.order))
	}
}
