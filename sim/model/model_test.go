package model

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"

	"murmuration/sim"
)

func TestQueueOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var q queue
	for i := range 5000 {
		q.push(int64(rng.IntN(300)), evTick, int32(i), 0)
		if i%3 == 0 {
			q.pop()
		}
	}
	last := q.pop()
	for len(q.heap) > 0 {
		e := q.pop()
		if e.before(&last) {
			t.Fatalf("%+v came after %+v", e, last)
		}
		last = e
	}
}

// pair is an origin and one viewer 20 ms away, and chunks of 93,750 bytes.
func pair(up sim.Rate, pacing bool) *sim.Scenario {
	s, err := sim.Parse([]byte("name: pair\npeers: 1\nduration: 10s\nwarmup: 5s\nplace: {plane: {base: 20ms}}\n" +
		"track: {keyframe: 1, vary: 1e-9}\norigin: {down: 1G}\nclasses: [{name: x, up: 10M, down: 1G}]\n"))
	if err != nil {
		panic(err)
	}
	s.Origin.Up = up
	s.Links.Pacing = &pacing
	return s
}

// TestLinkPhysics holds the network to what can be worked out by hand.
func TestLinkPhysics(t *testing.T) {
	const wireBytes = 93_750*1.042 + 16*72 // packets' headers, messages' framing
	for _, x := range []struct {
		name   string
		s      *sim.Scenario
		wantMS float64
	}{
		{"uplink", pair(8e6, false), 20 + wireBytes/1e6*1e3 + 1},
		{"propagation", pair(1e9, false), 20 + 2*wireBytes/125e6*1e3},
		{"pacing", pair(1e9, true), 20 + (wireBytes-14_520)/(1.25*40_960/0.041)*1e3},
	} {
		r, _, err := Run(context.Background(), x.s, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(r.Latency.P50-x.wantMS) > x.wantMS*0.04+0.5 || r.Lost > 0 || math.Abs(r.Copies-1) > 0.03 {
			t.Errorf("%s: p50 %.1f ms, want %.1f; lost %.3f, copies %.2f", x.name, r.Latency.P50, x.wantMS, r.Lost, r.Copies)
		}
	}
}

// TestRunIsDeterministic: the same seed gives the same to the last bit, however many processors there are; another seed
// gives something else.
func TestRunIsDeterministic(t *testing.T) {
	for _, x := range []struct {
		scenario string
		peers    int
		measured time.Duration
	}{
		{"churn200", 40, 6 * time.Second},
		{"world500", 2 * perShard, 2 * time.Second}, // in two shards
	} {
		s, err := sim.Load(x.scenario)
		if err != nil {
			t.Fatal(err)
		}
		s.Resize(x.peers)
		s.Warmup, s.Duration = 5*time.Second, x.measured
		run := func(seed uint64, processors int) (sim.Result, *sim.Detail) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			r, d, err := Run(context.Background(), s, seed, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Cost = sim.Cost{Events: r.Cost.Events}
			return r, d
		}
		a, da := run(3, 1)
		if b, db := run(3, 4); !reflect.DeepEqual(a, b) || !reflect.DeepEqual(da, db) {
			t.Errorf("%s: the same seed gave %+v and %+v", x.scenario, a, b)
		}
		if len(da.Peers) <= x.peers || len(da.Feeds) < x.peers*2 {
			t.Errorf("%s: the overlay has %d nodes and %d links", x.scenario, len(da.Peers), len(da.Feeds))
		}
		if b, _ := run(4, 4); a.Latency == b.Latency {
			t.Errorf("%s: another seed gave the same", x.scenario)
		}
	}
}

func TestRunStops(t *testing.T) {
	s, err := sim.Load("venue50")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	seconds := 0
	r, d, err := Run(ctx, s, 1, func(p Progress) {
		if seconds++; p.Done >= 25*time.Second {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || seconds != 25 {
		t.Errorf("stopped after %d s with %v", seconds, err)
	}
	if r.Latency.P50 == 0 || r.Lost > 0.01 || len(r.Series) != 8 || r.Copies < 1 || len(d.Feeds) < 100 || d.Missing > 0 {
		t.Errorf("what there was is not given: %+v, %d missing", r, d.Missing)
	}
}
