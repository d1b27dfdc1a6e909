package stack

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/sim"
)

// Config says what to run. Scenario and System are needed.
type Config struct {
	Scenario *sim.Scenario
	System   string // one of Systems
	Seed     uint64

	// Measured keeps the nodes from being told how much they may upload: they have to find out, as a viewer does that was
	// started without --upload. The default is what the scenario says that each believes of its uplink.
	Measured bool

	// Progress, if not nil, is called about five times a second with the virtual time that is done, and all of it.
	Progress func(done, total time.Duration)

	// Log is where the nodes tell their story. The default discards.
	Log *slog.Logger

	// T is the running test, where there is one.
	T *testing.T

	watch func(r *run, now time.Duration) // for tests: called in virtual time before each chunk
}

// The systems.
const (
	Murmuration = "murmuration" // mesh.Node, as origin, viewers and seeds run it
	Gossipsub   = "gossipsub"   // stock go-libp2p-pubsub, whole chunks, D = 6
)

// Systems returns the names of the systems that can run.
func Systems() []string { return []string{Murmuration, Gossipsub} }

// Dissemination says in a few words how a system spreads chunks in this engine.
func Dissemination(system string) string {
	if system == Gossipsub {
		return "stock go-libp2p-pubsub: gossipsub v1.2, D=6, whole messages"
	}
	return "mesh.Node: fragments down sixteen trees, over gossipsub's partial messages, and the chunk log"
}

// ErrSystem is wrapped by what Run returns for a system that it does not know.
var ErrSystem = fmt.Errorf("not one of the systems %s and %s", Murmuration, Gossipsub)

const (
	linkPeers = 3 // peers that a link names besides the origin
	tidy      = time.Minute
)

// run is one run of one system.
type run struct {
	cfg    Config
	plan   *sim.Plan
	zero   time.Time
	net    *internet
	reel   *reel
	ledger *ledger
	done   atomic.Int64 // virtual time, for those outside

	mu      sync.Mutex
	rng     *rand.Rand // who knows whom
	present map[int]participant
	infos   map[int]peer.AddrInfo
	ids     map[peer.ID]int
	err     error // the first failure
	opened  bool  // the measurement began
	closed  bool  // the measurement ended
	named   int   // chunks whose bringer the participant named, and of these
	agreed  int   // those that the wire said the same of
}

// Run runs a scenario and returns what came of it. When ctx ends, it returns what there is, with ctx's error.
func Run(ctx context.Context, cfg Config) (sim.Result, *sim.Detail, error) {
	_, result, detail, err := execute(ctx, cfg)
	return result, detail, err
}

// execute runs a scenario and keeps the run.
func execute(ctx context.Context, cfg Config) (*run, sim.Result, *sim.Detail, error) {
	if cfg.System != Murmuration && cfg.System != Gossipsub {
		return nil, sim.Result{}, nil, fmt.Errorf("%w: %q", ErrSystem, cfg.System)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	plan, err := sim.NewPlan(cfg.Scenario, cfg.Seed)
	if err != nil {
		return nil, sim.Result{}, nil, err
	}
	r := &run{
		cfg: cfg, plan: plan, ledger: newLedger(plan), rng: rand.New(rand.NewPCG(cfg.Seed, 0x6b6e6f77)),
		present: map[int]participant{}, infos: map[int]peer.AddrInfo{}, ids: map[peer.ID]int{},
	}
	socket, shut, err := realSocket()
	if err != nil {
		return nil, sim.Result{}, nil, err
	}
	defer shut()
	defer roomy(len(plan.Nodes))()
	stop := r.report()
	defer stop()
	began := time.Now()
	var result sim.Result
	var detail *sim.Detail
	ended := false
	inVirtualTime(cfg.T, func() {
		r.conduct(ctx, socket)
		result, detail = r.result()
		ended = true
		r.dismiss()
	})
	if !ended {
		return nil, sim.Result{}, nil, fmt.Errorf("the simulation of %s stopped in virtual time", cfg.System)
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	result.Cost.Seconds, result.Cost.Bytes = time.Since(began).Seconds(), mem.HeapSys
	if r.err != nil {
		return r, result, detail, r.err
	}
	return r, result, detail, ctx.Err()
}

// report calls Progress from outside of virtual time until the returned function is called.
func (r *run) report() (stop func()) {
	if r.cfg.Progress == nil {
		return func() {}
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.cfg.Progress(time.Duration(r.done.Load()), r.plan.End)
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-gone }
}

// conduct lets the broadcast happen.
func (r *run) conduct(ctx context.Context, socket syscall.RawConn) {
	r.zero = time.Now()
	r.net = newInternet(r.plan, socket)
	r.reel = newReel(r.plan, r.zero)
	p := r.plan
	r.arrive(0)
	live := make(chan struct{}) // closed when the run is over
	defer close(live)
	for i := 1; i < len(p.Nodes); i++ {
		go r.attend(i, live)
	}
	r.faults(live)
	for seq := 0; r.at(time.Duration(seq) * p.Track.Chunk); seq++ {
		now := time.Duration(seq) * p.Track.Chunk
		r.done.Store(int64(now))
		if r.cfg.watch != nil {
			r.cfg.watch(r, now)
		}
		if now >= p.Warmup && !r.opened {
			r.snapshot(false)
		}
		if now >= p.Warmup+p.Duration && !r.closed {
			r.snapshot(true)
		}
		if ctx.Err() != nil || r.failed() != nil {
			break
		}
		if seq < len(p.Chunks) {
			r.publish(ctx, seq)
		}
	}
	synctest.Wait()
	if !r.opened {
		r.snapshot(false)
	}
	if !r.closed {
		r.snapshot(true)
	}
}

// at waits for a moment of the run and reports whether it is within the run.
func (r *run) at(d time.Duration) bool {
	time.Sleep(time.Until(r.zero.Add(d)))
	return d <= r.plan.End
}

func (r *run) publish(ctx context.Context, seq int) {
	c, err := r.reel.next(seq)
	if err == nil {
		r.mu.Lock()
		origin := r.present[0]
		r.mu.Unlock()
		err = origin.publish(context.WithoutCancel(ctx), c)
	}
	if err != nil {
		r.fail(err)
	}
}

func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

func (r *run) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// faults lets partitions begin and end.
func (r *run) faults(live <-chan struct{}) {
	for _, c := range r.plan.Cuts {
		for _, at := range []time.Duration{c.At, c.At + c.For} {
			go func() {
				if pause(live, time.Until(r.zero.Add(at))) {
					r.net.cut(at)
				}
			}()
		}
	}
}

// dismiss ends all nodes and the network.
func (r *run) dismiss() {
	for i := range r.plan.Nodes {
		r.net.vanish(i) // farewells would be simulated too
	}
	var wg sync.WaitGroup
	r.mu.Lock()
	for node, who := range r.present {
		wg.Go(func() {
			who.leave()
			r.net.release(node)
		})
	}
	clear(r.present)
	r.mu.Unlock()
	wg.Wait()
	r.net.wire.close()
	time.Sleep(tidy) // what the libraries leave behind ends by itself
}
