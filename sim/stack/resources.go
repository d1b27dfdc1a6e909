package stack

import (
	"runtime"
	"runtime/debug"
)

const (
	garbage = 200        // percent of garbage over what is in use: 200 peers use 0.9 GB with their stacks
	ceiling = 3600 << 20 // bytes from which on memory counts more than time: 200 peers are to fit in 4 GiB

	// One processor at a time: a bubble's clock moves on when all of its goroutines wait, many times in a millisecond,
	// and each time two processors would wait for one another. Measured, 30 peers: 7.1 s of one processor, 10.4 s of two.
	// It also makes runs of one seed more alike.
	processors = 1
)

// roomy sets the process up for a run, trading memory for time in the garbage collector, and returns what undoes it.
func roomy() (undo func()) {
	percent, limit, procs := debug.SetGCPercent(garbage), debug.SetMemoryLimit(ceiling), runtime.GOMAXPROCS(processors)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
		runtime.GOMAXPROCS(procs)
	}
}
