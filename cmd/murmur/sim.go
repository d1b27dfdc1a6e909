package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"murmuration/sim"
	"murmuration/sim/report"
	"murmuration/sim/trial"
)

type simCmd struct {
	Scenario string         `arg:"" optional:"" help:"Name of a built-in scenario (--list), or a YAML file."`
	Engine   string         `placeholder:"stack|model" help:"stack: real nodes with real QUIC in virtual time. model: the protocol alone, for thousands, and a model of stock gossipsub. Default: stack up to 500 peers."`
	System   string         `placeholder:"gossipsub" help:"Run this system instead of murmuration."`
	Against  string         `placeholder:"gossipsub" help:"Run a second system on the same scenario: gossipsub is stock go-libp2p-pubsub, or with --engine model a model of it."`
	RTT      string         `name:"rtt" placeholder:"FILE" help:"CSV matrix of round trips in milliseconds between cities; peers are spread over them."`
	Peers    *int           `placeholder:"N" help:"Number of peers, instead of the scenario's."`
	For      *time.Duration `placeholder:"60s" help:"Length of what is measured, in virtual time, instead of the scenario's."`
	Warmup   *time.Duration `placeholder:"15s" help:"Virtual time before it, instead of the scenario's."`
	Seeds    int            `default:"1" placeholder:"N" help:"Runs with different seeds; the figures are medians (${default})."`
	Seed     uint64         `default:"1" placeholder:"S" help:"The first seed (${default}): who is where, who comes when, chunk sizes."`
	JSON     bool           `name:"json" help:"Print the figures as one JSON object on standard output."`
	HTML     string         `name:"html" placeholder:"FILE" help:"Write a report with plots, one file that needs nothing else."`
	List     bool           `help:"List the built-in scenarios."`
}

// Help is shown below the flags.
func (simCmd) Help() string {
	return `A simulated internet carries a broadcast, and what every peer received is measured. Time is virtual: the figures do
not depend on this machine, and a minute of it may take seconds or many minutes of yours.

Examples:
  murmur sim --list
  murmur sim venue50 --for 20s                                   a table, in a minute or two
  murmur sim venue50 --against gossipsub --html report.html      beside stock gossipsub, with plots
  murmur sim home200 --engine model --against gossipsub          the same in seconds, both as models
  murmur sim planet10k --engine model --seeds 3 --json           for programs
  murmur sim my.yaml --rtt rtt.csv --peers 100

A scenario of your own starts from a copy of a built-in one (sim/scenarios): peers by class with their links, where they
are, when they come and go, what fails, who misbehaves, the stream. Unknown fields are errors.

Latency is from the origin's publishing of a chunk to its being complete at a peer. lost: later than the scenario's
limit (2s). overhead: bytes received on streams for each byte of media; wire overhead: with the headers of QUIC, UDP and
IP. origin copies: what the origin sent, in copies of the stream.

Stock gossipsub on real nodes takes three quarters of an hour for home200. Its model takes seconds, and where it differs from
real nodes it is faster: it errs in gossipsub's favour.

With -v the nodes of the stack engine tell what they do.

Ctrl-C ends it early and prints what there is; a second one ends it at once.`
}

// Run is called by kong.
func (c simCmd) Run(e *env) error {
	if c.List {
		return c.list(e)
	}
	s, err := c.scenario()
	if err != nil {
		return usage(err)
	}
	var html *os.File
	if c.HTML != "" { // before the work, not after it
		if html, err = os.Create(c.HTML); err != nil {
			return usage(err)
		}
		defer func() { _ = html.Close() }() // Write's errors are the ones that count
	}
	log := e.log
	if !log.Enabled(e.ctx, slog.LevelInfo) {
		log = nil // what the simulated nodes warn of is nothing that anybody could see to
	}
	meter := newMeter(e.stderr)
	rep, err := trial.Run(e.ctx, trial.Config{
		Scenario: s, Engine: c.Engine, System: c.System, Against: c.Against, Seeds: c.Seeds, Seed: c.Seed, Log: log, Progress: meter.show,
	})
	meter.clear()
	if errors.Is(err, trial.ErrUsage) || errors.Is(err, sim.ErrScenario) {
		return usage(err)
	} else if err != nil {
		return err
	}
	if rep.Stopped {
		e.say("stopped early: the figures are of what there was until then")
	}
	if len(rep.Systems) == 0 {
		e.say("nothing was measured yet: the warm-up takes %v of virtual time", s.Warmup)
	}
	for _, r := range rep.Systems {
		if r.Latency.Max == 0 && r.Lost == 0 {
			e.say("%s: no chunk counts, since peers do from %v after they come: measure longer, or later", r.Name, s.Settle)
		}
	}
	if html != nil {
		if err := report.Write(html, report.Page{Report: rep, Scenario: s, Command: c.command()}); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		e.say("report    %s", c.HTML)
	}
	if c.JSON {
		return json.NewEncoder(e.stdout).Encode(rep)
	}
	return report.Table(e.stdout, rep)
}

