package stack

import "runtime/debug"

const (
	garbage = 400     // percent of garbage over what is in use: collecting is a good part of a run's time
	ceiling = 3 << 30 // bytes from which on memory counts more than time
)

// roomy trades memory for time in the garbage collector, and returns what undoes it.
func roomy() (undo func()) {
	percent, limit := debug.SetGCPercent(garbage), debug.SetMemoryLimit(ceiling)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}
