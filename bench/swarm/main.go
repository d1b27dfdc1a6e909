package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// scenarios of the table, in its order.
var scenarios = []string{
	"venue50", "home200", "tight200", "tight500", "world500", "churn200", "flash", "liars", "planet10k",
}

// What measures: the model engine, the stack engine, stock gossipsub on the stack engine, and the model of it.
const (
	onModel    = "model"
	onStack    = "stack"
	stock      = "gossipsub"
	stockModel = "gossipsub-model"
)

var kinds = []string{onModel, onStack, stock, stockModel}

// Audiences up to which an engine is asked: the stack has real nodes, and stock gossipsub six copies of everything.
var most = map[string]int{onModel: 1 << 20, onStack: 500, stock: 200, stockModel: 500}

// job is one measurement.
type job struct {
	Scenario string
	Kind     string
	Seed     uint64 // the first
	Seeds    int
	Peers    int           // 0: the scenario's
	For      time.Duration // 0: the scenario's
	RTT      string        // a matrix of round trips, or none
	file     string
}

// args returns the arguments of murmur.
func (j job) args() []string {
	engine, system := j.Kind, ""
	switch j.Kind {
	case stock:
		engine, system = onStack, stock
	case stockModel:
		engine, system = onModel, stock
	}
	a := []string{"sim", j.Scenario, "--engine", engine}
	if system != "" {
		a = append(a, "--system", system)
	}
	if j.Peers > 0 {
		a = append(a, "--peers", fmt.Sprint(j.Peers))
	}
	if j.For > 0 {
		a = append(a, "--for", j.For.String())
	}
	if j.RTT != "" {
		a = append(a, "--rtt", j.RTT)
	}
	a = append(a, "--seeds", fmt.Sprint(j.Seeds))
	if j.Seed > 1 {
		a = append(a, "--seed", fmt.Sprint(j.Seed))
	}
	return a
}

// bySeed reports whether the job's seeds are measured one by one: real nodes take one processor, and long.
func (j job) bySeed() bool { return j.Kind == onStack || j.Kind == stock }

// parts returns the calls of murmur sim that a job takes.
func (j job) parts() []job {
	if !j.bySeed() {
		return []job{j}
	}
	var out []job
	for i := range j.Seeds {
		one := j
		one.Seed, one.Seeds = j.Seed+uint64(i), 1
		out = append(out, one)
	}
	return out
}

// options are the flags.
type options struct {
	root, murmur  string
	only          string
	engines       string
	seed          uint64
	seeds, beside int
	measured      time.Duration
	rtt           string
	skip, growth  bool
}

func main() {
	var o options
	flag.StringVar(&o.root, "C", ".", "the repository")
	flag.StringVar(&o.murmur, "murmur", "bin/murmur", "the command to measure with")
	flag.StringVar(&o.only, "only", "", "scenarios, with commas between them, or with --growth numbers of peers; none: only write table and plot")
	flag.StringVar(&o.engines, "engine", "", "model, stack, gossipsub (stock gossipsub, on the stack engine), gossipsub-model (a model of it), with commas between them; default all")
	flag.IntVar(&o.seeds, "seeds", 3, "runs of each")
	flag.Uint64Var(&o.seed, "seed", 1, "the first seed, for rows of the stack engine that have those before it")
	flag.IntVar(&o.beside, "jobs", min(runtime.NumCPU(), 2), "runs of real nodes side by side: each takes one processor, and up to 9 GB for 500 nodes")
	flag.DurationVar(&o.measured, "for", 0, "virtual time to measure, instead of the scenarios' 60s")
	flag.StringVar(&o.rtt, "rtt", "", "a matrix of round trips, for the row world500-matrix beside the one with built-in cities")
	flag.BoolVar(&o.skip, "skip", false, "leave out what is measured already in this version, seed by seed where real nodes run")
	flag.BoolVar(&o.growth, "growth", false, "latency by audience instead of the table's scenarios")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "swarm:", err)
		os.Exit(1) //nolint:gocritic // nothing is left for stop to do
	}
}

