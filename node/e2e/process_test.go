package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// murmur is the path of the binary under test, built by TestMain.
var murmur string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "murmur-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		murmur = filepath.Join(dir, "murmur")
		build := exec.Command("go", "build", "-o", murmur, "murmuration/cmd/murmur")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building murmur:", err)
			return 1
		}
		return m.Run()
	}())
}

// patience is how many times as long as it should take something may take: tests run on machines that are slow or busy,
// and a wait that is over early costs nothing.
const patience = 3

// process is a program running beside the test, whose lines the test can wait for.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended
	err  error         // set before done is closed

	mu      sync.Mutex
	lines   []string
	changed chan struct{} // closed and replaced on every line
}

// start runs a program until the test ends. Its output is shown when the test fails.
func start(t testing.TB, name string, program string, args ...string) *process {
	t.Helper()
	p := &process{name: name, cmd: exec.Command(program, args...), done: make(chan struct{}), changed: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
	out, in := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = in, in
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			p.line(scan.Text())
		}
	}()
	go func() {
		p.err = p.cmd.Wait()
		in.Close()
		<-read
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.output())
		}
	})
	return p
}

func (p *process) line(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, s)
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// expect waits for a line that matches pattern and returns its last group.
func (p *process) expect(t testing.TB, within time.Duration, pattern string) string {
	t.Helper()
	return p.expectNth(t, 1, within, pattern)
}

// expectNth waits for the nth line that matches pattern and returns its last group.
func (p *process) expectNth(t testing.TB, n int, within time.Duration, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	within *= patience
	deadline := time.After(within)
	for next := 0; ; {
		p.mu.Lock()
		for ; next < len(p.lines); next++ {
			if m := re.FindStringSubmatch(p.lines[next]); m != nil {
				if n--; n == 0 {
					p.mu.Unlock()
					return m[len(m)-1]
				}
			}
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-p.done:
			t.Fatalf("%s ended (%v) before it said %q:\n%s", p.name, p.err, pattern, p.output())
		case <-deadline:
			t.Fatalf("%s did not say %q within %v:\n%s", p.name, pattern, within, p.output())
		}
	}
}

// count returns how many lines so far match pattern.
func (p *process) count(pattern string) (n int) {
	re := regexp.MustCompile(pattern)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if re.MatchString(l) {
			n++
		}
	}
	return n
}

// stop sends a signal and waits for the end.
func (p *process) stop(sig syscall.Signal) error {
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience * 20 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %d s of %v", p.name, patience*20, sig)
	}
}

// output runs a program to its end and returns what it wrote on standard output and error.
func output(t testing.TB, within time.Duration, program string, args ...string) (stdout, stderr string) {
	t.Helper()
	within *= patience
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var o, e bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("not done within %v", within)
		}
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, &e)
	}
	return o.String(), e.String()
}
