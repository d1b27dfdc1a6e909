package stack

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"testing"
	"time"

	"murmuration/sim"
)

// TestExplore runs a scenario and prints what came of it: STACK_SCENARIO=venue50, and if wanted STACK_PEERS, STACK_FOR,
// STACK_WARMUP, STACK_SEED, STACK_MEASURED=1, with which nobody is told what its uplink carries, and
// STACK_WALL, after which it stops. With -cpuprofile it shows what a run costs; STACK_HEAP=file is where the heap is
// profiled after STACK_HEAPAT of virtual time.
func TestExplore(t *testing.T) {
	name := os.Getenv("STACK_SCENARIO")
	if name == "" {
		t.Skip("STACK_SCENARIO names none")
	}
	s, err := sim.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := strconv.Atoi(os.Getenv("STACK_PEERS")); err == nil {
		s.Peers = n
	}
	if d, err := time.ParseDuration(os.Getenv("STACK_FOR")); err == nil {
		s.Duration = d
	}
	if d, err := time.ParseDuration(os.Getenv("STACK_WARMUP")); err == nil {
		s.Warmup = d
	}
	seed, err := strconv.ParseUint(os.Getenv("STACK_SEED"), 10, 64)
	if err != nil {
		seed = 1
	}
	ctx := t.Context()
	if d, err := time.ParseDuration(os.Getenv("STACK_WALL")); err == nil {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, d)
		defer stop()
	}
	r, _, err := Run(ctx, Config{
		Scenario: s, System: Murmuration, Seed: seed, Measured: os.Getenv("STACK_MEASURED") != "", T: t, watch: heapProfile(t),
	})
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	t.Logf("p50 %.0f p95 %.0f p99 %.0f ms, lost %.5f, bytes %.4f, wire %.3f, origin %.1f copies", r.Latency.P50, r.Latency.P95,
		r.Latency.P99, r.Lost, r.Overhead, r.Wire, r.Copies)
	t.Logf("start-up %.0f / %.0f ms, repair %.4f, duplicates %.4f, control %.1f a chunk, changes %.1f and lost feeds %.1f a minute",
		r.Startup.P50, r.Startup.P95, r.Repair, r.Duplicate, r.Control, r.Changes, r.FeedsLost)
	t.Logf("hops %+v", r.ByHops)
	t.Logf("%.0f s, %.2f GB", r.Cost.Seconds, float64(r.Cost.Bytes)/1e9)
}

// heapProfile returns what prints once a second what is on the heap, and writes a profile of it, as STACK_HEAP and
// STACK_HEAPAT say. It is called in virtual time: from outside, a profile of a run on one processor would be of its end.
func heapProfile(t *testing.T) func(now time.Duration) {
	name := os.Getenv("STACK_HEAP")
	at, err := time.ParseDuration(os.Getenv("STACK_HEAPAT"))
	if name == "" || err != nil {
		return nil
	}
	next := time.Second
	return func(now time.Duration) {
		if now < next {
			return
		}
		next += time.Second
		if now >= at-2*time.Second && now < at+time.Second {
			runtime.GC() // a profile is as of the last collection but one
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		t.Logf("at %v: %.0f MB on the heap in use, %.0f MB of stacks, %d goroutines, %.0f MB allocated so far", now, float64(m.HeapAlloc)/1e6,
			float64(m.StackInuse)/1e6, pprof.Lookup("goroutine").Count(), float64(m.TotalAlloc)/1e6)
		if now < at || next > at+2*time.Second {
			return
		}
		f, err := os.Create(name)
		if err != nil {
			t.Error(err)
			return
		}
		if err := errors.Join(pprof.WriteHeapProfile(f), f.Close()); err != nil {
			t.Error(err)
		}
	}
}
