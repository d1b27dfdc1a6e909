package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
)

// kills is how often each crash test kills its program: MURMUR_KILLS, or a few times.
func kills(t testing.TB) int {
	text := os.Getenv("MURMUR_KILLS")
	if text == "" {
		return 3
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("MURMUR_KILLS=%q is no number of kills", text)
	}
	return n
}

// witness is a viewer inside the test. It remembers each chunk that it got, its signature and hashes verified: what it
// remembers must be in the recording, whatever happens to those who keep that.
type witness struct {
	node *mesh.Node

	mu      sync.Mutex
	got     map[archive.Key]map[envelope.ID]cid.Cid // envelopes
	count   int
	changed chan struct{} // closed and replaced at every chunk
}

// newWitness makes a viewer of what a link leads to, that never speaks with the peers to avoid.
func newWitness(t testing.TB, link string, avoid ...peer.ID) *witness {
	t.Helper()
	l, err := mesh.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{got: map[archive.Key]map[envelope.ID]cid.Cid{}, changed: make(chan struct{})}
	w.node, err = mesh.New(mesh.Config{Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}, Avoid: avoid, NoExchange: len(avoid) > 0})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.node.Close() })
	feed, err := w.node.Follow(l.Channel)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			rec, err := feed.Next(t.Context())
			if err != nil {
				return
			}
			for _, b := range rec.Live() {
				if err := w.join(t.Context(), archive.Key{Channel: l.Channel, Broadcast: b.ID}); err != nil {
					t.Errorf("joining %s: %v", b.ID, err)
				}
			}
		}
	}()
	w.connect(t, link)
	return w
}

// connect leads the witness to the peers of a link.
func (w *witness) connect(t testing.TB, link string) {
	t.Helper()
	l, err := mesh.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.Peers { // it may not have noticed yet that the connection is dead
		w.node.Host().Network().ClosePeer(p.ID) //nolint:errcheck // it is, then
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience*10*time.Second)
	defer cancel()
	if err := w.node.Connect(ctx, l.Peers); err != nil {
		t.Logf("connecting: %v", err)
	}
}

func (w *witness) join(ctx context.Context, key archive.Key) error {
	w.mu.Lock()
	joined := w.got[key] != nil
	if !joined {
		w.got[key] = map[envelope.ID]cid.Cid{}
	}
	w.mu.Unlock()
	if joined {
		return nil
	}
	track, err := w.node.Join(mesh.TrackID{Channel: key.Channel, Broadcast: key.Broadcast, Track: "main"}, mesh.JoinConfig{})
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := track.Next(ctx)
			if err != nil {
				return
			}
			w.mu.Lock()
			w.got[key][c.ID()] = envelope.CID(c.Raw)
			w.count++
			close(w.changed)
			w.changed = make(chan struct{})
			w.mu.Unlock()
		}
	}()
	return nil
}

// more waits until the witness has got n chunks more than it has now, from those programs.
func (w *witness) more(t testing.TB, n int, from ...*crasher) {
	t.Helper()
	late := time.After(patience * 20 * time.Second)
	w.mu.Lock()
	want := w.count + n
	for w.count < want {
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-late:
			t.Logf("the viewer: %+v", w.node.Status())
			for _, c := range from {
				t.Logf("the %s: %s", c.role, c.status())
			}
			t.Fatal("no chunks reach the viewer")
		}
		w.mu.Lock()
	}
	w.mu.Unlock()
}

// acknowledged returns how many chunks the witness has got, and of which broadcasts.
func (w *witness) acknowledged() (chunks int, of []archive.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, got := range w.got {
		if len(got) > 0 {
			of = append(of, key)
		}
	}
	return w.count, of
}

