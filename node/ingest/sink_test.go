package ingest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"murmuration/chunker"
)

// recorder is a Sink that keeps what it is given and lets a test wait for it.
type recorder struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each call
	calls   []string      // "format", "interrupt", and "units" for a run of units
	formats []chunker.Format
	units   []chunker.Unit
	fail    error // returned by Format and Unit
	onUnit  func(chunker.Unit)
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{})} }

func (r *recorder) did(what string) {
	if what != "units" || len(r.calls) == 0 || r.calls[len(r.calls)-1] != "units" {
		r.calls = append(r.calls, what)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) Format(f chunker.Format) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.formats = append(r.formats, f)
	r.did("format")
	return r.fail
}

func (r *recorder) Unit(u chunker.Unit) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.formats) == 0 || u.Stream >= len(r.formats[len(r.formats)-1].Streams) {
		return fmt.Errorf("unit of stream %d without a format", u.Stream)
	}
	r.units = append(r.units, u)
	r.did("units")
	if r.onUnit != nil {
		r.onUnit(u)
	}
	return r.fail
}

func (r *recorder) Interrupt() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did("interrupt")
	return nil
}

// await waits until ok, called under the lock, is true.
func (r *recorder) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		r.mu.Lock()
		done, changed := ok(), r.changed
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("waited in vain for %s; calls %v, %d units", what, r.calls, len(r.units))
		}
	}
}

func (r *recorder) stream(i int) (out []chunker.Unit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.units {
		if u.Stream == i {
			out = append(out, u)
		}
	}
	return out
}

// ffmpeg returns the path of ffmpeg. Under CI it must be there.
func ffmpeg(t testing.TB) string {
	t.Helper()
	p, err := exec.LookPath("ffmpeg")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ffmpeg is needed under CI")
		}
		t.Skip("ffmpeg is not installed")
	}
	return p
}

// make runs ffmpeg into a file in a directory of the test's and returns the file's path.
func made(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args = append(append([]string{"-v", "error", "-nostdin", "-y"}, args...), path)
	if out, err := exec.Command(ffmpeg(t), args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
	return path
}
