package stack

import (
	"flag"
	"sync"
	"testing"
	"testing/synctest"
)

// stage is the one test that package testing runs in a process that is not a test: testing/synctest wants a *testing.T
// that package testing made. The test takes jobs for as long as the process lives, since testing.Main would end the
// process when it returns.
var stage struct {
	once sync.Once
	jobs chan func(t *testing.T)
}

func raiseStage() {
	stage.jobs = make(chan func(t *testing.T))
	testing.Init()
	if !flag.Parsed() {
		// The process's arguments are not package testing's to read.
		_ = flag.CommandLine.Parse(nil)
	}
	all := func(string, string) (bool, error) { return true, nil }
	endless := testing.InternalTest{Name: "simulation", F: func(t *testing.T) {
		for job := range stage.jobs {
			job(t)
		}
	}}
	go testing.Main(all, []testing.InternalTest{endless}, nil, nil)
}

// inVirtualTime runs f with a clock of its own, which moves on when every goroutine that f started waits, and returns
// once they have all ended. t is the running test, nil outside of tests.
func inVirtualTime(t *testing.T, f func()) {
	done := make(chan struct{})
	job := func(t *testing.T) {
		go func() { // a failed bubble ends the goroutine that it was started from
			defer close(done)
			synctest.Test(t, func(*testing.T) { f() })
		}()
	}
	if t != nil {
		job(t)
	} else {
		stage.once.Do(raiseStage)
		stage.jobs <- job
	}
	<-done
}
