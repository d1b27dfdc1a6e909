package trial

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"murmuration/sim"
)

func small(t *testing.T) *sim.Scenario {
	t.Helper()
	s, err := sim.Load("venue50")
	if err != nil {
		t.Fatal(err)
	}
	s.Resize(6)
	s.Warmup, s.Duration = 3*time.Second, 2*time.Second
	return s
}

// TestSideBySide runs both systems on the stack engine, and wants the JSON as documented.
func TestSideBySide(t *testing.T) {
	last := 0.0
	rep, err := Run(t.Context(), Config{Scenario: small(t), Against: "gossipsub", T: t, Progress: func(p Progress) {
		if p.Part < last || p.Part > 1 || p.Runs != 2 {
			t.Errorf("progress %+v after %v", p, last)
		}
		last = p.Part
	}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Scenario, Engine, Note string
		Seeds                  int
		Dissemination          map[string]string
		Systems                []struct {
			Name    string
			Latency struct{ P50, P95, P99, Max float64 } `json:"latency_ms"`
			Startup struct{ P50, P95 float64 }           `json:"startup_ms"`
			Lost    *float64
			Over    float64 `json:"overhead"`
			Copies  float64 `json:"origin_copies"`
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Scenario != "venue50" || got.Engine != Stack || got.Seeds != 1 || len(got.Systems) != 2 || got.Systems[1].Name != "gossipsub" {
		t.Fatalf("%s", b)
	}
	for _, s := range got.Systems {
		if s.Latency.P50 <= 0 || s.Latency.Max < s.Latency.P99 || s.Startup.P95 < s.Startup.P50 || s.Lost == nil || s.Over < 1 || s.Copies <= 0 {
			t.Errorf("%+v", s)
		}
		if got.Dissemination[s.Name] == "" {
			t.Errorf("nothing says how %s spreads chunks", s.Name)
		}
	}
	if !strings.Contains(got.Note, "mesh.Node") {
		t.Errorf("note %q", got.Note)
	}
}

// TestModel runs some seeds on the model engine.
func TestModel(t *testing.T) {
	rep, err := Run(t.Context(), Config{Scenario: small(t), Engine: Model, Seeds: 3})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Seeds != 3 || len(rep.Systems) != 1 || rep.Systems[0].Latency.P50 <= 0 || len(rep.Details) != 1 {
		t.Fatalf("%+v", rep)
	}
	d := rep.Details[0]
	if len(d.Peers) != 7 || len(d.Feeds) < 6 || len(d.Startup) == 0 || len(rep.Systems[0].Waiting.PerHour) == 0 {
		t.Errorf("details %+v", d)
	}
}

// TestModelAgainst runs both systems on the model engine, with several seeds, and says that gossipsub is a model there.
func TestModelAgainst(t *testing.T) {
	rep, err := Run(t.Context(), Config{Scenario: small(t), Engine: Model, Against: "gossipsub", Seeds: 3})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Seeds != 3 || len(rep.Systems) != 2 || len(rep.Details) != 2 || rep.Systems[0].Name != "murmuration" || rep.Systems[1].Name != "gossipsub" {
		t.Fatalf("%+v", rep)
	}
	ours, stock := &rep.Systems[0], &rep.Systems[1]
	if stock.Latency.P50 <= 0 || stock.Overhead < 2*ours.Overhead || stock.Startup.P50 <= 0 || len(stock.Waiting.PerHour) == 0 {
		t.Errorf("%+v", stock)
	}
	if d := rep.Details[1]; len(d.Peers) != 7 || len(d.Feeds) < 6 || len(d.Startup) != 6 {
		t.Errorf("details %+v", d)
	}
	if s := rep.Dissemination["gossipsub"]; !strings.HasPrefix(s, "a model of stock gossipsub") || rep.Dissemination["murmuration"] == s {
		t.Errorf("dissemination %q", rep.Dissemination)
	}
	alone, err := Run(t.Context(), Config{Scenario: small(t), Engine: Model, System: "gossipsub", Seeds: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(alone.Systems) != 1 || alone.Systems[0].Latency != stock.Latency {
		t.Errorf("alone %+v, beside ours %+v", alone.Systems, stock)
	}
}

// TestStopped keeps the runs that were completed, or else what there is of one.
func TestStopped(t *testing.T) {
	for _, x := range []struct {
		run  int
		at   time.Duration
		want int
	}{{runtime.GOMAXPROCS(0) + 1, time.Second, runtime.GOMAXPROCS(0)}, {1, 7 * time.Second, 1}} {
		ctx, stop := context.WithCancel(t.Context())
		s := small(t)
		s.Duration = 10 * time.Second
		rep, err := Run(ctx, Config{Scenario: s, Engine: Model, Seeds: 50, Progress: func(p Progress) {
			if p.Run == x.run && p.Done > x.at {
				stop()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if !rep.Stopped || rep.Seeds < 1 || rep.Seeds > x.want || len(rep.Systems) != 1 || rep.Systems[0].Lost > 0 || rep.Systems[0].Latency.P50 <= 0 {
			t.Errorf("%+v", rep)
		}
		stop()
	}
}

// TestSeedsAlike: runs side by side give what each gives by itself.
func TestSeedsAlike(t *testing.T) {
	p50 := func(seed uint64, seeds int) float64 {
		rep, err := Run(t.Context(), Config{Scenario: small(t), Engine: Model, Seed: seed, Seeds: seeds})
		if err != nil {
			t.Fatal(err)
		}
		return rep.Systems[0].Latency.P50
	}
	each := []float64{p50(5, 1), p50(6, 1), p50(7, 1)}
	slices.Sort(each)
	if got := p50(5, 3); got != each[1] {
		t.Errorf("median of three p50 is %v, of %v one by one", got, each)
	}
}

// TestDefaults chooses the engine by the number of peers, and refuses what cannot be.
func TestDefaults(t *testing.T) {
	for peers, want := range map[int]string{1: Stack, StackMost: Stack, StackMost + 1: Model} {
		s := small(t)
		s.Resize(peers)
		if c, err := (Config{Scenario: s}).checked(); err != nil || c.Engine != want {
			t.Errorf("%d peers: %q, %v", peers, c.Engine, err)
		}
	}
	for _, c := range []Config{
		{Engine: "steam"}, {Against: "pigeons"}, {System: "pigeons"}, {System: "gossipsub", Against: "gossipsub"}, {Seeds: -1}, {Seeds: 1e6},
	} {
		c.Scenario = small(t)
		if _, err := Run(t.Context(), c); !errors.Is(err, ErrUsage) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
