package trial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"murmuration/sim"
	"murmuration/sim/model"
	"murmuration/sim/stack"
)

// The engines.
const (
	Stack = "stack" // real nodes in virtual time
	Model = "model" // the dissemination protocol alone, in a discrete-event network
)

// StackMost is the number of peers up to which the stack engine is the default.
const StackMost = 500

// ErrUsage is wrapped by what Run returns for a Config that asks for what cannot be.
var ErrUsage = errors.New("sim")

// Config says what to try. Scenario is needed.
type Config struct {
	Scenario *sim.Scenario
	Engine   string // Stack or Model; by default Stack up to StackMost peers
	Against  string // a second system for the same scenario; "" or stack.Gossipsub
	Seeds    int    // runs of each system; default 1
	Seed     uint64 // of the first run; default 1

	// Progress, if not nil, is called a few times a second.
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
	if c.Against != "" && c.Against != stack.Gossipsub {
		return c, fmt.Errorf("%w: it can run against %s, not %q", ErrUsage, stack.Gossipsub, c.Against)
	}
	if c.Against != "" && c.Engine == Model {
		return c, fmt.Errorf("%w: the model engine has no %s; use the stack engine and at most a few hundred peers", ErrUsage, c.Against)
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
	systems := []string{stack.Murmuration}
	if cfg.Against != "" {
		systems = append(systems, cfg.Against)
	}
	for i, system := range systems {
		run := cfg.stack
		rep.Dissemination[system] = stack.Dissemination(system)
		if cfg.Engine == Model {
			run = cfg.model
			rep.Dissemination[system] = "mesh/episub: striped trees of fragments, without a network stack"
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
	if cfg.Engine == Stack {
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

// seeds runs a system with each seed. Of a run that was stopped it keeps what there is where no run was completed.
func (t *turn) seeds(ctx context.Context, run one) (results []sim.Result, detail *sim.Detail, err error) {
	for i := range t.cfg.Seeds {
		n := t.first + i
		progress := func(done, total time.Duration) {
			if t.cfg.Progress != nil {
				t.cfg.Progress(Progress{
					System: t.system, Run: n + 1, Runs: t.runs, Done: done, Total: total,
					Part: (float64(n) + float64(done)/float64(total)) / float64(t.runs),
				})
			}
		}
		r, d, err := run(ctx, t.system, t.cfg.Seed+uint64(i), progress)
		if ctx.Err() != nil {
			if len(results) == 0 && r.Latency.Max > 0 {
				results, detail = append(results, r), d
			}
			return results, detail, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if results = append(results, r); i == 0 {
			detail = d
		}
	}
	return results, detail, nil
}

func (c *Config) stack(ctx context.Context, system string, seed uint64, progress func(done, total time.Duration)) (sim.Result, *sim.Detail, error) {
	return stack.Run(ctx, stack.Config{
		Scenario: c.Scenario, System: system, Seed: seed, Progress: progress, Log: c.Log, T: c.T,
	})
}

func (c *Config) model(ctx context.Context, _ string, seed uint64, progress func(done, total time.Duration)) (sim.Result, *sim.Detail, error) {
	began := time.Now()
	r, d, err := model.Run(ctx, c.Scenario, seed, func(p model.Progress) { progress(p.Done, p.Total) })
	r.Cost.Seconds = time.Since(began).Seconds()
	return r, d, err
}
