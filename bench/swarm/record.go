package main

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"

	"murmuration/sim"
	"murmuration/sim/trial"
)

// record is one row's measurement as it is kept. Rows of the stack engine are measured seed by seed: the report is of all
// seeds from the first on without a gap, and Runs has each.
type record struct {
	Command string `json:"command"`
	Version string `json:"version"` // see version
	measured
	Runs []measured `json:"runs,omitempty"`
}

// measured is what one call of murmur sim gave.
type measured struct {
	Seconds float64      `json:"seconds"` // of wall time; other programs may have run beside it
	CPU     float64      `json:"cpu_seconds"`
	Report  trial.Report `json:"report"`
}

// has reports whether a job, of one seed or of all, is kept in this version.
func (r *record) has(j job, version string) bool {
	if r.Version != version {
		return false
	}
	if len(r.Runs) == 0 {
		return r.Command == command(j)
	}
	return r.alike(j) && slices.ContainsFunc(r.Runs, func(m measured) bool { return m.Report.FirstSeed == j.Seed })
}

// alike reports whether a record is of the job's measurement, whatever the seeds.
func (r *record) alike(j job) bool {
	j.Seed, j.Seeds = r.Report.FirstSeed, r.Report.Seeds
	return r.Command == command(j)
}

// keep adds one call's outcome to what is kept of a row, in place of what is kept of another version.
func (s store) keep(j job, version string, m *measured) error {
	if !j.bySeed() {
		return s.write(j.file, &record{Command: command(j), Version: version, measured: *m})
	}
	r, err := s.read(j.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || r.Version != version || len(r.Runs) == 0 || !r.alike(j) {
		r = &record{Version: version}
	}
	r.Runs = slices.DeleteFunc(r.Runs, func(old measured) bool { return old.Report.FirstSeed == j.Seed })
	r.Runs = append(r.Runs, *m)
	slices.SortFunc(r.Runs, func(a, b measured) int { return cmp.Compare(a.Report.FirstSeed, b.Report.FirstSeed) })
	r.sum()
	j.Seed, j.Seeds = r.Report.FirstSeed, r.Report.Seeds
	r.Command = command(j)
	return s.write(j.file, r)
}

// sum makes one report of those of the runs, as murmur sim --seeds does.
func (r *record) sum() {
	first := &r.Runs[0]
	r.measured = measured{Report: first.Report}
	var results []sim.Result
	for i := range r.Runs {
		m := &r.Runs[i]
		if m.Report.FirstSeed != first.Report.FirstSeed+uint64(i) {
			break
		}
		results = append(results, m.Report.Systems[0])
		r.Seconds, r.CPU = r.Seconds+m.Seconds, r.CPU+m.CPU
	}
	r.Report.Seeds = len(results)
	r.Report.Systems = []sim.Result{sim.Median(results)}
}
