package model

import (
	"context"
	"runtime"
	"time"

	"murmuration/sim"
)

// Progress says how far a run is: virtual time done and in all, and the wall time it took so far.
type Progress struct {
	Done, Total time.Duration
}

// Run runs s with a seed and returns what came of it. progress, if not nil, is called for each second of virtual time.
// When ctx ends, Run returns what there is with ctx's error.
func Run(ctx context.Context, s *sim.Scenario, seed uint64, progress func(Progress)) (sim.Result, error) {
	_, r, err := play(ctx, s, seed, progress)
	return r, err
}

// play runs a world to its end, or to ctx's, and returns it; nil where there is none.
func play(ctx context.Context, s *sim.Scenario, seed uint64, progress func(Progress)) (*world, sim.Result, error) {
	plan, err := sim.NewPlan(s, seed)
	if err != nil {
		return nil, sim.Result{}, err
	}
	w := newWorld(plan)
	for len(w.queue.heap) > 0 {
		e := w.queue.pop()
		if e.at > w.end {
			break
		}
		w.events++
		if e.kind == evSecond {
			if progress != nil {
				progress(Progress{time.Duration(e.at), plan.End})
			}
			if err = ctx.Err(); err != nil {
				break
			}
			w.queue.push(e.at+1e9, evSecond, 0, 0)
			continue
		}
		w.handle(&e)
	}
	r := w.result()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	r.Cost = sim.Cost{Events: w.events, Bytes: mem.HeapAlloc}
	return w, r, err
}

// RunSeeds runs s with the seeds first, first+1 and so on, n in all, and returns the median of the results, and each.
func RunSeeds(ctx context.Context, s *sim.Scenario, first uint64, n int, progress func(run int, p Progress)) (sim.Report, []sim.Result, error) {
	rep := sim.Report{Scenario: s.Name, Engine: "model", Peers: s.Peers, Seconds: s.Duration.Seconds(), Target: s.Target}
	var runs []sim.Result
	for i := range n {
		r, err := Run(ctx, s, first+uint64(i), func(p Progress) {
			if progress != nil {
				progress(i, p)
			}
		})
		if err != nil && len(runs) > 0 {
			break
		}
		runs = append(runs, r)
		if err != nil {
			break
		}
	}
	rep.Seeds = len(runs)
	rep.Systems = []sim.Result{sim.Median(runs)}
	return rep, runs, ctx.Err()
}