// missing returns what the witness has got and a folder of recordings does not have, read as it lies on disk. Every block
// is read and its hash checked.
func (w *witness) missing(t testing.TB, dir string) []string {
	t.Helper()
	w.mu.Lock()
	got := make(map[archive.Key]map[envelope.ID]cid.Cid, len(w.got))
	for key, chunks := range w.got {
		got[key] = make(map[envelope.ID]cid.Cid, len(chunks))
		for id, c := range chunks {
			got[key][id] = c
		}
	}
	w.mu.Unlock()
	store, err := archive.Open(archive.Config{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var missing []string
	for key, chunks := range got {
		var track *archive.Track
		if rec, ok := store.Lookup(key); ok {
			track, _ = rec.Track("main")
		}
		for id, c := range chunks {
			if track != nil {
				if have, ok := track.Chunk(id); ok && envelope.CID(have.Raw) == c {
					continue
				}
			}
			missing = append(missing, fmt.Sprintf("%s %v", key.Broadcast, id))
		}
	}
	return missing
}

// verify checks every hash and signature of a folder's recordings, and that they are finished.
func verify(t testing.TB, dir string) []archive.Info {
	t.Helper()
	store, err := archive.Open(archive.Config{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	list := store.List()
	for _, i := range list {
		rec, ok := store.Lookup(i.Key)
		if !ok || i.State != archive.Finished {
			t.Errorf("recording %s is %s", i.Key.Broadcast, i.State)
			continue
		}
		rep, err := rec.Verify(t.Context(), nil)
		if err != nil || !rep.OK() {
			t.Errorf("recording %s: %+v, %v", i.Key.Broadcast, rep, err)
		}
	}
	return list
}

// crasher is a program that is killed and started again, always with the same folder. Mostly it has the same port, as
// origins and seeds do: what its peers send on the dead connection then tells them at once (RFC 9000, 10.3).
type crasher struct {
	t    testing.TB
	role string
	dir  string
	args []string
	rng  *rand.Rand

	now    *process
	listen string // its address, the same after each start
	link   string // what it shares
	kills  int
}

func newCrasher(t testing.TB, role string, args ...string) *crasher {
	seed := rand.Uint64()
	t.Logf("random moments from %d", seed)
	return &crasher{t: t, role: role, dir: filepath.Join(t.TempDir(), role), args: args, listen: anyPort, rng: rand.New(rand.NewPCG(seed, 0))}
}

const anyPort = "/ip4/127.0.0.1/udp/0/quic-v1"

// recordings is where the program keeps them.
func (c *crasher) recordings() string { return filepath.Join(c.dir, "recordings") }

// upTo returns a random duration.
func (c *crasher) upTo(d time.Duration) time.Duration { return time.Duration(c.rng.Int64N(int64(d))) }

func (c *crasher) launch() {
	c.t.Helper()
	args := append([]string{
		c.role, "-v", "--no-mdns", "--dht", "off", "--dir", c.dir, "--listen", c.listen, "--http", "127.0.0.1:0",
	}, c.args...)
	c.now = start(c.t, c.role, murmur, args...)
}

// start starts the program, and now and again kills it while it starts.
func (c *crasher) start() {
	c.t.Helper()
	c.launch()
	if c.kills > 0 && c.rng.IntN(5) == 0 {
		time.Sleep(c.upTo(400 * time.Millisecond))
		c.kill()
		c.launch()
	}
	c.link = c.now.expect(c.t, 15*time.Second, `^share .*'?(murmur://[^' ]+)`)
	if c.rng.IntN(8) == 0 {
		c.listen = anyPort
		return
	}
	_, addr, _ := strings.Cut(c.link, "?p=")
	c.listen, _, _ = strings.Cut(addr, "/p2p/")
}

// finishes waits until the recording of a broadcast is finished, by this run or by one that was killed right after.
func (c *crasher) finishes(t testing.TB, id string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		for _, r := range listRecordings(t, c.dir) {
			if r.Broadcast == id && r.State == "finished" {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the recording of %s is not finished:\n%s", id, c.now.output())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// status returns what the program's page knows.
func (c *crasher) status() string {
	page := c.now.expect(c.t, time.Second, `^page +(http://\S+)`)
	resp, err := http.Get(page + "api/v1/status")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (c *crasher) kill() {
	c.now.stop(syscall.SIGKILL)
	c.kills++
}

// encode starts ffmpeg pushing a small picture with sound by RTMP.
func (c *crasher) encode() *process {
	c.t.Helper()
	server := c.now.expect(c.t, time.Second, `^encoder +server (\S+)`)
	key := c.now.expect(c.t, time.Second, `stream key (\S+)$`)
	return start(c.t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25",
		"-f", "lavfi", "-i", "sine=sample_rate=48000", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25",
		"-c:a", "aac", "-b:a", "64k", "-f", "flv", server+"/"+key)
}

// TestOriginKilled kills an origin in the middle of a broadcast that ffmpeg feeds. The broadcast goes on each time, and
// whatever a viewer has got of it is in the recording.
func TestOriginKilled(t *testing.T) {
	t.Parallel() // with the other tests that need little of the machine
	o := newCrasher(t, "origin", "--rtmp", "127.0.0.1:0", "--grace", "5m")
	o.start()
	w := newWitness(t, o.link)
	lost := 0
	for o.kills < kills(t) {
		encoder := o.encode()
		if o.kills == 0 || o.rng.IntN(5) > 0 {
			w.more(t, 1, o)
		}
		time.Sleep(o.upTo(1500 * time.Millisecond))
		o.kill()
		encoder.stop(syscall.SIGKILL)
		o.start()
		if missing := w.missing(t, o.recordings()); len(missing) > 0 {
			lost += len(missing)
			t.Errorf("kill %d: lost %v", o.kills, missing)
		}
		w.connect(t, o.link)
	}
	o.encode()
	w.more(t, 4, o)
	if err := o.now.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the origin's end: %v", err)
	}
	chunks, of := w.acknowledged()
	missing := w.missing(t, o.recordings())
	t.Logf("origin, RTMP: %d kills, %d chunks acknowledged by a viewer, %d found in the recording, %d lost",
		o.kills, chunks, chunks-len(missing), lost+len(missing))
	if len(missing) > 0 {
		t.Errorf("lost at the end: %v", missing)
	}
	list := verify(t, o.recordings())
	if len(of) != 1 || len(list) != 1 {
		t.Errorf("%d broadcasts and %d recordings instead of one: %v", len(of), len(list), of)
	}
	out, _ := output(t, 30*time.Second, murmur, "recordings", "--recordings", o.recordings(), "verify")
	t.Log(strings.TrimSpace(out))
	mp4s(t, o.recordings(), 1)
}

// mp4s wants each recording to be so many MP4s.
func mp4s(t testing.TB, dir string, want int) {
	t.Helper()
	store, err := archive.Open(archive.Config{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, i := range store.List() {
		rec, _ := store.Lookup(i.Key)
		view, err := rec.View(t.Context())
		if err != nil {
			t.Errorf("%s: %v", i.Key.Broadcast, err)
			continue
		}
		for _, track := range view.Info.Tracks {
			if len(track.Recordings) != want {
				t.Errorf("%s: %d MP4s, want %d: %+v", i.Key.Broadcast, len(track.Recordings), want, track.Recordings)
			}
		}
	}
}

// TestInputKilled kills an origin whose feed does not return, in the middle of the broadcast or while it finishes the
// recording: the next start finishes it, with all that a viewer has got.
func TestInputKilled(t *testing.T) {
	t.Parallel() // with the other tests that need little of the machine
	o := newCrasher(t, "origin", "--input", "test")
	o.start()
	w := newWitness(t, o.link)
	lost := 0
	for o.kills < max(1, kills(t)/10) {
		w.more(t, 4, o)
		_, before := w.acknowledged()
		time.Sleep(o.upTo(time.Second))
		if o.rng.IntN(2) == 0 {
			o.now.cmd.Process.Signal(syscall.SIGTERM)
			time.Sleep(o.upTo(500 * time.Millisecond))
		}
		o.kill()
		o.start()
		missing := w.missing(t, o.recordings())
		lost += len(missing)
		if len(missing) > 0 {
			t.Errorf("kill %d: lost %v", o.kills, missing)
		}
		o.finishes(t, newestOf(before))
		w.connect(t, o.link)
	}
	w.more(t, 4, o)
	if err := o.now.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the origin's end: %v", err)
	}
	chunks, of := w.acknowledged()
	missing := w.missing(t, o.recordings())
	list := verify(t, o.recordings())
	t.Logf("origin, input: %d kills, %d chunks acknowledged by a viewer of %d broadcasts, %d found in %d finished recordings, %d lost",
		o.kills, chunks, len(of), chunks-len(missing), len(list), lost+len(missing))
	if len(missing) > 0 {
		t.Errorf("lost at the end: %v", missing)
	}
}

// newestOf returns the id of the broadcast that began last.
func newestOf(keys []archive.Key) (id string) {
	for _, k := range keys {
		id = max(id, k.Broadcast)
	}
	return id
}

// TestSeedKilled kills a seed whose viewer knows nobody else. A seed passes a chunk's fragments on before it has the whole
// chunk, so the very last may have reached the viewer and not the disk: the seed fetches them from the origin.
func TestSeedKilled(t *testing.T) {
	t.Parallel() // with the other tests that need little of the machine
	origin := newCrasher(t, "origin", "--input", "test")
	origin.start()
	l, err := mesh.ParseLink(origin.link)
	if err != nil {
		t.Fatal(err)
	}
	s := newCrasher(t, "seed", origin.link)
	s.start()
	w := newWitness(t, s.link, l.Peers[0].ID)
	atOnce := map[string]bool{} // lacking when the seed was dead
	for s.kills < kills(t) {
		w.more(t, 1, s, origin)
		time.Sleep(s.upTo(1500 * time.Millisecond))
		s.kill()
		for _, chunk := range w.missing(t, s.recordings()) {
			atOnce[chunk] = true
		}
		s.start()
		if s.kills%10 == 0 {
			s.mended(t, w)
		}
		w.connect(t, s.link)
	}
	w.more(t, 4, s, origin)
	missing := s.mended(t, w)
	chunks, _ := w.acknowledged()
	t.Logf("seed: %d kills, %d chunks acknowledged through the seed, %d of them not in its recording at once, %d lost after it was mended",
		s.kills, chunks, len(atOnce), len(missing))
	if len(missing) > 0 {
		t.Errorf("lost: %v", missing)
	}
}

// mended waits until the program's recordings have all that the witness has.
func (c *crasher) mended(t testing.TB, w *witness) (missing []string) {
	t.Helper()
	for range 10 * patience {
		if missing = w.missing(t, c.recordings()); len(missing) == 0 {
			return nil
		}
		time.Sleep(time.Second)
	}
	return missing
}
