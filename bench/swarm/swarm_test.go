package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"murmuration/sim"
	"murmuration/sim/report"
)

// TestGrowsNoFasterThanLog holds the kept figures to what is claimed: from 50 peers to 10,000, latency lies on a line
// over the logarithm of the audience, and does not bend upwards.
func TestGrowsNoFasterThanLog(t *testing.T) {
	g, err := store{"results"}.growth()
	if err != nil {
		t.Fatal(err)
	}
	g = g.of(onModel)
	if len(g) < 6 || g[0].Peers > 50 || g[len(g)-1].Peers < 10_000 {
		t.Fatalf("%d audiences are kept; go run ./bench/swarm --growth --engine model", len(g))
	}
	for name, get := range map[string]func(*report.Audience) float64{
		"p50": func(x *report.Audience) float64 { return x.P50 },
		"p99": func(x *report.Audience) float64 { return x.P99 },
	} {
		if above := g.above(get); above > 1.1 {
			t.Errorf("%s of %d peers is %.2f times what smaller audiences tell", name, g[len(g)-1].Peers, above)
		}
		a, b := g.fit(get)
		t.Logf("%s: %.0f + %.0f ms ln(peers), the largest at %.2f times what the smaller half tells", name, a, b, g.above(get))
	}
}

// TestAbove knows a curve that bends upwards.
func TestAbove(t *testing.T) {
	var g growth
	for n := 50; n <= 12_800; n *= 2 {
		g = append(g, report.Audience{Peers: n, P50: 100 + float64(n)/20})
	}
	if above := g.above(func(x *report.Audience) float64 { return x.P50 }); above < 2 {
		t.Errorf("linear growth passes: %v", above)
	}
}

// TestJobs: flags choose, and every scenario of the table is there.
func TestJobs(t *testing.T) {
	all, err := (&options{seeds: 3}).jobs()
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, j := range all {
		n[j.Kind]++
	}
	if n[onModel] != len(scenarios) || n[onStack] != len(scenarios)-1 || n[stock] != 5 || n[stockModel] != len(scenarios)-1 {
		t.Errorf("%v", n)
	}
	few, err := (&options{seeds: 1, only: "home200", engines: "model"}).jobs()
	if err != nil || len(few) != 1 || command(few[0]) != "murmur sim home200 --engine model --seeds 1" {
		t.Errorf("%+v, %v", few, err)
	}
	model, err := (&options{seeds: 2, only: "tight500", engines: "gossipsub-model"}).jobs()
	if err != nil || len(model) != 1 || command(model[0]) != "murmur sim tight500 --engine model --system gossipsub --seeds 2" {
		t.Errorf("%+v, %v", model, err)
	}
	world, err := (&options{seeds: 1, only: "world500,world500-matrix", engines: "stack", rtt: "/some/where/rtt.csv"}).jobs()
	if err != nil || len(world) != 2 || command(world[1]) != "murmur sim world500 --engine stack --rtt rtt.csv --seeds 1" {
		t.Errorf("%+v, %v", world, err)
	}
	if all, err := (&options{seeds: 1, engines: "model", rtt: "rtt.csv"}).jobs(); err != nil || len(all) != len(scenarios)+1 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := (&options{only: "world500-matrix"}).jobs(); err == nil {
		t.Error("a row on a matrix without one is taken")
	}
	if _, err := (&options{only: "home201"}).jobs(); !errors.Is(err, sim.ErrScenario) {
		t.Error(err)
	}
	if _, err := (&options{engines: "steam"}).jobs(); err == nil {
		t.Error("an unknown engine is taken")
	}
}

