package model

import (
	"context"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"murmuration/sim"
	"murmuration/sim/model/gossip"
)

func stockRun(t *testing.T, s *sim.Scenario, seed uint64) (sim.Result, *sim.Detail) {
	t.Helper()
	r, d, err := Gossipsub(t.Context(), s, seed, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Cost.Bytes = 0
	return r, d
}

func builtin(t *testing.T, name string, peers int, measured time.Duration) *sim.Scenario {
	t.Helper()
	s, err := sim.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	s.Resize(peers)
	s.Warmup, s.Duration = 5*time.Second, measured
	return s
}

// TestStockLinkPhysics holds the stock nodes' links to what can be worked out by hand: one viewer, whole messages.
func TestStockLinkPhysics(t *testing.T) {
	const wireBytes = (93_750 + 1_000) * 1.05 // headers, frame, envelope and topic
	for _, x := range []struct {
		name   string
		s      *sim.Scenario
		wantMS float64
	}{
		{"uplink", pair(8e6, false), 20 + wireBytes/1e6*1e3 + 1},
		{"propagation", pair(1e9, false), 20 + wireBytes/125e6*1e3},
	} {
		r, _ := stockRun(t, x.s, 1)
		if math.Abs(r.Latency.P50-x.wantMS) > x.wantMS*0.04+0.5 || r.Lost > 0 || math.Abs(r.Copies-1) > 0.03 || math.Abs(r.Overhead-1.01) > 0.01 {
			t.Errorf("%s: p50 %.1f ms, want %.1f; lost %.3f, copies %.2f, overhead %.3f", x.name, r.Latency.P50, x.wantMS, r.Lost, r.Copies, r.Overhead)
		}
	}
}

// TestFairUplink: two long messages to two neighbours side by side take as long as both, and a short one does not wait.
func TestFairUplink(t *testing.T) {
	s := builtin(t, "venue50", 3, time.Second)
	s.Origin.Up = 8e6
	off := false
	s.Links.Pacing = &off
	plan, err := sim.NewPlan(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	w := newStock(plan)
	w.queue = queue{}
	for id := range int32(4) {
		w.join(0, id)
	}
	for _, l := range w.lines {
		if l.lanes[1].from == 0 {
			l.lanes[1].window = 1e9
		}
	}
	done := map[int32]int64{}
	w.play(func(time.Duration) bool { return true })
	w.end = 1 << 62
	began := w.now
	for _, id := range []int32{1, 2, 3} {
		l := w.nodes[0].lanes[gossip.Peer(id)]
		size := 480_000
		if id == 3 {
			size = 1_000
		}
		l.rpc = &gossip.RPC{Publish: []gossip.Message{{ID: gossip.ID(1000 + id), Size: size, Bad: true}}}
		l.left = int32(l.rpc.Size())
		w.wake(began, l)
	}
	for len(w.queue.heap) > 0 && len(done) < 3 {
		e := w.queue.pop()
		if e.kind == stReceive {
			if p := &w.pieces[e.a]; p.lane.from == 0 && len(p.rpc.Publish) == 1 && done[p.lane.to] == 0 {
				done[p.lane.to] = e.at - began - p.lane.line.owd
			}
		}
		w.handle(&e)
	}
	both := 2 * 480_000 * 1.05 / 1e6 * 1e9
	if math.Abs(float64(done[1])-both) > both/20 || math.Abs(float64(done[2])-both) > both/20 || done[3] > 20e6 {
		t.Errorf("after %v; both together take %v", done, time.Duration(both))
	}
}

// TestStockIsDeterministic: the same seed gives the same to the last bit, another one does not.
func TestStockIsDeterministic(t *testing.T) {
	for _, name := range []string{"churn200", "liars"} {
		s := builtin(t, name, 40, 5*time.Second)
		a, da := stockRun(t, s, 3)
		if b, db := stockRun(t, s, 3); !reflect.DeepEqual(a, b) || !reflect.DeepEqual(da, db) {
			t.Errorf("%s: the same seed gave %+v and %+v", name, a, b)
		}
		if b, _ := stockRun(t, s, 4); a.Latency == b.Latency {
			t.Errorf("%s: another seed gave the same", name)
		}
		if len(da.Feeds) < 40 {
			t.Errorf("%s: the overlay has %d links", name, len(da.Feeds))
		}
	}
}

// TestStockLikeRealNodes holds the model to what stock nodes did on the stack engine, in runs that are kept in doc.go:
// bytes closely, latency within a factor of two and not above it by far.
func TestStockLikeRealNodes(t *testing.T) {
	for _, x := range []struct {
		scenario         string
		peers            int
		measured, warmup time.Duration
		p50, p99         float64
		overhead, copies float64
	}{
		{"tight200", 12, 6 * time.Second, 15 * time.Second, 4525, 6486, 4.99, 8.8},
		{"churn200", 25, 20 * time.Second, 15 * time.Second, 1291, 2584, 5.40, 14.4},
		{"tight200", 40, 10 * time.Second, 10 * time.Second, 10433, 12691, 6.6, 7.8}, // bytes of two runs: 6.3 and 6.9
	} {
		s := builtin(t, x.scenario, x.peers, x.measured)
		s.Warmup = x.warmup
		var runs []sim.Result
		for seed := range uint64(3) {
			r, _ := stockRun(t, s, seed+1)
			runs = append(runs, r)
		}
		r := sim.Median(runs)
		for what, share := range map[string]float64{"p50": r.Latency.P50 / x.p50, "p99": r.Latency.P99 / x.p99} {
			if share < 0.5 || share > 1.25 {
				t.Errorf("%s with %d peers: %s is %.2f times that of real nodes", x.scenario, x.peers, what, share)
			}
		}
		if math.Abs(r.Overhead/x.overhead-1) > 0.15 || math.Abs(r.Copies/x.copies-1) > 0.25 {
			t.Errorf("%s with %d peers: overhead %.2f for %.2f, origin copies %.1f for %.1f", x.scenario, x.peers, r.Overhead, x.overhead, r.Copies, x.copies)
		}
	}
}

// TestStockTrouble: what goes wrong in a scenario goes wrong for stock gossipsub, too, and it gets over it.
func TestStockTrouble(t *testing.T) {
	seeded := func(seed uint64, name string, change func(s *sim.Scenario)) sim.Result {
		s := builtin(t, name, 20, 15*time.Second)
		s.Track.Bitrate = 3e5 // a tenth: uplinks suffice
		change(s)
		r, _ := stockRun(t, s, seed)
		return r
	}
	easy := func(name string, change func(s *sim.Scenario)) sim.Result { return seeded(2, name, change) }
	calm := easy("venue50", func(*sim.Scenario) {})
	if calm.Lost > 0 || calm.Latency.P99 > 1000 {
		t.Fatalf("without trouble %+v, lost %v", calm.Latency, calm.Lost)
	}
	parted := easy("partition", func(s *sim.Scenario) { s.Faults[0].At, s.Faults[0].For = 4*time.Second, 5*time.Second })
	if lost := parted.Lost; lost < 0.02 || lost > 0.25 { // a quarter for a third of the time, and what gossip brings late
		t.Errorf("a partition cost %.3f of the chunks", lost)
	}
	if last := parted.Series[len(parted.Series)-2]; last.Lost > 0 {
		t.Errorf("the partition has not healed: %+v", last)
	}
	churned := easy("churn200", func(s *sim.Scenario) { s.Churn.Every = 20 * time.Second })
	if churned.Lost > 0.02 || churned.Startup.P50 <= 0 {
		t.Errorf("churn cost %.3f of the chunks, start-up %+v", churned.Lost, churned.Startup)
	}
	free := easy("freeriders", func(s *sim.Scenario) { s.Classes[0].Up = 20e6; s.Origin.Up = 100e6 })
	if free.ByClass[1].Copies > 0.05 || free.ByClass[0].Copies < 1 || free.Lost > 0.05 {
		t.Errorf("free riders: %+v, lost %.3f", free.ByClass, free.Lost)
	}
	dearer := 0.0 // ms of the slow ones, over seeds: six copies hide losses from most, and each run has meshes of its own
	for seed := range uint64(8) {
		lossless := seeded(seed+1, "venue50", func(*sim.Scenario) {})
		lossy := seeded(seed+1, "venue50", func(s *sim.Scenario) { s.Classes[0].Loss = 0.02 })
		if dearer += (lossy.Latency.P95 - lossless.Latency.P95) / 8; lossy.Lost > 0 {
			t.Errorf("loss cost %.4f of the chunks", lossy.Lost)
		}
	}
	if dearer < 10 {
		t.Errorf("loss costs %.1f ms at p95", dearer)
	}
}

func TestStockStops(t *testing.T) {
	s := builtin(t, "venue50", 10, 20*time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err := Gossipsub(ctx, s, 1, func(p Progress) {
		if p.Done >= 15*time.Second {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || len(r.Series) == 0 || len(r.Series) > 10 || r.Lost > 0 {
		t.Errorf("%v: %d s, lost %v", err, len(r.Series), r.Lost)
	}
}
