// Package trial runs a scenario on an engine, with one system or two, over some seeds, and gathers what came of it for
// people and programs to read. It neither simulates nor draws: sim/stack, sim/model and sim/report do.
package trial