func (o *options) run(ctx context.Context) error {
	store := store{filepath.Join(o.root, "bench", "swarm", "results")}
	jobs, err := o.jobs()
	if err != nil {
		return err
	}
	versions := map[string]string{} // by kind
	for _, k := range kinds {
		if versions[k], err = version(ctx, o.root, k); err != nil {
			return err
		}
	}
	return errors.Join(o.measure(ctx, store, jobs, versions), o.show(store))
}

// measure does the jobs, and keeps each outcome as soon as it is there. Real nodes run side by side, models one by one, since each
// takes all processors.
func (o *options) measure(ctx context.Context, s store, jobs []job, versions map[string]string) error {
	var parts []job
	for _, j := range jobs {
		parts = append(parts, j.parts()...)
	}
	var keeping sync.Mutex
	crew, ctx := errgroup.WithContext(ctx)
	crew.SetLimit(max(o.beside, 1))
	for i, j := range parts {
		say := func(what string) { fmt.Fprintf(os.Stderr, "[%d of %d] %s%s\n", i+1, len(parts), command(j), what) }
		version := versions[j.Kind]
		keeping.Lock()
		old, err := s.read(j.file)
		keeping.Unlock()
		if err == nil && o.skip && old.has(j, version) {
			say(": measured already")
			continue
		}
		progress := io.Writer(os.Stderr)
		if o.beside > 1 && j.bySeed() {
			progress = io.Discard // of several, one line would overwrite the other
		}
		do := func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			say("")
			m, err := measure(ctx, o.murmur, j, progress)
			if err != nil {
				return err
			}
			say(fmt.Sprintf(": done in %v", time.Duration(m.Seconds)*time.Second))
			keeping.Lock()
			defer keeping.Unlock()
			return s.keep(j, version, m)
		}
		if j.bySeed() {
			crew.Go(do)
		} else if err := do(); err != nil {
			return errors.Join(err, crew.Wait())
		}
	}
	return crew.Wait()
}

// jobs returns what the flags ask for.
func (o *options) jobs() ([]job, error) {
	if o.only == "none" {
		return nil, nil
	}
	want := kinds
	if o.engines != "" {
		want = strings.Split(o.engines, ",")
	}
	for _, k := range want {
		if !slices.Contains(kinds, k) {
			return nil, fmt.Errorf("--engine: %q is none of %s", k, strings.Join(kinds, ", "))
		}
	}
	if o.growth {
		return o.audiences(want), nil
	}
	names := scenarios
	if o.rtt != "" {
		names = slices.Insert(slices.Clone(names), slices.Index(names, world)+1, onMatrix)
	}
	if o.only != "" {
		names = strings.Split(o.only, ",")
	}
	var jobs []job
	for _, k := range want {
		for _, name := range names {
			if name == onMatrix && o.rtt == "" {
				return nil, fmt.Errorf("--only %s: which matrix? Give it with --rtt", name)
			}
			s, err := load(strings.TrimSuffix(name, matrixRow))
			if err != nil {
				return nil, err
			}
			if s.Peers > most[k] {
				continue
			}
			j := job{Scenario: s.Name, Kind: k, Seed: o.seed, Seeds: o.seeds, For: o.measured, file: name + "-" + k}
			if name == onMatrix {
				j.RTT = o.rtt
			}
			jobs = append(jobs, j)
		}
	}
	return jobs, nil
}

// audiences returns the measurements of the growth plot.
func (o *options) audiences(kinds []string) []job {
	var jobs []job
	for _, k := range kinds {
		for _, n := range []int{50, 100, 200, 500, 1000, 2000, 5000, 10_000} {
			if o.only != "" && !slices.Contains(strings.Split(o.only, ","), fmt.Sprint(n)) {
				continue
			}
			if k == onModel || k == onStack && n <= 200 {
				j := job{Scenario: growthScenario, Kind: k, Seed: o.seed, Seeds: o.seeds, Peers: n, For: 15 * time.Second, file: fmt.Sprintf("growth-%s-%d", k, n)}
				if n >= 2000 { // of so many peers, one seed says as much as three
					j.Seeds = 1
				}
				jobs = append(jobs, j)
			}
		}
	}
	return jobs
}

// world is the scenario that is measured with a matrix, too, in a row of its own.
const (
	world     = "world500"
	matrixRow = "-matrix"
	onMatrix  = world + matrixRow
)

// growthScenario is the one whose audience grows.
const growthScenario = "planet10k"
