package model

import (
	"os"
	"strconv"
	"testing"
	"time"

	"murmuration/mesh/episub"
	"murmuration/sim"
)

// TestExplore runs a scenario and prints what came of it, and which ways the lanes take: MODEL_SCENARIO=world500, or a
// file, and if wanted MODEL_SEED.
func TestExplore(t *testing.T) {
	name := os.Getenv("MODEL_SCENARIO")
	if name == "" {
		t.Skip("a tool, not a test: MODEL_SCENARIO names no scenario to run")
	}
	s, err := sim.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := strconv.ParseUint(os.Getenv("MODEL_SEED"), 10, 64)
	if err != nil {
		seed = 1
	}
	plan, err := sim.NewPlan(s, seed)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(plan)
	w.play(func(done time.Duration) bool { return done < s.Warmup+s.Duration-time.Second }) // the trees are still fed then
	w.stop()
	r := w.result()
	t.Logf("p50 %.0f p99 %.0f ms, lost %.5f, bytes %.4f, changes %.1f and lost feeds %.1f a minute", r.Latency.P50, r.Latency.P99, r.Lost,
		r.Overhead, r.Changes, r.FeedsLost)
	var ways sim.Ways
	for id := int32(1); int(id) < len(w.nodes); id++ {
		if w.nodes[id].online {
			ways.Add(plan, int(id), episub.MaxStripes, w.parent)
		}
	}
	t.Log(ways)
}

// parent returns the node that pushes a lane to another, or -1.
func (w *world) parent(id, lane int) int {
	n := &w.nodes[id]
	if n.machine == nil {
		return -1
	}
	p, fed := n.machine.Parent(lane)
	if !fed || p < 0 {
		return -1
	}
	c := n.slotConn(w, p)
	if c < 0 {
		return -1
	}
	return int(w.conns[c].ends[1-w.side(c, int32(id))].node)
}
