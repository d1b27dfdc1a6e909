package node

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"murmuration/node/shim"
)

// segments returns what a playlist of a recording leads to: its init segment and segments, in order.
func segments(t *testing.T, page, id string) (list string, media []string) {
	t.Helper()
	base := page + "b/" + id + "/main/"
	list = get(t, base+"index.m3u8")
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if uri, ok := strings.CutPrefix(line, `#EXT-X-MAP:URI="`); ok {
			media = append(media, get(t, base+strings.TrimSuffix(uri, `"`)))
		} else if line != "" && !strings.HasPrefix(line, "#") {
			media = append(media, get(t, base+line))
		}
	}
	return list, media
}

// TestRecordedAtTheSameAddress: a broadcast that has left the memory is played from the archive at its old address, at the
// origin, at a seed that was there and at one that came later and fetched it: the same bytes.
func TestRecordedAtTheSameAddress(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	run(t, o)
	id := record(t, o)
	o.broadcastByID(id).hide()
	if s := o.shim.Status(); len(s.Broadcasts) != 0 {
		t.Fatalf("still in memory: %+v", s.Broadcasts)
	}
	list, media := segments(t, o.PageURL(), id)
	if !strings.Contains(list, "#EXT-X-ENDLIST") || len(media) < 3 {
		t.Errorf("%d segments:\n%s", len(media), list)
	}
	cfg := local(t, "seed")
	seed, err := NewSeed(SeedConfig{Config: cfg, Links: []string{o.Link()}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, seed)
	until(t, seed.PageURL(), "the recording", func(s shim.Status) bool { return finished(s, id) })
	list2, media2 := segments(t, seed.PageURL(), id)
	if list2 != list || strings.Join(media2, "") != strings.Join(media, "") {
		t.Errorf("the seed that fetched it plays something else: %d segments for %d\n%s\n%s", len(media2), len(media), list2, list)
	}
	if code := statusOf(t, seed.PageURL()+"b/"+id+"/main/"+path.Base("s-1-0-9.m4s")); code != http.StatusNotFound {
		t.Errorf("a segment that there is not: %d", code)
	}
}

// TestUnknownBroadcasts: thousands of requests for ids that nobody knows open nothing.
func TestUnknownBroadcasts(t *testing.T) { // not in parallel: goroutines are counted
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	run(t, o)
	id := record(t, o)
	o.broadcastByID(id).hide()
	before := runtime.NumGoroutine()
	began := time.Now()
	const askers, each = 8, 500
	var work sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: askers}}
	defer client.CloseIdleConnections()
	for a := range askers {
		work.Go(func() {
			for n := range each {
				resp, err := client.Get(fmt.Sprintf("%sb/%04d%04d/index.m3u8", o.PageURL(), a, n))
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body) //nolint:errcheck // the status counts
				resp.Body.Close()
				if resp.StatusCode != http.StatusNotFound {
					t.Errorf("%s", resp.Status)
				}
			}
		})
	}
	work.Wait()
	t.Logf("%d requests in %v", askers*each, time.Since(began))
	o.mu.Lock()
	opened := len(o.opened)
	o.mu.Unlock()
	client.CloseIdleConnections()
	if more := runtime.NumGoroutine() - before; opened != 0 || len(o.shim.Status().Broadcasts) != 0 || more > 3*askers {
		t.Errorf("%d recordings opened, %d more goroutines", opened, more)
	}
	if code := statusOf(t, o.PageURL()+"b/"+id+"/index.m3u8"); code != http.StatusOK {
		t.Errorf("the one that is there: %d", code)
	}
}
