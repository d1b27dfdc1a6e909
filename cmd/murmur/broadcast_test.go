package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"murmuration/node"
)

// lines is a writer whose text can be looked at while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.text.Write(p)
}

// expect waits for a line that matches and returns its first group.
func (l *lines) expect(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	late := time.After(30 * time.Second)
	for {
		l.mu.Lock()
		if m := re.FindStringSubmatch(l.text.String()); m != nil {
			l.mu.Unlock()
			return m[len(m)-1]
		}
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		select {
		case <-more:
		case <-late:
			t.Fatalf("%q was not said:\n%s", pattern, l)
		}
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// origin runs the command of that name on loopback, until the returned function is called.
func origin(t *testing.T, flags ...string) (said *lines, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	said = new(lines)
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, append([]string{
			"origin", "--no-mdns", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0",
		}, flags...), strings.NewReader(""), said, said)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("origin: exit code %d\n%s", code, said)
		}
	})
	t.Cleanup(stop)
	said.expect(t, `^share +murmur viewer`)
	return said, stop
}

// TestBroadcastTracks tells what each track's encoder is to give.
func TestBroadcastTracks(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("MURMUR_DIR", t.TempDir())
	origin(t)
	code, _, said := try(t, "broadcast", "start", "A talk in two languages", "--key", "a-key-for-two", "--track", "de")
	if code != 0 || !strings.Contains(said, "track     de       stream key a-key-for-two?track=de\n") {
		t.Errorf("exit code %d: %s", code, said)
	}
	if code, _, said := try(t, "broadcast", "start", "--track", "../x"); code == 0 {
		t.Errorf("a track that is no name: %s", said)
	}
}

// TestBroadcastCommands drives a running origin, which is found by its file alone.
func TestBroadcastCommands(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("MURMUR_DIR", dir)
	_, stop := origin(t)

	good := func(args ...string) (stdout, stderr string) {
		t.Helper()
		code, stdout, stderr := try(t, append([]string{"broadcast"}, args...)...)
		if code != 0 {
			t.Fatalf("broadcast %v: exit code %d\n%s%s", args, code, stdout, stderr)
		}
		return stdout, stderr
	}
	if _, said := good("ls"); !strings.Contains(said, "no broadcasts") {
		t.Errorf("ls: %s", said)
	}
	out, said := good("start", "A talk", "--grace", "45s")
	id := strings.TrimSpace(out)
	m := regexp.MustCompile(`encoder +server (rtmp://127\.0\.0\.1:\d+/live) +stream key (\w+)`).FindStringSubmatch(said)
	if m == nil || !strings.Contains(said, "share     murmur viewer 'murmur://") || !strings.Contains(said, "/"+id+"?p=") {
		t.Fatalf("start: %s", said)
	}
	if out, _ := good("ls"); !strings.Contains(out, id) || !strings.Contains(out, m[2]) || !strings.Contains(out, "A talk") || !strings.Contains(out, "waiting") {
		t.Errorf("ls: %s", out)
	}
	var b struct{ ID, Title, Key, RTMP string }
	out, _ = good("--json", "start", "Second", "--key", "a-key-of-mine")
	if err := json.Unmarshal([]byte(out), &b); err != nil || b.Title != "Second" || b.Key != "a-key-of-mine" || b.RTMP != m[1] {
		t.Errorf("start --json: %v, %s", err, out)
	}
	good("title", id, "Another title")
	var list struct {
		Broadcasts []struct{ ID, Title, State string }
	}
	out, _ = good("ls", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Broadcasts) != 2 || list.Broadcasts[1].Title != "Another title" {
		t.Errorf("ls --json: %v, %s", err, out)
	}
	if code, _, said := try(t, "broadcast", "stop"); code != exitUsage || !strings.Contains(said, "2 broadcasts are open") {
		t.Errorf("stop of several: exit code %d, %s", code, said)
	}
	good("stop", id)
	good("stop", id)
	good("stop")
	out, _ = good("ls", "--open", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Broadcasts) != 0 {
		t.Errorf("ls --open --json: %v, %s", err, out)
	}
	if _, said := good("stop", "--all"); !strings.Contains(said, "no broadcast is open") {
		t.Errorf("stop --all: %s", said)
	}

	url := found(t, dir).API
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"unknown id", []string{"stop", "nobody"}, exitFailed, "no broadcast of that id"},
		{"id with a slash", []string{"title", "../status", "x"}, exitFailed, "no broadcast"},
		{"key too short", []string{"start", "--key", "x"}, exitUsage, "8 to 128"},
		{"wrong token", []string{"ls", "--token", "wrong"}, exitUsage, "token"},
		{"no token", []string{"start", "--dir", t.TempDir(), "--api", url}, exitUsage, "MURMUR_TOKEN"},
		{"no origin", []string{"ls", "--api", "http://127.0.0.1:1"}, exitFailed, "no origin runs at http://127.0.0.1:1"},
		{"not a URL", []string{"ls", "--api", "venue:8480"}, exitUsage, "--api"},
		{"ids and all", []string{"stop", "x", "--all"}, exitUsage, "not both"},
		{"no command", nil, exitUsage, "expected one of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := try(t, append([]string{"broadcast"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.says) || stdout != "" && c.args != nil {
				t.Errorf("exit code %d, want %d and %q\n%s%s", code, c.code, c.says, stdout, stderr)
			}
		})
	}
	if out, _ := good("ls", "--dir", t.TempDir(), "--api", url); strings.Contains(out, "a-key-of-mine") || !strings.Contains(out, id) {
		t.Errorf("ls without the token: %s", out)
	}

	stop()
	if code, _, said := try(t, "broadcast", "ls"); code != exitFailed || !strings.Contains(said, "no origin runs at") {
		t.Errorf("after the origin's end: exit code %d, %s", code, said)
	}
}

