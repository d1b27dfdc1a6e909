package e2e

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// swamped is how many programs a core may have waiting for it (proc(5), loadavg over a minute) before figures of real time
// say nothing about ours any more. The tests themselves make about two.
const swamped = 6

// judge fails the test for figures that are not good enough, or skips the rest of it where no program could have done it.
func judge(t testing.TB, faults string) {
	t.Helper()
	var load float64
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(b), &load) // without a figure, all is judged
	}
	if load > swamped*float64(runtime.NumCPU()) {
		t.Skipf("%.0f programs share %d cores, so this says nothing: %s", load, runtime.NumCPU(), faults)
	}
	t.Error(faults)
}
