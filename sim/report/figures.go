package report

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"

	"murmuration/sim"
	"murmuration/sim/trial"
)

// figure is one row of what was measured: a value for each system, and the target where there is one.
type figure struct {
	Name   string
	Values []string
	Missed []bool // the target, by system
	Target string
}

// figures returns the rows that terminal and page show.
func figures(rep *trial.Report) []figure {
	t := &rep.Target
	lost, haveLost := 0.0, t.Lost != nil
	if haveLost {
		lost = *t.Lost
	}
	var rows []figure
	add := func(name string, write func(float64) string, get func(*sim.Result) float64, target float64, judged bool) {
		f := figure{Name: name}
		for i := range rep.Systems {
			v := get(&rep.Systems[i])
			f.Values = append(f.Values, write(v))
			f.Missed = append(f.Missed, judged && v > target)
		}
		if judged {
			f.Target = write(target)
		}
		rows = append(rows, f)
	}
	plain := func(name string, write func(float64) string, get func(*sim.Result) float64) {
		add(name, write, get, 0, false)
	}
	add("latency p50", ms, func(r *sim.Result) float64 { return r.Latency.P50 }, t.P50, t.P50 > 0)
	plain("latency p95", ms, func(r *sim.Result) float64 { return r.Latency.P95 })
	add("latency p99", ms, func(r *sim.Result) float64 { return r.Latency.P99 }, t.P99, t.P99 > 0)
	plain("latency worst", ms, func(r *sim.Result) float64 { return r.Latency.Max })
	add("lost", percent, func(r *sim.Result) float64 { return r.Lost }, lost, haveLost)
	add("overhead", number, func(r *sim.Result) float64 { return r.Overhead }, t.Overhead, t.Overhead > 0)
	plain("wire overhead", number, func(r *sim.Result) float64 { return r.Wire })
	plain("origin copies", number, func(r *sim.Result) float64 { return r.Copies })
	plain("peer copies p50", number, func(r *sim.Result) float64 { return r.Shares.P50 })
	plain("peer copies most", number, func(r *sim.Result) float64 { return r.Shares.Max })
	add("start-up p50", ms, func(r *sim.Result) float64 { return r.Startup.P50 }, t.StartupP50, t.StartupP50 > 0)
	add("start-up p95", ms, func(r *sim.Result) float64 { return r.Startup.P95 }, t.StartupP95, t.StartupP95 > 0)
	plain("repaired", percent, func(r *sim.Result) float64 { return r.Repair })
	plain("duplicates", percent, func(r *sim.Result) float64 { return r.Duplicate })
	plain("floor p50", ms, func(r *sim.Result) float64 { return r.Floor.P50 })
	plain("stretch p50", number, func(r *sim.Result) float64 { return r.Stretch.P50 })
	return rows
}

// headline says what was run.
func headline(rep *trial.Report) string {
	seeds := "seed"
	if rep.Seeds != 1 {
		seeds = "seeds"
	}
	return fmt.Sprintf("%s: %d peers, %s engine, %s s of virtual time, %d %s", rep.Scenario, rep.Peers, rep.Engine, number(rep.Seconds), rep.Seeds, seeds)
}

// Table writes the figures for people. What misses its target carries an exclamation mark.
func Table(w io.Writer, rep *trial.Report) error {
	var rows, out bytes.Buffer
	if len(rep.Systems) > 0 {
		rows.WriteByte('\t')
		for _, s := range rep.Systems {
			fmt.Fprintf(&rows, "%s \t", s.Name)
		}
		rows.WriteString("target \t\n")
	}
	for _, f := range figures(rep) {
		fmt.Fprintf(&rows, "%s\t", f.Name)
		for i, v := range f.Values {
			mark := " "
			if f.Missed[i] {
				mark = "!"
			}
			fmt.Fprintf(&rows, "%s%s\t", v, mark)
		}
		fmt.Fprintf(&rows, "%s \t\n", f.Target)
	}
	fmt.Fprintln(&out, headline(rep))
	if len(rep.Systems) > 0 {
		t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
		if _, err := t.Write(rows.Bytes()); err != nil {
			return err
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, s := range rep.Systems {
		fmt.Fprintf(&out, "%s: %s (%s s)\n", s.Name, rep.Dissemination[s.Name], number(s.Cost.Seconds))
	}
	_, err := w.Write(out.Bytes())
	return err
}
