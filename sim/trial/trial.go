package trial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"murmuration/sim"
	"murmuration/sim/model"
	"murmuration/sim/stack"
)

// The engines.
const (
	Stack = "stack" // real nodes in virtual time
	Model = "model" // the dissemination protocol alone, or a model of stock gossipsub, in a discrete-event network
)

// StackMost is the number of peers up to which the stack engine is the default.
const StackMost = 500

// ErrUsage is wrapped by what Run returns for a Config that asks for what cannot be.
var ErrUsage = errors.New("sim")

// Config says what to try. Scenario is needed.
type Config struct {
	Scenario *sim.Scenario
	Engine   string // Stack or Model, in which gossipsub is a model of it; by default Stack up to StackMost peers
	System   string // stack.Murmuration, the default, or stack.Gossipsub
	Against  string // a second system for the same scenario; "" or stack.Gossipsub
	Seeds    int    // runs of each system; default 1
	Seed     uint64 // of the first run; default 1

	// Progress, if not nil, is called a few times a second, never twice at a time.
	Progress func(Progress)

	Log *slog.Logger // the default discards
	T   *testing.T   // the running test, where there is one
}

// Progress says how far a trial is.
type Progress struct {
	System      string
	Run, Runs   int           // the run under way, from 1, and how many there are in all
	Done, Total time.Duration // of its virtual time
	Part        float64       // of the whole trial, by virtual time: 0 to 1
}

// Report is a trial's outcome, as murmur sim prints it with --json.
type Report struct {
	sim.Report
	FirstSeed     uint64            `json:"first_seed"`
	Stopped       bool              `json:"stopped,omitempty"` // before its end: the figures are of what there was
	Dissemination map[string]string `json:"dissemination"`     // by system: how it spreads chunks in this engine
	Note          string            `json:"note,omitempty"`

	Details []*sim.Detail `json:"-"` // of each system's first run; nil where the engine has none
}

// checked returns the configuration with its defaults filled in.
func (c Config) checked() (Config, error) {
	if err := c.Scenario.Check(); err != nil {
		return c, err
	}
	if c.Engine == "" {
		if c.Engine = Stack; c.Scenario.Peers > StackMost {
			c.Engine = Model
		}
	}
	if c.Engine != Stack && c.Engine != Model {
		return c, fmt.Errorf("%w: the engines are %s and %s, not %q", ErrUsage, Stack, Model, c.Engine)
	}
	if c.System == "" {
		c.System = stack.Murmuration
	}
	if !slices.Contains(stack.Systems(), c.System) {
		return c, fmt.Errorf("%w: the systems are %s, not %q", ErrUsage, strings.Join(stack.Systems(), " and "), c.System)
	}
	if c.Against != "" && c.Against != stack.Gossipsub || c.Against == c.System {
		return c, fmt.Errorf("%w: %s can run against %s, not %q", ErrUsage, stack.Murmuration, stack.Gossipsub, c.Against)
	}
	if c.Seeds == 0 {
		c.Seeds = 1
	}
	if c.Seeds < 1 || c.Seeds > 1000 {
		return c, fmt.Errorf("%w: seeds must be 1 to 1000", ErrUsage)
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	return c, nil
}

// Run runs a trial. When ctx ends, it returns what there is, with Stopped set.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	s := cfg.Scenario
	rep := &Report{
		Report:    sim.Report{Scenario: s.Name, Engine: cfg.Engine, Peers: s.Peers, Seconds: s.Duration.Seconds(), Target: s.Target},
		FirstSeed: cfg.Seed, Dissemination: map[string]string{},
	}
	systems := []string{cfg.System}
	if cfg.Against != "" {
		systems = append(systems, cfg.Against)
	}
	for i, system := range systems {
		run := cfg.stack
		rep.Dissemination[system] = stack.Dissemination(system)
		if cfg.Engine == Model {
			run = cfg.model
			rep.Dissemination[system] = model.Dissemination(system)
		}
		t := turn{cfg: &cfg, system: system, first: i * cfg.Seeds, runs: len(systems) * cfg.Seeds}
		results, detail, err := t.seeds(ctx, run)
		if err != nil {
			return nil, err
		}
		if len(results) > 0 {
			rep.Systems = append(rep.Systems, sim.Median(results))
			rep.Details = append(rep.Details, detail)
			rep.Seeds = max(rep.Seeds, len(results))
		}
		if ctx.Err() != nil {
			rep.Stopped = true
			break
		}
	}
	if rep.Stopped && len(rep.Systems) > 0 {
		rep.Seconds = float64(len(rep.Systems[len(rep.Systems)-1].Series))
	}
	if cfg.Engine == Stack && cfg.System == stack.Murmuration {
		rep.Note = "murmuration is what mesh.Node does in this version (" + stack.Dissemination(stack.Murmuration) + ")"
	}
	return rep, nil
}

