package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"murmuration/sim"
)

// show writes table and plot from what is kept.
func (o *options) show(s store) error {
	var b strings.Builder
	b.WriteString(preface)
	for _, part := range []struct{ kind, title, about string }{
		{onStack, "Real nodes: the stack engine", ""},
		{onModel, "The protocol alone: the model engine", ""},
		{stock, "Stock gossipsub, whole messages, on the stack engine", ""},
		{stockModel, "A model of stock gossipsub, whole messages", aboutModel},
	} {
		rows, err := s.rows(part.kind)
		if err != nil {
			return err
		}
		if rows == "" {
			rows = "Not measured yet.\n"
		} else {
			rows = columns + rows
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s%s", part.title, part.about, rows)
		if part.kind == onStack {
			seeds, err := s.seeds(part.kind)
			if err != nil {
				return err
			}
			b.WriteString(seeds)
		}
	}
	near, err := s.against(stock, stockModel, "The model of stock gossipsub against real nodes")
	if err != nil {
		return err
	}
	b.WriteString(near)
	agree, err := s.against(onStack, onModel, "The model's latency against the stack's")
	if err != nil {
		return err
	}
	b.WriteString(agree)
	growth, err := s.growth()
	if err != nil {
		return err
	}
	if len(growth) > 0 {
		b.WriteString(growth.text())
		if err := growth.draw(filepath.Join(o.root, "bench", "growth.svg")); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(o.root, "bench", "SWARM.md"), []byte(b.String()), 0o644)
}

const preface = `# How chunks spread, measured

Written by ` + "`go run ./bench/swarm`" + ` from swarm/results, one file a row: the command, the version, all figures and their
course over time. Repeat a row by its command after ` + "`make build`" + `, or with ` + "`go run ./bench/swarm --only SCENARIO --engine ENGINE`" + `.

3 Mbit/s in chunks of 250 ms, independent chunks three times the average; from the origin's publishing to the chunk
complete at the peer, in virtual time, after 15 s of warm-up; medians over the seeds, of two the higher. In
brackets the target, with ✗ where it is missed. Lost: later than 2 s. Bytes: received on streams, over bytes of media. Floor: the direct one-way delay plus
one fragment's time on the origin's uplink and on the peer's downlink; above it: how much more the median peer, and the
slowest hundredth, wait. world500-matrix is world500 on measured round trips between 234 cities (the WonderNetwork data of
2018 as a CSV file, given with --rtt) instead of the built-in model of cities.
`

const aboutModel = `Real stock nodes take three quarters of an hour for home200, so beside them there is a model (sim/model/gossip: what
go-libp2p-pubsub v0.19.0 does with default parameters, message by message, on the model engine's links). Where it differs
from real nodes it errs in gossipsub's favour: its connections never lose packets to full queues and never slow down, its
nodes notice within 3 s who vanished, and no node has more neighbours than one of ours. On short runs of real nodes with 12
to 50 peers, bytes and the origin's copies agreed within a tenth or so, and its median was 0.4 to 1.2 times theirs (sim/model's
package comment has the figures). On long ways with lost packets it errs by far:
liars has 26 s among real nodes and 1.5 s in the model. Of 50 such peers (seed 1, copies of liars.yaml
with "--peers 50 --warmup 10s --for 15s") real ones have 6.9 s, 3.6 without loss, 5.3 with nobody who sends garbage; the model has 1.5, 0.6 and 1.4. World500, which real stock nodes have not been asked for, can hardly have 2 s.
The longer the overload goes on, the larger the latency: 60 s are measured.

`

const columns = `| scenario | p50 ms | p99 ms | lost | bytes | start-up p50 / p95 ms | floor p50 / p99 ms | above it p50 / p99 ms | origin's copies | s measured, seeds | command |
|---|---|---|---|---|---|---|---|---|---|---|
`

// rows returns the lines of a table: what is kept of a kind.
func (s store) rows(kind string) (string, error) {
	var b strings.Builder
	err := s.each(kind, func(name string, rec *record) { b.WriteString(row(name, rec)) })
	return b.String(), err
}

// each calls f with what is kept of a kind, in the order of the tables.
func (s store) each(kind string, f func(name string, rec *record)) error {
	names := scenarios
	for _, extra := range sim.Names() {
		if !slices.Contains(names, extra) {
			names = append(slices.Clone(names), extra)
		}
	}
	names = slices.Insert(slices.Clone(names), slices.Index(names, world)+1, onMatrix)
	for _, name := range names {
		rec, err := s.read(name + "-" + kind)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		f(name, rec)
	}
	return nil
}

// seeds says what the medians are of, where several seeds were measured one by one; nothing where none were.
func (s store) seeds(kind string) (string, error) {
	var b strings.Builder
	err := s.each(kind, func(name string, rec *record) {
		for i := range rec.Runs {
			r := &rec.Runs[i].Report
			x := &r.Systems[0]
			fmt.Fprintf(&b, "| %s | %d | %.0f / %.0f | %.0f / %.0f | %s | %.3f |\n", name, r.FirstSeed,
				x.Latency.P50, x.Latency.P99, x.Floor.P50, x.Floor.P99, percent(x.Lost), x.Overhead)
		}
	})
	if err != nil || b.Len() == 0 {
		return "", err
	}
	return "\nSeed by seed:\n\n| scenario | seed | p50 / p99 ms | floor p50 / p99 ms | lost | bytes |\n|---|---|---|---|---|---|\n" + b.String(), nil
}

func row(name string, rec *record) string {
	r, t := &rec.Report.Systems[0], &rec.Report.Target
	lost, judged := 0.0, t.Lost != nil
	if judged {
		lost = *t.Lost
	}
	start := against(r.Startup.P50, t.StartupP50, t.StartupP50 > 0, ms) + " / " + against(r.Startup.P95, t.StartupP95, t.StartupP95 > 0, ms)
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %.0f / %.0f | %.0f / %.0f | %.1f | %.0f, %d | `%s` at %s |\n",
		name,
		against(r.Latency.P50, t.P50, t.P50 > 0, ms), against(r.Latency.P99, t.P99, t.P99 > 0, ms),
		against(r.Lost, lost, judged, percent), against(r.Overhead, t.Overhead, t.Overhead > 0, share),
		start, r.Floor.P50, r.Floor.P99, r.Latency.P50-r.Floor.P50, r.Latency.P99-r.Floor.P99, r.Copies,
		rec.Report.Seconds, rec.Report.Seeds, rec.Command, rec.Version)
}

