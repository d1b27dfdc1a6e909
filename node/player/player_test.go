package player

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/playlist"
)

// site answers requests in place of a server, in virtual time.
type site struct {
	mu     sync.Mutex
	list   *playlist.Playlist
	answer func(path string) ([]byte, int) // media; nil: a box
	lists  func() ([]byte, int)            // overrides the list
	slow   time.Duration                   // each answer's delay
	change chan struct{}
}

func newSite() *site {
	l, err := playlist.New(playlist.Config{PartTarget: 250 * time.Millisecond})
	if err != nil {
		panic(err)
	}
	return &site{list: l, change: make(chan struct{})}
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(s.slow)
	body, code := []byte("\x00\x00\x00\x08moof"), 200
	switch {
	case strings.HasSuffix(r.URL.Path, "/live.m3u8"):
		body = playlist.Multivariant([]playlist.Variant{{URI: "low/index.m3u8", Bandwidth: 1}, {URI: "b/main/index.m3u8", Bandwidth: 2}}, nil)
	case strings.HasSuffix(r.URL.Path, ".m3u8") && s.lists != nil:
		s.mu.Lock()
		defer s.mu.Unlock()
		body, code = s.lists()
	case strings.HasSuffix(r.URL.Path, ".m3u8"):
		q, err := playlist.ParseReload(r.URL.Query())
		s.mu.Lock()
		defer s.mu.Unlock()
		for err == nil && s.list.Decide(q) == playlist.Wait {
			change := s.change
			s.mu.Unlock()
			select {
			case <-change:
				s.mu.Lock()
			case <-r.Context().Done():
				s.mu.Lock()
				return nil, r.Context().Err()
			}
		}
		body = s.list.Render(false)
	case s.answer != nil:
		body, code = s.answer(r.URL.Path)
	}
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: code, Status: strconv.Itoa(code), Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// publish pushes n parts in time, from seq on.
func (s *site) publish(seq, n int) {
	for i := seq; i < seq+n; i++ {
		at := time.Now()
		time.Sleep(250 * time.Millisecond)
		s.push(part(i, at))
	}
}

func part(i int, at time.Time) playlist.Part {
	return playlist.Part{
		Epoch: 1, Seq: uint64(i), Timescale: 1000, DecodeTime: uint64(i) * 250, Duration: 250,
		Independent: i%8 == 0, Captured: at, Init: "x", Size: 8,
	}
}

func (s *site) push(p playlist.Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.list.Push(p, time.Now()); err != nil {
		panic(err)
	}
	close(s.change)
	s.change = make(chan struct{})
}

func (s *site) with(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *site) run(ctx context.Context, cfg Config) (*Player, chan error) {
	cfg.URL, cfg.Client = "http://host/live.m3u8", &http.Client{Transport: s}
	p := New(cfg)
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return p, done
}

// TestSteady checks a steady broadcast that the player joins and leaves.
func TestSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		s.publish(0, 30)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var bodies int
		p, done := s.run(ctx, Config{Part: func(string, []byte) { bodies++ }})
		s.publish(30, 40)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		got := p.Result()
		// The last independent part at least 750 ms from the end is 24 of 0 to 29.
		if got.Received != 46 || got.Missed != 0 || got.Stalls != 0 || got.StartupMS != 0 || bodies != 46 {
			t.Errorf("%+v", got)
		}
		if got.LatencyMS != (Summary{250, 250, 250}) || got.Playhead != (Summary{1000, 1000, 1000}) && got.Playhead.P95 > 1000 {
			t.Errorf("%+v %+v", got.LatencyMS, got.Playhead)
		}
		b, err := json.Marshal(Result{Published: 1, Received: 2, Missed: 3, Stalls: 4, StartupMS: 5, LatencyMS: Summary{6, 7, 8}})
		const want = `{"published":1,"received":2,"missed":3,"stalls":4,"startup_ms":5,"latency_ms":{"p50":6,"p95":7,"max":8}}`
		if err != nil || string(b) != want {
			t.Errorf("%s", b)
		}
	})
}

// TestMissed checks what cannot be had: it is counted, and play goes on.
func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		s.answer = func(path string) ([]byte, int) {
			switch {
			case strings.Contains(path, "p-1-33."):
				return nil, 404
			case strings.Contains(path, "p-1-36."):
				return []byte("\x00\x00\x00\x09mdat"), 200 // cut off
			}
			return []byte("\x00\x00\x00\x08mdat"), 200
		}
		s.publish(0, 30)
		p, done := s.run(context.Background(), Config{})
		s.publish(30, 10)
		time.Sleep(250 * time.Millisecond)
		s.publish(41, 6) // 40 is lost
		s.with(func() { s.list.Tick(time.Now().Add(time.Second)) })
		s.publish(47, 3)
		s.push(playlist.Part{Epoch: 1, Seq: 50, Timescale: 1000, DecodeTime: 50 * 250, End: true})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := p.Result(); got.Missed != 3 || got.Received != 50-24-3 || !got.Ended {
			t.Errorf("%+v", got)
		}
	})
}

