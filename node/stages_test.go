package node

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/node/shim"
)

// encoder pushes a small picture with ffmpeg until the returned function is called or it ends by itself. The second
// function waits for that.
func encoder(t *testing.T, server, key string) (stop, wait func()) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	var said bytes.Buffer
	cmd := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=20",
		"-f", "lavfi", "-i", "sine=sample_rate=48000", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "20",
		"-c:a", "aac", "-b:a", "48k", "-f", "flv", server+"/"+key)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	stop = sync.OnceFunc(func() {
		cmd.Process.Kill() // as a network breaks: an encoder that stops of its own will ends the broadcast
		<-done
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("ffmpeg to %s: %s", key, &said)
		}
	})
	return stop, func() {
		t.Helper()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("ffmpeg goes on")
		}
	}
}

// hearer is a receiver of webhooks behind a real socket, that lets the test wait for events.
type hearer struct {
	*httptest.Server
	mu     sync.Mutex
	events []string // BROADCAST EVENT
	bodies [][]byte
	signed []string
	more   chan struct{}
}

func newHearer(t *testing.T) *hearer {
	h := &hearer{more: make(chan struct{})}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var e webhookEvent
		if err := decodeStrictly(body, &e); err != nil {
			t.Error(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events, h.bodies = append(h.events, e.Broadcast.ID+" "+e.Event), append(h.bodies, body)
		h.signed = append(h.signed, r.Header.Get("Murmur-Signature"))
		close(h.more)
		h.more = make(chan struct{})
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(h.Close)
	return h
}

// of returns the events of a broadcast once there are n.
func (h *hearer) of(t *testing.T, id string, n int) []string {
	t.Helper()
	late := time.After(patience)
	for {
		h.mu.Lock()
		var list []string
		for _, e := range h.events {
			if event, ok := strings.CutPrefix(e, id+" "); ok {
				list = append(list, event)
			}
		}
		more := h.more
		h.mu.Unlock()
		if len(list) >= n {
			return list
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("webhooks of %s: only %v", id, list)
		}
	}
}

func liveIDs(s shim.Status) (ids []string) {
	for _, b := range s.Broadcasts {
		if b.State == shim.StateLive && len(b.Tracks) > 0 && b.Tracks[0].Codecs != "" {
			ids = append(ids, b.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// TestTwoStages has two encoders at one origin at once: a standing key's and a talk's of its own. Both are on at a seed,
// each goes on across a break of its feed, a title changes in flight, and what comes after the end depends on the key.
func TestTwoStages(t *testing.T) {
	t.Parallel()
	hooks := newHearer(t)
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0", Title: "Conference", Webhooks: []string{hooks.URL}, WebhookSecret: "s"}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Dir, "keys"), []byte("# stages\nstage-two-key Stage two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o, c := apiOrigin(t, cfg)
	seed, err := NewSeed(SeedConfig{Config: local(t, "seed"), Links: []string{o.Link()}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, seed)
	server, _ := o.RTMP()

	talk := c.do("POST", "broadcasts", `{"title":"Keynote","grace_s":20}`, 201)
	stopTalk, _ := encoder(t, server, talk.Key)
	stopStage, waitStage := encoder(t, server, "stage-two-key")
	_, wrong := encoder(t, server, "not-a-key-of-ours")
	wrong()
	both := liveIDs(until(t, seed.PageURL(), "both stages at the seed", func(s shim.Status) bool { return len(liveIDs(s)) == 2 }))
	if !slices.Contains(both, talk.ID) {
		t.Fatalf("live are %v, not %s", both, talk.ID)
	}
	stage := both[0]
	if stage == talk.ID {
		stage = both[1]
	}
	if b := c.do("GET", "broadcasts/"+stage, "", 200); b.Title != "Stage two" || !b.Standing || b.Key != "stage-two-key" || b.State != "live" || !b.Feed {
		t.Errorf("%+v", b)
	}
	for _, id := range both {
		if text := get(t, seed.PageURL()+"b/"+id+"/main/index.m3u8"); !strings.Contains(text, "#EXT-X-PART:") {
			t.Errorf("%s does not play at the seed:\n%s", id, text)
		}
	}
	c.do("PATCH", "broadcasts/"+talk.ID, `{"title":"Closing keynote"}`, 200)
	until(t, seed.PageURL(), "the new title at the seed", func(s shim.Status) bool {
		return slices.ContainsFunc(s.Broadcasts, func(b shim.BroadcastStatus) bool { return b.ID == talk.ID && b.Title == "Closing keynote" })
	})

	// The talk's encoder breaks off and returns: the same broadcast goes on.
	stopTalk()
	until(t, o.PageURL(), "the break", func(shim.Status) bool { return !c.anonymous(talk.ID).Feed })
	count := chunksOf(o, talk.ID)
	stopTalk, _ = encoder(t, server, talk.Key)
	until(t, o.PageURL(), "the talk's going on", func(shim.Status) bool { return chunksOf(o, talk.ID) > count && c.anonymous(talk.ID).Feed })

	// The stage is ended by program while its encoder goes on: the encoder is sent away.
	c.do("DELETE", "broadcasts/"+stage, "", 204)
	waitStage()
	stopStage()
	// It comes again: the next talk begins by itself.
	stopStage, _ = encoder(t, server, "stage-two-key")
	next := ""
	until(t, seed.PageURL(), "the stage's next talk", func(s shim.Status) bool {
		for _, id := range liveIDs(s) {
			if id != talk.ID && id != stage {
				next = id
			}
		}
		return next != ""
	})
	if b := c.do("GET", "broadcasts/"+next, "", 200); b.Title != "Stage two" {
		t.Errorf("%+v", b)
	}

	// The talk's own key is void once the talk is over.
	stopTalk()
	c.do("DELETE", "broadcasts/"+talk.ID, "", 204)
	_, refused := encoder(t, server, talk.Key)
	refused()
	if n := len(c.list("")); n != 3 {
		t.Errorf("%d broadcasts, want 3", n)
	}
	stopStage()

	for id, want := range map[string][]string{
		talk.ID: {"start", "live", "end", "recording"}, stage: {"start", "live", "end", "recording"}, next: {"start", "live"},
	} {
		if got := hooks.of(t, id, len(want)); !slices.Equal(got, want) {
			t.Errorf("webhooks of %s: %v, want %v", id, got, want)
		}
	}
	hooks.mu.Lock()
	defer hooks.mu.Unlock()
	for i, body := range hooks.bodies {
		c.about.validate(t, "/components/schemas/Event", body)
		if bytes.Contains(body, []byte(talk.Key)) || bytes.Contains(body, []byte("stage-two-key")) {
			t.Errorf("a webhook tells a stream key: %s", body)
		}
		if !strings.HasPrefix(hooks.signed[i], "t=") {
			t.Errorf("not signed: %q", hooks.signed[i])
		}
	}
}

func chunksOf(o *Origin, id string) int {
	n := 0
	for _, t := range o.mesh.Status().Tracks {
		if t.ID.Broadcast == id {
			n += int(t.Published)
		}
	}
	return n
}

// TestGrace: the broadcast's own, not the origin's, and counted from the encoder's leaving.
func TestGrace(t *testing.T) {
	t.Parallel()
	hooks := newHearer(t)
	o, c := apiOrigin(t, OriginConfig{Grace: time.Hour, Webhooks: []string{hooks.URL}})
	server, key := o.RTMP()
	b := c.do("POST", "broadcasts", `{"grace_s":0.2,"key":"`+key+`","title":"On the printed key"}`, 201)
	if !b.Standing {
		t.Errorf("%+v", b)
	}
	stop, _ := encoder(t, server, key)
	until(t, o.PageURL(), "it on air", func(shim.Status) bool { return c.anonymous(b.ID).State == "live" })
	stop()
	if got := hooks.of(t, b.ID, 4); !slices.Equal(got, []string{"start", "live", "end", "recording"}) {
		t.Errorf("webhooks: %v", got)
	}
	if got := c.anonymous(b.ID); got.State != "ended" || got.Feed || got.Ended.Before(*got.Started) {
		t.Errorf("%+v", got)
	}
}

// TestHooks: the recording has each chunk before it is published, its troubles do not touch the broadcast, and it learns
// of the end once.
func TestHooks(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	var mu sync.Mutex
	kept, failed, finished := 0, 0, 0
	var early bool
	o.prepare = func(b *broadcast) {
		b.record = func(c envelope.Chunk) error {
			mu.Lock()
			defer mu.Unlock()
			kept++
			early = early || chunksOf(o, c.Broadcast) >= kept
			if kept%3 == 1 {
				failed++
				return io.ErrShortWrite
			}
			return nil
		}
		b.finished = func(*broadcast) {
			mu.Lock()
			defer mu.Unlock()
			finished++
		}
	}
	stopOrigin := run(t, o)
	stop := feed(o)
	id := live(until(t, o.PageURL(), "the talk", func(s shim.Status) bool { return live(s) != "" && chunksOf(o, live(s)) > 8 }))
	b := o.broadcastByID(id)
	for range 2 {
		if err := o.end(b); err != nil {
			t.Error(err)
		}
	}
	stop()
	stopOrigin()
	mu.Lock()
	defer mu.Unlock()
	if n := chunksOf(o, id); kept < 8 || failed < 2 || finished != 1 || early {
		t.Errorf("%d chunks kept, %d failed, %d published, finished %d times, published before kept: %v", kept, failed, n, finished, early)
	}
}
