package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"murmuration/node/ingest"
	"murmuration/node/shim"
)

// patience bounds each wait for something that comes by real sockets, on a machine that may be busy.
const patience = 90 * time.Second

// local is a configuration on loopback with keys of its own.
func local(t *testing.T, name string) Config {
	return Config{
		Dir: filepath.Join(t.TempDir(), name), Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}, NoMDNS: true, Window: 10 * time.Second,
	}
}

// runner is what the roles have in common.
type runner interface {
	Run(context.Context) error
	Close() error
}

// run runs a participant until the returned function is called, which returns when it has ended.
func run(t *testing.T, r runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return")
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func newOrigin(t *testing.T, cfg OriginConfig) *Origin {
	t.Helper()
	o, err := NewOrigin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func newViewer(t *testing.T, link string) *Viewer {
	t.Helper()
	v, err := NewViewer(ViewerConfig{Config: local(t, "viewer"), Link: link})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// feed gives a broadcast the test picture until the returned function is called.
func feed(o *Origin) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	sink := o.newBroadcast()
	go func() {
		defer close(done)
		ingest.TestPicture{Width: 160, Height: 90, KeyInterval: 500 * time.Millisecond}.Run(ctx, sink)
	}()
	return func() { cancel(); <-done }
}

// until reads a page's events until a status pleases.
func until(t *testing.T, page, what string, pleases func(shim.Status) bool) shim.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page+"api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var last string
	scan := bufio.NewScanner(resp.Body)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		data, ok := strings.CutPrefix(scan.Text(), "data: ")
		if !ok {
			continue
		}
		last = data
		var s shim.Status
		if err := json.Unmarshal([]byte(data), &s); err != nil {
			t.Fatalf("event %q: %v", data, err)
		}
		if pleases(s) {
			return s
		}
	}
	t.Fatalf("%s did not come to pass; last: %s", what, last)
	panic("unreachable")
}

// live returns the id of the newest live broadcast with media.
func live(s shim.Status) string {
	id := ""
	for _, b := range s.Broadcasts {
		if b.State == shim.StateLive && len(b.Tracks) > 0 && b.Tracks[0].Codecs != "" {
			id = b.ID
		}
	}
	return id
}

func ended(s shim.Status, id string) bool {
	for _, b := range s.Broadcasts {
		if b.ID == id {
			return b.State == shim.StateEnded
		}
	}
	return false
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}

// TestFromTalkToTalk follows a channel from one broadcast, ended over the API, to the next.
func TestFromTalkToTalk(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0", Title: "Stage"})
	run(t, o)
	v := newViewer(t, o.Link())
	run(t, v)

	stop := feed(o)
	s := until(t, v.PageURL(), "the first talk", func(s shim.Status) bool { return live(s) != "" })
	first := live(s)
	if s.Title != "Stage" {
		t.Errorf("the viewer shows the title %q", s.Title)
	}

	for _, c := range []struct {
		token string
		want  int
	}{{"", http.StatusUnauthorized}, {"wrong", http.StatusUnauthorized}, {o.Token(), http.StatusNoContent}} {
		req, err := http.NewRequest(http.MethodDelete, o.PageURL()+"api/v1/broadcasts/"+first, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("DELETE with token %q: %s, want %d", c.token, resp.Status, c.want)
		}
	}
	stop()
	until(t, v.PageURL(), "the end of the first talk", func(s shim.Status) bool { return ended(s, first) })
	if text := get(t, v.PageURL()+"b/"+first+"/main/index.m3u8"); !strings.Contains(text, "#EXT-X-ENDLIST") {
		t.Errorf("the ended talk's playlist goes on:\n%s", text)
	}

	stop = feed(o)
	defer stop()
	s = until(t, v.PageURL(), "the second talk", func(s shim.Status) bool { return live(s) != "" && live(s) != first })
	if text := get(t, v.PageURL()+"live.m3u8"); !strings.Contains(text, "/b/"+live(s)+"/") {
		t.Errorf("live.m3u8 does not lead to the second talk:\n%s", text)
	}
}

// TestFarewell stops an origin in mid-talk: its viewers' players get the end, not silence. A second origin with the
// channel's key then goes on, and the viewer with it.
func TestFarewell(t *testing.T) {
	t.Parallel()
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"}
	o := newOrigin(t, cfg)
	stopOrigin := run(t, o)
	v := newViewer(t, o.Link())
	run(t, v)
	stopFeed := feed(o)
	first := live(until(t, v.PageURL(), "the talk", func(s shim.Status) bool { return live(s) != "" }))
	stopOrigin()
	stopFeed()
	until(t, v.PageURL(), "the end", func(s shim.Status) bool { return ended(s, first) })

	// The stand-in has the channel's key and the first one's place, so that the viewer finds it.
	cfg.Listen = nil
	for _, a := range o.shareLink().Peers[0].Addrs {
		cfg.Listen = append(cfg.Listen, a.String())
	}
	second := newOrigin(t, cfg)
	run(t, second)
	defer feed(second)()
	until(t, v.PageURL(), "the stand-in's talk", func(s shim.Status) bool { return live(s) != "" && live(s) != first })
}

// TestLinkToOneBroadcast joins a broadcast by its own name and does not go on to the next.
func TestLinkToOneBroadcast(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	run(t, o)
	stop := feed(o)
	defer stop()
	first := live(until(t, o.PageURL(), "the talk at the origin", func(s shim.Status) bool { return live(s) != "" }))
	link := o.shareLink()
	link.Broadcast = first
	v := newViewer(t, link.String())
	run(t, v)
	s := until(t, v.PageURL(), "the talk", func(s shim.Status) bool { return live(s) == first })
	if len(s.Peers) == 0 {
		t.Error("the viewer shows no neighbours")
	}
	if err := o.end(o.broadcastByID(first)); err != nil {
		t.Fatal(err)
	}
	stop()
	until(t, v.PageURL(), "its end", func(s shim.Status) bool { return ended(s, first) })
	stopSecond := feed(o)
	defer stopSecond()
	until(t, o.PageURL(), "the next talk at the origin", func(s shim.Status) bool { return live(s) != "" && live(s) != first })
	if s := v.status(); len(s.Broadcasts) != 1 {
		t.Errorf("the viewer went on to another broadcast: %+v", s.Broadcasts)
	}
}

// TestDemoMeasures runs the demo unattended.
func TestDemoMeasures(t *testing.T) {
	d, err := NewDemo(DemoConfig{Seeds: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r, err := d.Measure(t.Context(), 8*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	// A machine that is short of time makes fewer pictures, but loses none.
	if r.Published < 5 || r.Received < r.Published/2 || r.Missed > 0 || r.LatencyMS.P50 <= 0 || r.StartupMS <= 0 {
		t.Errorf("implausible figures: %+v", r)
	}
}
