package node

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"murmuration/node/ingest"
)

// feedPrivate gives a broadcast that a program made the test picture until the returned function is called.
func feedPrivate(t *testing.T, o *Origin, id string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	sink := o.broadcastByID(id)
	go func() {
		defer close(done)
		ingest.TestPicture{Width: 160, Height: 90, KeyInterval: 500 * time.Millisecond}.Run(ctx, sink)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// told collects what a participant says to the human.
type told struct {
	mu    sync.Mutex
	lines []string
	came  chan struct{} // one token
}

func newTold() *told { return &told{came: make(chan struct{}, 1)} }

func (l *told) tell(line string) {
	l.mu.Lock()
	l.lines = append(l.lines, line)
	l.mu.Unlock()
	select {
	case l.came <- struct{}{}:
	default:
	}
}

// until waits for a line that holds text.
func (l *told) until(t *testing.T, text string) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		for _, line := range l.lines {
			if strings.Contains(line, text) {
				l.mu.Unlock()
				return line
			}
		}
		all := strings.Join(l.lines, "\n")
		l.mu.Unlock()
		select {
		case <-l.came:
		case <-deadline:
			t.Fatalf("%q was not said:\n%s", text, all)
		}
	}
}

// ask requests a path of a page with headers, and returns the answer.
func ask(t *testing.T, url string, header map[string]string) (code int, h http.Header, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if k == "Host" {
			req.Host = v
		}
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// firstPart returns the address of the newest independent part that main's playlist lists, and of its init segment.
func firstPart(t *testing.T, page, id string) (part, init string) {
	t.Helper()
	return firstPartOf(t, page, id, mainTrack)
}

func firstPartOf(t *testing.T, page, id, track string) (part, init string) {
	t.Helper()
	base := page + "b/" + id + "/" + track + "/"
	for line := range strings.Lines(get(t, base+"index.m3u8")) {
		for prefix, to := range map[string]*string{`#EXT-X-MAP:URI="`: &init, `#EXT-X-PART:`: &part} {
			if strings.HasPrefix(line, prefix) {
				_, rest, _ := strings.Cut(line, `URI="`)
				name, _, _ := strings.Cut(rest, `"`)
				*to = base + name
			}
		}
	}
	if part == "" || init == "" {
		t.Fatal("nothing listed")
	}
	return part, init
}
