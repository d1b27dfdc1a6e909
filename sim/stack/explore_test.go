package stack

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"murmuration/sim"
)

// TestExplore runs a scenario and prints what came of it: STACK_SCENARIO=venue50, and if wanted STACK_PEERS, STACK_FOR,
// STACK_WARMUP, STACK_SEED, STACK_MEASURED=1, with which nobody is told what its uplink carries, and
// STACK_WALL, after which it stops. With -cpuprofile and -memprofile
// it shows what a run costs.
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
		Scenario: s, System: Murmuration, Seed: seed, Measured: os.Getenv("STACK_MEASURED") != "", T: t,
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
