package stack

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"
	"testing"
	"time"

	"murmuration/sim"
)

// TestExplore runs a scenario and prints what came of it: STACK_SCENARIO=venue50, and if wanted STACK_PEERS, STACK_FOR,
// STACK_WARMUP, STACK_SEED, STACK_MEASURED=1, with which nobody is told what its uplink carries, and
// STACK_WALL, after which it stops. STACK_SYSTEM names the system. STACK_HEAP, STACK_ROUTINES and STACK_CPU are
// files for profiles at STACK_AT of virtual time.
func TestExplore(t *testing.T) {
	name := os.Getenv("STACK_SCENARIO")
	if name == "" {
		t.Skip("a tool, not a test: STACK_SCENARIO names no scenario to run")
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
		Scenario: s, System: cmp.Or(os.Getenv("STACK_SYSTEM"), Murmuration), Seed: seed, Measured: os.Getenv("STACK_MEASURED") != "", T: t, watch: diary(t),
	})
	if err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	t.Logf("p50 %.0f p95 %.0f p99 %.0f ms, lost %.5f, bytes %.4f, wire %.3f, origin %.1f copies", r.Latency.P50, r.Latency.P95,
		r.Latency.P99, r.Lost, r.Overhead, r.Wire, r.Copies)
	t.Logf("start-up %.0f / %.0f ms, repair %.4f, duplicates %.4f, control %.1f a chunk, changes %.1f and lost feeds %.1f a minute",
		r.Startup.P50, r.Startup.P95, r.Repair, r.Duplicate, r.Control, r.Changes, r.FeedsLost)
	t.Logf("hops %+v", r.ByHops)
	pprof.StopCPUProfile()
	t.Logf("%.0f s, %.2f GB", r.Cost.Seconds, float64(r.Cost.Bytes)/1e9)
}

// diary returns what prints once a second what the run has cost so far, at the end which ways the lanes take, and writes the profiles that STACK_HEAP and STACK_CPU
// name: of the heap at STACK_AT of virtual time, of the processor from then on. It is called in virtual time: from outside, a
// profile of a run on one processor would be of its end.
func diary(t *testing.T) func(r *run, now time.Duration) {
	at, err := time.ParseDuration(os.Getenv("STACK_AT"))
	if err != nil {
		at = time.Hour
	}
	profile := make(chan string) // what is started in virtual time waits in it
	go func() {
		for name := range profile {
			f, err := os.Create(name)
			if err == nil {
				err = pprof.StartCPUProfile(f)
			}
			if err != nil {
				t.Error(err)
			}
			profile <- ""
		}
	}()
	next, packets, spent := time.Duration(0), int64(0), time.Duration(0)
	return func(r *run, now time.Duration) {
		if now < next {
			return
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		n, used := r.net.packets(), processorTime()
		t.Logf("at %2.0f s: %5.2f s of processor time, %6d packets, %d connections, %d goroutines, %.0f MB on the heap, %.0f MB of stacks, %.0f MB from the system",
			now.Seconds(), (used - spent).Seconds(), n-packets, r.connections(), pprof.Lookup("goroutine").Count(),
			float64(m.HeapAlloc)/1e6, float64(m.StackInuse)/1e6, float64(m.Sys)/1e6)
		packets, spent = n, used
		if end := r.plan.Warmup + r.plan.Duration - time.Second; now >= end && now < end+time.Second {
			t.Log(r.ways())
		}
		if next += time.Second; now < at || now >= at+time.Second {
			return
		}
		if name := os.Getenv("STACK_HEAP"); name != "" {
			runtime.GC() // a profile is as of the last collection but one
			runtime.GC()
			write(t, name, func(f *os.File) error { return pprof.WriteHeapProfile(f) })
		}
		if name := os.Getenv("STACK_ROUTINES"); name != "" {
			write(t, name, func(f *os.File) error { return pprof.Lookup("goroutine").WriteTo(f, 1) })
		}
		if name := os.Getenv("STACK_CPU"); name != "" {
			profile <- name
			<-profile
		}
	}
}

func write(t *testing.T, name string, what func(f *os.File) error) {
	f, err := os.Create(name)
	if err != nil {
		t.Error(err)
		return
	}
	if err := errors.Join(what(f), f.Close()); err != nil {
		t.Error(err)
	}
}

// processorTime is what the process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// packets returns how many packets have been read so far.
func (w *internet) packets() (n int64) {
	for i := range w.ends {
		if e := w.ends[i].Load(); e != nil {
			n += e.packets.Load()
		}
	}
	return n
}

// connections returns how many ends of connections the nodes hold.
func (r *run) connections() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.present {
		switch p := p.(type) {
		case *meshPeer:
			n += len(p.node.Host().Network().Conns())
		case *gossipPeer:
			n += len(p.host.Network().Conns())
		}
	}
	return n
}