// TestKeepBySeed: rows of real nodes gather their seeds, in whatever order they come, and another version begins anew.
func TestKeepBySeed(t *testing.T) {
	s := store{t.TempDir()}
	j := job{Scenario: "home200", Kind: onStack, Seed: 1, Seeds: 3, file: "home200-stack"}
	keep := func(version string, seed uint64, p50 float64) *record {
		t.Helper()
		m := &measured{Seconds: 60, CPU: 50}
		m.Report.FirstSeed, m.Report.Seeds = seed, 1
		m.Report.Systems = []sim.Result{{Latency: sim.Quantiles{P50: p50, P99: 2 * p50}}}
		if err := s.keep(j.parts()[seed-1], version, m); err != nil {
			t.Fatal(err)
		}
		r, err := s.read(j.file)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, x := range []struct {
		version string
		seed    uint64
		p50     float64
		want    float64
		command string
	}{
		{"a", 1, 130, 130, "murmur sim home200 --engine stack --seeds 1"},
		{"a", 3, 150, 130, "murmur sim home200 --engine stack --seeds 1"}, // the second is missing
		{"a", 2, 140, 140, "murmur sim home200 --engine stack --seeds 3"},
		{"a", 3, 135, 135, "murmur sim home200 --engine stack --seeds 3"}, // in place of the other
		{"b", 2, 120, 120, "murmur sim home200 --engine stack --seeds 1 --seed 2"},
		{"b", 1, 110, 120, "murmur sim home200 --engine stack --seeds 2"}, // the worse of two
	} {
		r := keep(x.version, x.seed, x.p50)
		if r.Report.Systems[0].Latency.P50 != x.want || r.Command != x.command || r.Seconds != 60*float64(r.Report.Seeds) {
			t.Errorf("after seed %d in %s: %v, %q, %v s", x.seed, x.version, r.Report.Systems[0].Latency.P50, r.Command, r.Seconds)
		}
		part := j.parts()
		if !r.has(part[x.seed-1], x.version) || r.has(part[x.seed-1], "c") || x.version == "b" && r.has(part[2], "b") {
			t.Errorf("after seed %d in %s: what is measured is not known", x.seed, x.version)
		}
		longer := part[x.seed-1]
		if longer.For = 90 * time.Second; r.has(longer, x.version) {
			t.Error("a row of 60 s passes for one of 90 s")
		}
	}
}

// TestShow writes a table of what is kept, with what is missed.
func TestShow(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "bench", "swarm", "results")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := store{dir}
	if _, err := s.read("home200-model"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	r := &record{Command: "murmur sim home200 --engine model --seeds 3", Version: "abc"}
	none := 0.0
	r.Report.FirstSeed, r.Report.Scenario, r.Report.Seeds, r.Report.Target = 1, "home200", 3, sim.Target{P50: 220, P99: 350, Lost: &none, Overhead: 1.05}
	r.Report.Systems = []sim.Result{{
		Name: "murmuration", Latency: sim.Quantiles{P50: 130, P99: 400}, Floor: sim.Quantiles{P50: 40, P99: 80}, Overhead: 1.04, Lost: 0.002,
	}}
	for _, name := range []string{"home200-model", "home200-gossipsub", "home200-gossipsub-model", "growth-model-50", "growth-model-100", "growth-model-200"} {
		if err := s.write(name, r); err != nil {
			t.Fatal(err)
		}
	}
	bySeed := *r
	bySeed.Runs = []measured{{Report: r.Report}}
	if err := s.write("home200-stack", &bySeed); err != nil {
		t.Fatal(err)
	}
	o := &options{root: root, only: "none"}
	if err := o.run(t.Context()); err == nil {
		t.Error("a folder without git has a version")
	}
	if err := o.show(s); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "bench", "SWARM.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| 130 (220) |", "**400** (350 ✗)", "**0.2 %** (0 ✗)", "90 / 320", "`murmur sim home200 --engine model --seeds 3` at abc", "growth.svg", "| home200 | 1 | 130 / 400 | 40 / 80 | 0.2 % | 1.040 |", "## A model of stock gossipsub", "against real nodes\n\n| scenario | p50 | p99 |\n|---|---|---|\n| home200 | +0 % | +0 % |"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "bench", "growth.svg")); err != nil {
		t.Error(err)
	}
}