// turn is one system's runs in a trial.
type turn struct {
	cfg         *Config
	system      string
	first, runs int
}

// one runs a system once.
type one func(ctx context.Context, system string, seed uint64, progress func(done, total time.Duration)) (sim.Result, *sim.Detail, error)

// alone is the number of peers from which on one run of the model engine takes all processors.
const alone = 1000

// crew returns how many runs go on at a time. The stack's take too much memory, and the runtime's one virtual clock.
func (t *turn) crew() int {
	if t.cfg.Engine == Stack || t.cfg.Scenario.Peers >= alone {
		return 1
	}
	return min(runtime.GOMAXPROCS(0), t.cfg.Seeds)
}

// outcome is what came of one run.
type outcome struct {
	result sim.Result
	detail *sim.Detail
	whole  bool
	err    error
}

// seeds runs a system with each seed. Of runs that were stopped it keeps one where none was completed.
func (t *turn) seeds(ctx context.Context, run one) (results []sim.Result, detail *sim.Detail, err error) {
	var mu sync.Mutex // for what follows, and to tell progress
	next, part := 0, make([]float64, t.cfg.Seeds)
	runs := make([]outcome, t.cfg.Seeds)
	var crew sync.WaitGroup
	for range t.crew() {
		crew.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= t.cfg.Seeds || ctx.Err() != nil {
					return
				}
				x := &runs[i]
				x.result, x.detail, x.err = run(ctx, t.system, t.cfg.Seed+uint64(i), func(done, total time.Duration) {
					mu.Lock()
					defer mu.Unlock()
					part[i] = float64(done) / float64(total)
					t.tell(i, done, total, part)
				})
				x.whole = x.err == nil
			}
		})
	}
	crew.Wait()
	for i := range runs {
		switch x := &runs[i]; {
		case x.whole:
			if results = append(results, x.result); detail == nil {
				detail = x.detail
			}
		case x.err != nil && ctx.Err() == nil:
			return nil, nil, x.err
		}
	}
	for i := 0; len(results) == 0 && i < len(runs); i++ {
		if runs[i].result.Latency.Max > 0 {
			results, detail = append(results, runs[i].result), runs[i].detail
		}
	}
	return results, detail, nil
}

// tell says how far the trial is.
func (t *turn) tell(i int, done, total time.Duration, part []float64) {
	if t.cfg.Progress == nil {
		return
	}
	sum := float64(t.first)
	for _, p := range part {
		sum += p
	}
	t.cfg.Progress(Progress{
		System: t.system, Run: t.first + i + 1, Runs: t.runs, Done: done, Total: total, Part: sum / float64(t.runs),
	})
}

func (c *Config) stack(ctx context.Context, system string, seed uint64, progress func(done, total time.Duration)) (sim.Result, *sim.Detail, error) {
	return stack.Run(ctx, stack.Config{
		Scenario: c.Scenario, System: system, Seed: seed, Progress: progress, Log: c.Log, T: c.T,
	})
}

func (c *Config) model(ctx context.Context, system string, seed uint64, progress func(done, total time.Duration)) (sim.Result, *sim.Detail, error) {
	began, run := time.Now(), model.Run
	if system == stack.Gossipsub {
		run = model.Gossipsub
	}
	r, d, err := run(ctx, c.Scenario, seed, func(p model.Progress) { progress(p.Done, p.Total) })
	r.Cost.Seconds = time.Since(began).Seconds()
	return r, d, err
}
