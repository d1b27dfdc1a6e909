package model

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"murmuration/sim"
)

// Progress says how far a run is: virtual time done and in all, and the wall time it took so far.
type Progress struct {
	Done, Total time.Duration
}

// Dissemination says in a few words how a system spreads chunks in this engine.
func Dissemination(system string) string {
	if system == gossipsub {
		return "a model of stock gossipsub v1.2 (sim/model/gossip, after go-libp2p-pubsub v0.19.0): D=6, whole messages, without a network stack"
	}
	return "mesh/episub: striped trees of fragments, without a network stack"
}

// The systems, by the names that sim/stack gives them.
const (
	murmuration = "murmuration"
	gossipsub   = "gossipsub"
)

// Run runs s with a seed and returns what came of it, and what a report draws. progress, if not nil, is called for each
// second of virtual time. When ctx ends, Run returns what there is with ctx's error.
func Run(ctx context.Context, s *sim.Scenario, seed uint64, progress func(Progress)) (sim.Result, *sim.Detail, error) {
	plan, err := sim.NewPlan(s, seed)
	if err != nil {
		return sim.Result{}, nil, err
	}
	return follow(ctx, plan, progress)
}

// play lets a world go on to the end, or until ctx ends, whose error it then returns.
func play(ctx context.Context, run func(goOn func(done time.Duration) bool), end time.Duration, progress func(Progress)) (err error) {
	run(func(done time.Duration) bool {
		if progress != nil {
			progress(Progress{done, end})
		}
		err = ctx.Err()
		return err == nil
	})
	return err
}

// follow runs a plan.
func follow(ctx context.Context, plan *sim.Plan, progress func(Progress)) (sim.Result, *sim.Detail, error) {
	w := newWorld(plan)
	err := play(ctx, w.play, plan.End, progress)
	if err != nil {
		w.stop()
	}
	var players sim.Players
	r, d := w.result(), w.detail(&players, func(id int) bool { return w.nodes[id].online })
	r.Waiting = players.Stalls()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	r.Cost = sim.Cost{Events: w.events, Bytes: mem.HeapAlloc}
	for _, sh := range w.shards {
		r.Cost.Events += sh.events
	}
	return r, d, err
}

// play lets window after window happen, until the end or until second, which is told of each second, says no.
func (w *world) play(second func(done time.Duration) bool) {
	crew := w.crew()
	defer crew.dismiss()
	for goOn := true; goOn && w.now*w.span <= w.end; w.now++ {
		w.between(func() { goOn = goOn && second(dur(w.now*w.span)) })
		crew.advance()
	}
}

// crew are the goroutines that run shards in parallel.
type crew struct {
	w     *world
	next  atomic.Int32
	begin []chan struct{}
	done  sync.WaitGroup
}

// crew starts as many as the machine and the world have work for.
func (w *world) crew() *crew {
	c := &crew{w: w}
	for range min(runtime.GOMAXPROCS(0), len(w.shards)) - 1 {
		begin := make(chan struct{})
		c.begin = append(c.begin, begin)
		go func() {
			for range begin {
				c.work()
				c.done.Done()
			}
		}()
	}
	return c
}

func (c *crew) work() {
	for i := c.next.Add(1); int(i) <= len(c.w.shards); i = c.next.Add(1) {
		c.w.shards[i-1].advance()
	}
}

// advance lets a window happen.
func (c *crew) advance() {
	c.next.Store(0)
	c.done.Add(len(c.begin))
	for _, begin := range c.begin {
		begin <- struct{}{}
	}
	c.work()
	c.done.Wait()
}

func (c *crew) dismiss() {
	for _, begin := range c.begin {
		close(begin)
	}
}
