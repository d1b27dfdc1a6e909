package model

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"murmuration/sim"
)

var update = flag.Bool("update", false, "keep the figures of this run for TestGate")

// figures are what TestGate compares.
type figures struct {
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Startup  float64 `json:"startup_p50_ms"`
	Lost     float64 `json:"lost"`
	Overhead float64 `json:"overhead"`
}

// TestGate runs small scenarios and fails where a figure falls clearly behind the kept one. Time is virtual, so the
// figures are the same on any machine; the room is for changes that move them a little. Keep new ones with -update.
func TestGate(t *testing.T) {
	file := filepath.Join("testdata", "gate.json")
	kept := map[string]figures{}
	if b, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(b, &kept); err != nil {
			t.Fatal(err)
		}
	} else if !*update {
		t.Fatal(err)
	}
	now := map[string]figures{}
	for _, x := range []struct {
		scenario string
		peers    int
		measured time.Duration
	}{
		{"venue50", 50, 10 * time.Second},
		{"tight500", 120, 10 * time.Second},
		{"world500", 100, 10 * time.Second},
		{"churn200", 80, 20 * time.Second},
		{"flash", 100, 22 * time.Second},
		{"liars", 80, 10 * time.Second},
		{"freeriders", 80, 10 * time.Second},
	} {
		s, err := sim.Load(x.scenario)
		if err != nil {
			t.Fatal(err)
		}
		if c := s.Join.Crowd; c != nil {
			c.Peers = c.Peers * x.peers / s.Peers
		}
		s.Peers, s.Duration = x.peers, x.measured
		rep, _, err := RunSeeds(context.Background(), s, 1, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := &rep.Systems[0]
		got := figures{r.Latency.P50, r.Latency.P99, r.Startup.P50, r.Lost, r.Overhead}
		now[x.scenario] = got
		want, ok := kept[x.scenario]
		if *update {
			continue
		}
		if !ok {
			t.Errorf("%s has no kept figures", x.scenario)
		}
		if got.P50 > want.P50*1.1+5 || got.P99 > want.P99*1.2+10 || got.Startup > want.Startup*1.2+50 ||
			got.Lost > want.Lost+0.001 || got.Overhead > want.Overhead+0.015 {
			t.Errorf("%s: %+v, kept %+v", x.scenario, got, want)
		}
	}
	if *update {
		b, err := json.MarshalIndent(now, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