func found(t *testing.T, dir string) node.Running {
	t.Helper()
	r, err := node.FindOrigin(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBroadcastElsewhere: what answers at the address but is no origin, and what an origin that was killed leaves.
func TestBroadcastElsewhere(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/redirected/api/v1/broadcasts") {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
			return
		}
		http.NotFound(w, r)
	}))
	defer other.Close()
	if code, _, said := try(t, "broadcast", "--api", other.URL, "ls"); code != exitFailed || !strings.Contains(said, "is not an origin") {
		t.Errorf("exit code %d, %s", code, said)
	}
	if code, _, said := try(t, "broadcast", "--api", other.URL+"/redirected", "ls"); code != exitFailed || !strings.Contains(said, "302") {
		t.Errorf("exit code %d, %s", code, said)
	}
	dir := t.TempDir()
	stale := `{"api":"http://127.0.0.1:1","token":"x","pid":1}`
	if err := os.WriteFile(filepath.Join(dir, "origin.json"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, said := try(t, "broadcast", "--dir", dir, "ls"); code != exitFailed || !strings.Contains(said, "ended abruptly") {
		t.Errorf("exit code %d, %s", code, said)
	}
}

// TestBroadcastWait stays until the picture of an encoder is on air, and until an end that comes before it.
func TestBroadcastWait(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("MURMUR_DIR", t.TempDir())
	origin(t)
	begin := func(title string) (said *lines, done chan int) {
		said, done = new(lines), make(chan int, 1)
		go func() {
			done <- run(t.Context(), []string{"broadcast", "start", title, "--wait"}, strings.NewReader(""), said, said)
		}()
		said.expect(t, `^waiting +for the encoder`)
		return said, done
	}
	said, done := begin("On air")
	ffmpeg := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=20",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "20", "-f", "flv", said.expect(t, `server (\S+)`)+"/"+said.expect(t, `stream key (\S+)`))
	if err := ffmpeg.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { ffmpeg.Process.Kill(); ffmpeg.Wait() }()
	said.expect(t, `^on air +"On air"`)
	if code := <-done; code != 0 {
		t.Errorf("exit code %d\n%s", code, said)
	}

	said, done = begin("Called off")
	if code, _, stderr := try(t, "broadcast", "stop", said.expect(t, `^broadcast (\S+)`)); code != 0 {
		t.Errorf("stop: exit code %d\n%s", code, stderr)
	}
	if code := <-done; code != exitFailed || !strings.Contains(said.String(), "ended before it was on air") {
		t.Errorf("exit code %d\n%s", code, said)
	}
}
