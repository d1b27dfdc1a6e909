package stack

import (
	"os"
	"strconv"
	"testing"
	"time"

	"murmuration/sim"
)

func TestTry(t *testing.T) {
	name := os.Getenv("SCEN")
	s, err := sim.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := strconv.Atoi(os.Getenv("N")); err == nil {
		s.Peers = n
	}
	if d, err := time.ParseDuration(os.Getenv("FOR")); err == nil {
		s.Duration = d
	}
	if d, err := time.ParseDuration(os.Getenv("WARM")); err == nil {
		s.Warmup = d
	}
	sys := os.Getenv("SYS")
	if sys == "" {
		sys = Murmuration
	}
	r, d, err := Run(t.Context(), Config{Scenario: s, System: sys, Seed: 1, T: t})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	t.Logf("feeds %d peers %d", len(d.Feeds), len(d.Peers))
}
