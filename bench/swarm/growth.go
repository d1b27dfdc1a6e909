package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"murmuration/sim/report"
)

// growth is latency by audience.
type growth []report.Audience

// growth reads what is kept of it.
func (s store) growth() (growth, error) {
	var g growth
	for _, kind := range []string{onModel, onStack} {
		for _, n := range []int{50, 100, 200, 500, 1000, 2000, 5000, 10_000} {
			rec, err := s.read(fmt.Sprintf("growth-%s-%d", kind, n))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return nil, err
			}
			r := &rec.Report.Systems[0]
			g = append(g, report.Audience{Engine: kind, Peers: n, P50: r.Latency.P50, P99: r.Latency.P99, Floor: r.Floor.P50})
		}
	}
	return g, nil
}

func (g growth) text() string {
	m := g.of(onModel)
	if len(m) < 3 {
		return ""
	}
	a, b := m.fit(func(x *report.Audience) float64 { return x.P50 })
	c, d := m.fit(func(x *report.Audience) float64 { return x.P99 })
	out := fmt.Sprintf(`
## Latency by audience

`+"`go run ./bench/swarm --growth --engine model`"+` (%s with other numbers of peers, 15 s measured) draws:

![latency over the number of peers](growth.svg)

The median follows %.0f + %.0f ms · ln(peers), the slowest hundredth %.0f + %.0f ms · ln(peers).

| peers | engine | p50 ms | p99 ms | median floor ms |
|---|---|---|---|---|
`, growthScenario, a, b, c, d)
	for _, x := range g {
		out += fmt.Sprintf("| %d | %s | %.0f | %.0f | %.0f |\n", x.Peers, x.Engine, x.P50, x.P99, x.Floor)
	}
	return out
}

func (g growth) of(engine string) growth {
	var out growth
	for _, x := range g {
		if x.Engine == engine {
			out = append(out, x)
		}
	}
	return out
}

// fit returns the least-squares line of a figure over the logarithm of the audience: a + b ln(peers).
func (g growth) fit(get func(*report.Audience) float64) (a, b float64) {
	return report.Fit(g, get)
}

func (g growth) draw(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(report.Growth(f, g), f.Close())
}

// above returns by how much the largest audience's figure is above what a line through the smaller half tells of it, as
// a ratio.
func (g growth) above(get func(*report.Audience) float64) float64 {
	half := g[:(len(g)+1)/2+1]
	a, b := report.Fit(half, get)
	last := &g[len(g)-1]
	return get(last) / (a + b*math.Log(float64(last.Peers)))
}
