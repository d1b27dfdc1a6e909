package mesh

import (
	"context"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/marcopolo/simnet"

	"murmuration/chunker/envelope"
)

// TestFragmentsCrossTheExtension: three nodes in a row exchange chunks fragment by fragment, and no whole message is
// sent.
func TestFragmentsCrossTheExtension(t *testing.T) {
	inVirtualTime(t, 15*time.Millisecond, func(t *testing.T, w *internet) {
		const chunks = 24
		origin := w.node(Config{Role: Origin}, 100, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		a := w.node(Config{}, 20, 100)
		at := mustJoin(t, a, JoinConfig{})
		w.connect(a, origin)
		b := w.node(Config{}, 20, 100)
		bt := mustJoin(t, b, JoinConfig{})
		w.connect(b, a)
		time.Sleep(2 * time.Second)
		s := newStream(time.Now())
		s.size = 94_000
		publish(t.Context(), t, ot, s, chunks)
		time.Sleep(4 * time.Second)
		for name, tr := range map[string]*Track{"near": at, "far": bt} {
			st := tr.Status()
			t.Logf("%s: delay %v stats %+v", name, st.Delay, tr.driver.machine.Stats())
			if st.Received != chunks || st.Fetched > 2 || st.Missed != 0 || st.Delay.P50 > chunkTime+120*time.Millisecond {
				t.Errorf("%s: received %d, fetched %d, missed %d, delay %v", name, st.Received, st.Fetched, st.Missed, st.Delay)
			}
		}
	})
}

// inPlane is inVirtualTime on an internet whose nodes lie at random in a plane 100 ms by 60 ms, the first in its middle;
// one-way delays are 5 ms and the distance.
func inPlane(t *testing.T, seed uint64, f func(t *testing.T, w *internet)) {
	rng := rand.New(rand.NewPCG(seed, 1))
	places := map[string][2]float64{}
	for i := range 2000 {
		places[simnet.IntToPublicIPv4(i).String()] = [2]float64{rng.Float64() * 100, rng.Float64() * 60}
	}
	places[simnet.IntToPublicIPv4(1).String()] = [2]float64{50, 30}
	ip := func(a net.Addr) string { return a.(*net.UDPAddr).IP.String() }
	synctest.Test(t, func(t *testing.T) {
		w := &internet{t: t, net: &simnet.Simnet{LatencyFunc: func(p *simnet.Packet) time.Duration {
			a, b := places[ip(p.From)], places[ip(p.To)]
			return time.Duration((5 + math.Hypot(a[0]-b[0], a[1]-b[1])) * float64(time.Millisecond))
		}}}
		w.net.Start()
		defer w.close()
		f(t, w)
	})
}

// crowd is an audience with its origin.
type crowd struct {
	origin *Track
	tracks []*Track
	s      *stream
	mu     sync.Mutex
	delays []time.Duration // publish to complete, after the warm-up
	got    map[*Track]map[envelope.ID]int
}

// gather makes an origin and viewers that know only it, and lets them meet.
func gather(t *testing.T, w *internet, viewers, up int, change func(i int, cfg *Config)) *crowd {
	t.Helper()
	cfg := Config{Role: Origin, Seed: 1}
	if change != nil {
		change(-1, &cfg)
	}
	origin := w.node(cfg, 100, 100)
	c := &crowd{origin: mustJoin(t, origin, JoinConfig{Publish: true}), got: map[*Track]map[envelope.ID]int{}}
	mustFollow(t, origin)
	for i := range viewers {
		c.add(t, w, i, up, change)
	}
	time.Sleep(10 * time.Second) // they meet one another
	c.s = newStream(time.Now())
	c.s.size = 94_000
	return c
}

// add adds a viewer.
func (c *crowd) add(t *testing.T, w *internet, i, up int, change func(i int, cfg *Config)) *Track {
	t.Helper()
	cfg := Config{Seed: uint64(i + 2)}
	if change != nil {
		change(i, &cfg)
	}
	n := w.node(cfg, up, 100)
	mustFollow(t, n)
	tr := mustJoin(t, n, JoinConfig{})
	w.connect(n, c.origin.node)
	c.tracks = append(c.tracks, tr)
	return tr
}

// watch counts what comes to a track; the delays of chunks captured after begin are kept.
func (c *crowd) watch(ctx context.Context, tr *Track, begin time.Time) {
	got := map[envelope.ID]int{}
	c.mu.Lock()
	c.got[tr] = got
	c.mu.Unlock()
	for {
		x, err := tr.Next(ctx)
		if err != nil {
			return
		}
		c.mu.Lock()
		got[x.ID()]++
		if x.Captured.After(begin) {
			c.delays = append(c.delays, time.Since(x.Captured.Add(chunkTime)))
		}
		c.mu.Unlock()
	}
}

// play publishes for some seconds while everyone watches, and then waits for what is late. It reports delays after
// the warm-up.
func (c *crowd) play(t *testing.T, warm, length time.Duration, during func()) (p50, p99 time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if c.s.seq == 0 { // preparations took time
		c.s.start = time.Now()
	}
	begin := time.Now().Add(warm)
	var wg sync.WaitGroup
	for _, tr := range c.tracks {
		wg.Go(func() { c.watch(ctx, tr, begin) })
	}
	if during != nil {
		wg.Go(during)
	}
	publish(t.Context(), t, c.origin, c.s, int((warm+length)/chunkTime))
	time.Sleep(4 * time.Second)
	cancel()
	wg.Wait()
	slices.Sort(c.delays)
	n := len(c.delays)
	if n == 0 {
		t.Fatal("nothing came")
	}
	return c.delays[n/2], c.delays[n*99/100]
}

// TestStripesOverHomeUplinks: latency and waste of the trees, and of whole messages in the same place. MESH_VIEWERS makes
// it another audience than 20, MESH_UP another uplink than 20 Mbit/s, MESH_UPLOAD=measured leaves it to be found out.
func TestStripesOverHomeUplinks(t *testing.T) {
	if testing.Short() {
		t.Skip("long: two audiences for half a minute each")
	}
	viewers, up := 20, 20
	if n, err := strconv.Atoi(os.Getenv("MESH_VIEWERS")); err == nil {
		viewers = n
	}
	if n, err := strconv.Atoi(os.Getenv("MESH_UP")); err == nil {
		up = n
	}
	var p50, p99 [2]time.Duration
	var waste [2]float64
	kinds := []bool{false, true}
	if viewers > 50 {
		kinds = kinds[:1] // whole messages take hours for as many
	}
	for i, whole := range kinds {
		inPlane(t, 1, func(t *testing.T, w *internet) {
			c := gather(t, w, viewers, up, func(i int, cfg *Config) {
				cfg.Whole, cfg.Seed = whole, uint64(i+2)
				if os.Getenv("MESH_UPLOAD") == "measured" {
					return
				}
				if cfg.Upload = int64(up) * 1e6; i < 0 {
					cfg.Upload = 100e6
				}
			})
			p50[i], p99[i] = c.play(t, 8*time.Second, 12*time.Second, nil)
			c.complete(t, 0, 80, c.tracks...)
			var in, vain, control, fetched, peers uint64
			for _, tr := range c.tracks {
				st := tr.Status()
				vain += st.DuplicateBytes
				in += uint64(st.WindowMem)
				control += st.Spread.Control
				fetched += st.Fetched
				peers += uint64(st.Peers)
			}
			waste[i] = float64(vain) / float64(in)
			t.Logf("%d viewers, whole %v: p50 %v, p99 %v, %.1f %% in vain, %.1f %% control, %d fetched, origin sent %.1f copies, %d neighbours each",
				viewers, whole, p50[i], p99[i], 100*waste[i], 100*float64(control)/float64(in), fetched, c.copies(), peers/uint64(viewers))
		})
	}
	if p50[0] > 220*time.Millisecond || p99[0] > 350*time.Millisecond {
		t.Errorf("p50 %v, p99 %v", p50[0], p99[0])
	}
	if len(kinds) > 1 && (p50[0] > p50[1] || p99[0] > p99[1]) {
		t.Errorf("slower than whole messages: %v and %v, against %v and %v", p50[0], p99[0], p50[1], p99[1])
	}
	if waste[0] > 0.08 {
		t.Errorf("%.1f %% came in vain", 100*waste[0])
	}
}

// copies returns how many copies of a chunk the origin sent.
func (c *crowd) copies() float64 {
	st := c.origin.Status()
	return float64(st.Relayed) / float64(st.Published)
}
