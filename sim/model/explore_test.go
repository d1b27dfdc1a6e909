package model

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"runtime/pprof"
	"testing"
	"time"

	"murmuration/sim"
)

var (
	flagScenario = flag.String("scenario", "", "run this scenario and print what came of it")
	flagSeed     = flag.Uint64("seed", 1, "first seed")
	flagSeeds    = flag.Int("seeds", 1, "how many seeds")
	flagPeers    = flag.Int("peers", 0, "peers instead of the scenario's")
	flagFor      = flag.Duration("for", 0, "measured time instead of the scenario's")
	flagMatrix   = flag.String("matrix", "", "round-trip matrix instead of the built-in cities")
	flagJSON     = flag.Bool("json", false, "print the whole report")
	flagFlat     = flag.Bool("flat", false, "chunks of equal size")
	flagSeries   = flag.Bool("series", false, "print the latency by ten seconds")
	flagProfile  = flag.String("profile", "", "write a CPU profile here")
)

// TestExplore runs one scenario by flags: go test ./sim/model -run Explore -v -args -scenario home200 -for 20s
func TestExplore(t *testing.T) {
	if *flagScenario == "" {
		t.Skip("no -scenario given")
	}
	s, err := sim.Load(*flagScenario)
	if err != nil {
		t.Fatal(err)
	}
	if *flagPeers > 0 {
		s.Peers = *flagPeers
	}
	if *flagFor > 0 {
		s.Duration = *flagFor
	}
	if *flagMatrix != "" {
		s.Place.Matrix = *flagMatrix
	}
	if *flagFlat {
		s.Track.Keyframe, s.Track.Vary = 1, 1e-9
	}
	if *flagProfile != "" {
		f, err := os.Create(*flagProfile)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if err := pprof.StartCPUProfile(f); err != nil {
			t.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	began := time.Now()
	rep, runs, err := RunSeeds(context.Background(), s, *flagSeed, *flagSeeds, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range runs {
		print1(t, &runs[i])
	}
	r := &rep.Systems[0]
	if len(runs) > 1 {
		print1(t, r)
	}
	t.Logf("wall %.1fs events %d heap %d MB; hops %+v", time.Since(began).Seconds(), r.Cost.Events, r.Cost.Bytes>>20, r.ByHops)
	if *flagSeries {
		for i := 0; i+10 <= len(r.Series); i += 10 {
			var p50, p99 float64
			for _, p := range r.Series[i : i+10] {
				p50 += p.P50 / 10
				p99 += p.P99 / 10
			}
			t.Logf("  %ds p50 %.0f p99 %.0f", i, p50, p99)
		}
	}
	for _, c := range r.ByClass {
		t.Logf("class %+v", c)
	}
	for _, m := range s.Target.Misses(r) {
		t.Logf("MISS %s %.4f, target %.4f", m.What, m.Got, m.Want)
	}
	if *flagJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", " ")
		if err := enc.Encode(rep); err != nil {
			t.Fatal(err)
		}
	}
}

func print1(t *testing.T, r *sim.Result) {
	t.Logf("p50 %.0f p95 %.0f p99 %.0f max %.0f | start p50 %.0f p95 %.0f | lost %.5f | overhead %.4f wire %.4f | origin %.1f shares p50 %.2f p99 %.2f max %.2f | repair %.4f dup %.4f ctl %.1f chg/min %.2f feedlost/min %.2f | floor %.0f/%.0f stretch %.2f",
		r.Latency.P50, r.Latency.P95, r.Latency.P99, r.Latency.Max, r.Startup.P50, r.Startup.P95, r.Lost, r.Overhead, r.Wire, r.Copies,
		r.Shares.P50, r.Shares.P99, r.Shares.Max, r.Repair, r.Duplicate, r.Control, r.Changes, r.FeedsLost, r.Floor.P50, r.Floor.P99, r.Stretch.P50)
}