// TestStalls checks that a pause longer than the buffer is one stall of the right length.
func TestStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		s.publish(0, 30)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		p, done := s.run(ctx, Config{})
		s.publish(30, 10)
		time.Sleep(3 * time.Second)
		s.publish(40, 10)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		// 750 ms are in the buffer when a part comes, 250 of them pass until the next is due.
		if got := p.Result(); got.Stalls != 1 || got.Stalled != 2500*time.Millisecond {
			t.Errorf("%+v", got)
		}
	})
}

// TestSlowNetwork checks that start-up and latency include the way.
func TestSlowNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		s.publish(0, 30)
		s.slow = 10 * time.Millisecond
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		p, done := s.run(ctx, Config{})
		s.publish(30, 10)
		time.Sleep(100 * time.Millisecond)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		got := p.Result()
		// Two lists, the init segment, and parts 24 to 27: play begins in the last of them.
		if got.StartupMS != 70 || got.LatencyMS.P50 != 260 {
			t.Errorf("%+v", got)
		}
	})
}

// TestEndedBroadcast checks that one that has ended is read from the start to the end.
func TestEndedBroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		s.publish(0, 50)
		s.with(func() { s.list.Finish(time.Now()) })
		s.list.Tick(time.Now().Add(time.Minute))
		p, done := s.run(context.Background(), Config{})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := p.Result(); got.Received != 7 || !got.Ended || got.Missed != 0 || got.LatencyMS.Max != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestNoBlocking checks a server without blocking reloads.
func TestNoBlocking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		s.lists = func() ([]byte, int) {
			return bytes.ReplaceAll(s.list.Render(false), []byte("CAN-BLOCK-RELOAD=YES,"), nil), 200
		}
		s.publish(0, 30)
		p, done := s.run(context.Background(), Config{})
		s.publish(30, 20)
		s.with(func() { s.list.Finish(time.Now()) })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := p.Result(); got.Received != 26 || got.Missed != 0 || got.LatencyMS.Max > 1000 {
			t.Errorf("%+v", got)
		}
	})
}

// TestPatience checks when a player gives up.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		s.lists = func() ([]byte, int) { return nil, 503 }
		_, done := s.run(context.Background(), Config{Patience: 3 * time.Second})
		began := time.Now()
		if err := <-done; !errors.Is(err, ErrPlaylist) || !errors.Is(err, ErrStatus) {
			t.Error(err)
		}
		if took := time.Since(began); took < 3*time.Second || took > 4*time.Second {
			t.Error(took)
		}
		s.with(func() { s.lists = func() ([]byte, int) { return []byte("no playlist"), 200 } })
		_, done = s.run(context.Background(), Config{})
		if err := <-done; !errors.Is(err, playlist.ErrSyntax) {
			t.Error(err)
		}
	})
}

func TestSummarize(t *testing.T) {
	var d []time.Duration
	for i := range 100 {
		d = append(d, time.Duration(100-i)*time.Millisecond)
	}
	if got := Summarize(d); got != (Summary{50, 95, 100}) {
		t.Error(got)
	}
	if got := Summarize(d[:1]); got != (Summary{100, 100, 100}) {
		t.Error(got)
	}
	if got := Summarize(nil); got != (Summary{}) {
		t.Error(got)
	}
}

// TestFellBehind checks that what left the list before it was seen is counted.
func TestFellBehind(t *testing.T) {
	media := func(text string) *playlist.Media {
		m, err := playlist.ParseMedia([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=0.25\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	var c cursor
	m := media("#EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-PART:DURATION=0.25,URI=\"a\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.25,URI=\"b\"\n")
	c.begin(m, 0)
	if got := c.take(m); len(got) != 2 {
		t.Fatal(got)
	}
	if msn, part := c.next(m); msn != 5 || part != 2 {
		t.Error(msn, part)
	}
	got := c.take(media("#EXT-X-MEDIA-SEQUENCE:5\n#EXTINF:2,\ns5\n#EXTINF:2,\ns6\n"))
	if len(got) != 1 || got[0].uri != "s6" || c.lost != 1 {
		t.Error(got, c.lost)
	}
	got = c.take(media("#EXT-X-MEDIA-SEQUENCE:9\n#EXTINF:2,\ns9\n"))
	if len(got) != 1 || c.lost != 1+16 {
		t.Error(got, c.lost)
	}
	if fmt.Sprint(c.msn, c.part) != "10 0" {
		t.Error(c)
	}
}