func (c simCmd) list(e *env) error {
	for _, name := range sim.Names() {
		s, err := sim.Load(name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(e.stdout, "%-10s %5d peers  %s\n", s.Name, s.Peers, s.About); err != nil {
			return err
		}
	}
	return nil
}

// scenario loads the scenario and changes what flags say.
func (c simCmd) scenario() (*sim.Scenario, error) {
	if c.Scenario == "" {
		return nil, fmt.Errorf("which scenario? %s, or a file", strings.Join(sim.Names(), ", "))
	}
	s, err := sim.Load(c.Scenario)
	if err != nil {
		return nil, err
	}
	if c.RTT != "" {
		s.Place = sim.Place{Matrix: c.RTT}
	}
	if s.Place.Matrix != "" {
		if err := sim.CheckMatrix(s.Place.Matrix); err != nil {
			return nil, err
		}
	}
	if c.Seeds < 1 {
		return nil, errors.New("--seeds: at least one run is needed")
	}
	if c.Peers != nil {
		s.Resize(*c.Peers)
	}
	if c.For != nil {
		s.Duration = *c.For
	}
	if c.Warmup != nil {
		s.Warmup = *c.Warmup
	}
	return s, s.Check()
}

// command returns the command line that repeats the run.
func (c simCmd) command() string {
	line := []string{"murmur sim", c.Scenario}
	add := func(set bool, format string, args ...any) {
		if set {
			line = append(line, fmt.Sprintf(format, args...))
		}
	}
	add(c.Engine != "", "--engine %s", c.Engine)
	add(c.System != "", "--system %s", c.System)
	add(c.Against != "", "--against %s", c.Against)
	add(c.RTT != "", "--rtt %s", c.RTT)
	if c.Peers != nil {
		line = append(line, fmt.Sprintf("--peers %d", *c.Peers))
	}
	if c.For != nil {
		line = append(line, fmt.Sprintf("--for %v", *c.For))
	}
	if c.Warmup != nil {
		line = append(line, fmt.Sprintf("--warmup %v", *c.Warmup))
	}
	add(c.Seeds > 1, "--seeds %d", c.Seeds)
	add(c.Seed > 1, "--seed %d", c.Seed)
	return strings.Join(line, " ")
}

// meter shows on a terminal's last line, or else now and again, how far a trial is.
type meter struct {
	w        io.Writer
	began    time.Time
	last     time.Time
	terminal bool
}

func newMeter(w io.Writer) *meter {
	m := &meter{w: w, began: time.Now()}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			m.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return m
}

// dull is how often progress is told where it cannot be shown in place.
const dull = 10 * time.Second

func (m *meter) show(p trial.Progress) {
	now := time.Now()
	if !m.terminal && now.Sub(m.last) < dull {
		return
	}
	m.last = now
	spent := now.Sub(m.began)
	left := "?"
	if p.Part > 0.01 && spent > 2*time.Second {
		left = time.Duration(float64(spent) * (1 - p.Part) / p.Part).Round(time.Second).String()
	}
	line := fmt.Sprintf("%3.0f %%  %s, run %d of %d: %.0f of %.0f s simulated, %v spent, about %s left",
		100*p.Part, p.System, p.Run, p.Runs, p.Done.Seconds(), p.Total.Seconds(), spent.Round(time.Second), left)
	if m.terminal {
		line = "\r\x1b[K" + line
	} else {
		line += "\n"
	}
	m.write(line)
}

func (m *meter) clear() {
	if m.terminal {
		m.write("\r\x1b[K")
	}
}

// write shows what it can: a run is not stopped for its progress.
func (m *meter) write(s string) { _, _ = io.WriteString(m.w, s) }
