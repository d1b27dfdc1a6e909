package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"murmuration/node/shim"
	"murmuration/playlist"
)

// fetch gets a URL whole. It fails on anything but 200.
func fetch(t testing.TB, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %d bytes, %v: %.200s", url, resp.Status, len(body), err, body)
	}
	return body
}

// statusAt reads the status of the participant with this page.
func statusAt(t testing.TB, page string) shim.Status {
	t.Helper()
	var status shim.Status
	if err := json.Unmarshal(fetch(t, page+"api/v1/status"), &status); err != nil {
		t.Fatal(err)
	}
	return status
}

// eventually asks again and again, forty times a second, until ask is content, and returns when that was. It may be called
// in a goroutine of its own.
func eventually(t testing.TB, within time.Duration, what string, ask func() bool) time.Time {
	t.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience * within); time.Now().Before(end); <-tick.C {
		if ask() {
			return time.Now()
		}
	}
	t.Errorf("not within %v: %s", patience*within, what)
	return time.Now()
}

// whenOver begins to watch a playlist, and returns what waits until it has ENDLIST and tells when that was.
func whenOver(t testing.TB, url string) func() time.Time {
	t.Helper()
	at := make(chan time.Time, 1)
	go func() {
		at <- eventually(t, 2*time.Minute, "ENDLIST in "+url, func() bool {
			resp, err := http.Get(url)
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			return err == nil && strings.Contains(string(text), "\n#EXT-X-ENDLIST")
		})
	}()
	return func() time.Time { return <-at }
}

// soon logs how long after a moment something came, and judges the test where that was far more than promised: figures of
// real time are a machine's as much as ours.
func soon(t testing.TB, what string, after, came time.Time, promised time.Duration) {
	t.Helper()
	took := came.Sub(after)
	t.Logf("%s: %d ms (promised %d)", what, took.Milliseconds(), promised.Milliseconds())
	if took > patience*promised {
		judge(t, what+" took "+took.String())
	}
}

// mediaPlaylist reads a media playlist, or the only one that a multivariant playlist names, and returns its address with it.
func mediaPlaylist(t testing.TB, at string) (string, *playlist.Media) {
	t.Helper()
	text := fetch(t, at)
	if strings.Contains(string(text), "#EXT-X-STREAM-INF") {
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				at = resolve(t, at, line)
			}
		}
		text = fetch(t, at)
	}
	m, err := playlist.ParseMedia(text)
	if err != nil {
		t.Fatalf("%s: %v\n%s", at, err, text)
	}
	return at, m
}

// resolve returns where a URI leads that stands in what is at base.
func resolve(t testing.TB, base, uri string) string {
	t.Helper()
	b, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u, err := b.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// fetchFirst does what a player does that is sent to the start: it fetches a playlist, the init segment and the first
// segment. It returns the playlist and how long that took.
func fetchFirst(t testing.TB, at string) (*playlist.Media, time.Duration) {
	t.Helper()
	began := time.Now()
	at, m := mediaPlaylist(t, at)
	if len(m.Segments) == 0 || m.Segments[0].URI == "" {
		t.Fatalf("%s has no segment", at)
	}
	first := m.Segments[0]
	init, media := fetch(t, resolve(t, at, first.Init)), fetch(t, resolve(t, at, first.URI))
	took := time.Since(began)
	if len(init) < 100 || len(media) < 10_000 {
		t.Errorf("%s: %d bytes of init segment, %d of media", at, len(init), len(media))
	}
	return m, took
}