// against writes a figure and its target.
func against(got, want float64, judged bool, write func(float64) string) string {
	switch {
	case !judged:
		return write(got)
	case got > want:
		return fmt.Sprintf("**%s** (%s ✗)", write(got), write(want))
	}
	return fmt.Sprintf("%s (%s)", write(got), write(want))
}

func ms(v float64) string    { return fmt.Sprintf("%.0f", v) }
func share(v float64) string { return fmt.Sprintf("%.3f", v) }

func percent(v float64) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%.3g %%", v*100)
}

// against says how far a model is from real nodes where both have measured.
func (s store) against(real, model, title string) (string, error) {
	var b strings.Builder
	for _, name := range scenarios {
		a, err := s.read(name + "-" + real)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return "", err
		}
		m, err := s.read(name + "-" + model)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return "", err
		}
		x, y := a.Report.Systems[0].Latency, m.Report.Systems[0].Latency
		if x.P50 > 0 && x.P99 > 0 {
			fmt.Fprintf(&b, "| %s | %+.0f %% | %+.0f %% |\n", name, 100*(y.P50/x.P50-1), 100*(y.P99/x.P99-1))
		}
	}
	if b.Len() == 0 {
		return "", nil
	}
	return "\n## " + title + "\n\n| scenario | p50 | p99 |\n|---|---|---|\n" + b.String(), nil
}
