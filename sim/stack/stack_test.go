package stack

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"testing"
	"time"

	"murmuration/mesh"
	"murmuration/sim"
)

func TestMain(m *testing.M) {
	mesh.SetLibraryLog(slog.New(slog.NewTextHandler(io.Discard, nil)))
	os.Exit(m.Run())
}

func parse(t *testing.T, yaml string) *sim.Scenario {
	t.Helper()
	s, err := sim.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const hall = `
name: hall
peers: 10
warmup: 4s
duration: 4s
place: {plane: {width: 100ms, height: 60ms, base: 5ms}}
classes: [{name: home, up: 20M, down: 100M}]
`

// slow skips what takes minutes with the race detector. TestFew is for it.
func slow(t *testing.T) {
	t.Helper()
	if raced {
		t.Skip("too slow with the race detector")
	}
}

// TestFew is a run of few peers and little media, for the race detector.
func TestFew(t *testing.T) {
	s := parse(t, `
name: few
peers: 4
warmup: 2s
duration: 2s
track: {bitrate: 200k}
place: {plane: {width: 100ms, height: 60ms, base: 5ms}}
classes: [{name: home, share: 3, up: 20M}, {name: garbage, up: 20M, behaviour: garbage}]
churn: {share: 0.5, every: 2s}
`)
	for _, system := range Systems() {
		if _, _, err := Run(t.Context(), Config{Scenario: s, System: system, Seed: 1, T: t}); err != nil {
			t.Error(err)
		}
	}
}

// TestBothSystems: ten peers on good links get every chunk from either system, soon and through one another.
func TestBothSystems(t *testing.T) {
	slow(t)
	for _, system := range Systems() {
		t.Run(system, func(t *testing.T) {
			r, got, detail, err := execute(t.Context(), Config{Scenario: parse(t, hall), System: system, Seed: 1, T: t})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("p50 %.0f p99 %.0f ms, overhead %.2f, wire %.2f, origin %.1f copies, start-up %.0f ms, %.1f s",
				got.Latency.P50, got.Latency.P99, got.Overhead, got.Wire, got.Copies, got.Startup.P50, got.Cost.Seconds)
			if got.Lost != 0 || detail.Missing != 0 {
				t.Errorf("%v of the chunks lost, %d never came", got.Lost, detail.Missing)
			}
			if got.Latency.P50 < got.Floor.P50/2 || got.Latency.P50 > 250 || got.Latency.P99 > 1900 {
				t.Errorf("latency %+v", got.Latency)
			}
			if got.Overhead < 1 || got.Overhead > 8 || got.Wire <= got.Overhead || got.Wire > got.Overhead*1.2 {
				t.Errorf("overhead %v, on the wire %v", got.Overhead, got.Wire)
			}
			if got.Copies < 1 || got.Copies > 14 { // trees may do with one or two, gossip sends a mesh's worth
				t.Errorf("the origin sent %v copies", got.Copies)
			}
			if got.Startup.P50 <= 0 || got.Startup.Max > 4000 {
				t.Errorf("start-up %+v", got.Startup)
			}
			if len(detail.Peers) != 11 || len(detail.Startup) != 10 || len(detail.Feeds) < 10 || detail.Globe {
				t.Errorf("%d peers, %d feeds", len(detail.Peers), len(detail.Feeds))
			}
			if len(got.Series) != 4 || got.Series[1].Peers != 10 {
				t.Errorf("series %+v", got.Series)
			}
			known, all := 0, 0
			for _, h := range got.ByHops {
				known += h.Chunks
			}
			for _, n := range detail.Latency {
				all += n
			}
			if all < 120 || known < all*95/100 {
				t.Errorf("of %d chunks, only the hops of %d are known", all, known)
			}
			largest := 0 // of the packets that were last under way
			for p := r.net.wire.spare; p != nil; p = p.next {
				largest = max(largest, len(p.data))
			}
			if largest < 1432 || largest > 1452 { // the search stops 20 bytes before the end
				t.Errorf("packets of up to %d bytes, where real sockets find out that some 1452 fit", largest)
			}
			if system == Gossipsub && (r.named < 160 || r.agreed < r.named*95/100) {
				t.Errorf("of %d chunks, the wire names the bringer of %d", r.named, r.agreed)
			}
			if trees := system == Murmuration; (got.Control > 0) != trees || got.Control > 40 || (got.Changes > 0) != trees {
				t.Errorf("%v control messages a chunk, %v changes a minute", got.Control, got.Changes)
			}
			t.Logf("the wire named the bringer of %d of %d chunks", r.agreed, r.named)
		})
	}
}

// TestSameSeed: the same seed gives nearly the same figures, another seed another hall.
func TestSameSeed(t *testing.T) {
	slow(t)
	var p50, over [2]float64
	for i := range p50 {
		got, _, err := Run(t.Context(), Config{Scenario: parse(t, hall), System: Murmuration, Seed: 7, T: t})
		if err != nil {
			t.Fatal(err)
		}
		p50[i], over[i] = got.Latency.P50, got.Overhead
	}
	t.Logf("p50 %.1f ms, overhead %.3f", p50, over)
	if math.Abs(p50[0]-p50[1]) > 0.3*p50[0] || math.Abs(over[0]-over[1]) > 0.3*over[0] {
		t.Errorf("two runs of one seed: p50 %.1f ms, overhead %.3f", p50, over)
	}
}

// TestHardship: refusing NATs, loss, jitter, churn of both kinds, a partition, liars and free riders. The broadcast goes
// on for those who are there and reachable.
func TestHardship(t *testing.T) {
	slow(t)
	s := parse(t, `
name: hardship
peers: 14
warmup: 4s
duration: 12s
track: {bitrate: 1M}
origin: {last_mile: [1ms, 3ms]}
classes:
  - {name: home, share: 8, up: 30M, loss: 0.001, last_mile: [3ms, 20ms], jitter: 2ms}
  - {name: hidden, share: 2, up: 30M, nat: true}
  - {name: mute, share: 1, up: 30M, behaviour: mute}
  - {name: garbage, share: 2, up: 30M, behaviour: garbage}
  - {name: free, share: 1, up: 30M, behaviour: free}
churn: {share: 0.5, every: 12s}
faults: [{kind: part, at: 4s, for: 2s, share: 0.15}]
`)
	r, got, detail, err := execute(t.Context(), Config{Scenario: s, System: Murmuration, Seed: 3, T: t})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("p50 %.0f p99 %.0f ms, lost %.3f, %.1f s", got.Latency.P50, got.Latency.P99, got.Lost, got.Cost.Seconds)
	if got.Lost > 0.25 || got.Latency.P50 > 600 {
		t.Errorf("lost %v, p50 %v ms", got.Lost, got.Latency.P50)
	}
	if !detail.Globe || len(detail.Peers) <= 15 {
		t.Errorf("%d peers on the globe, none replaced", len(detail.Peers))
	}
	for _, c := range got.ByClass {
		t.Logf("%+v", c)
		if c.Name == "hidden" && c.Lost > 0.45 { // two of them, one of which may be cut off for a sixth of the time
			t.Errorf("peers behind a NAT lost %v", c.Lost)
		}
		if c.Name == "mute" && c.Latency.Max > 0 {
			t.Error("a liar's latency counts")
		}
	}
	cut := r.plan.Cuts[0]
	for node := 1; node <= 14; node++ {
		page, n := &r.ledger.nodes[node], &r.plan.Nodes[node]
		if !cut.Inside[node] || n.Leave < r.plan.End || page.latency == nil || n.Class.Behaviour != sim.Honest {
			continue
		}
		during, after := (cut.At+time.Second)/s.Track.Chunk, (cut.At+cut.For+4*time.Second)/s.Track.Chunk
		if l := page.latency[during]; l != 0 && l < 1e6 {
			t.Errorf("node %d was cut off and got chunk %d after %d µs", node, during, l)
		}
		if page.latency[after] == 0 {
			t.Errorf("node %d never got chunk %d, after the partition", node, after)
		}
	}
}

// TestStopped: a run that is stopped gives what there is.
func TestStopped(t *testing.T) {
	slow(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s := parse(t, hall)
	s.Duration = time.Hour
	got, detail, err := Run(ctx, Config{Scenario: s, System: Murmuration, Seed: 1, T: t, Progress: func(done, total time.Duration) {
		if total < time.Hour {
			t.Errorf("%v in all", total)
		}
		if done > 9*time.Second {
			stop()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if got.Latency.P50 <= 0 || got.Overhead < 1 || detail == nil || len(got.Series) == 0 {
		t.Errorf("nothing of what there was: %+v", got)
	}
}

// TestUnknownSystem is refused.
func TestUnknownSystem(t *testing.T) {
	if _, _, err := Run(t.Context(), Config{Scenario: parse(t, hall), System: "pigeons", T: t}); !errors.Is(err, ErrSystem) {
		t.Error(err)
	}
}
