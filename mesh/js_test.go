package mesh

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestJSSubscriber lets js-libp2p, which knows nothing of murmur, subscribe to a track's topic over TCP: it receives every
// chunk as one whole message.
func TestJSSubscriber(t *testing.T) {
	if _, err := os.Stat("compat/node_modules/libp2p"); err != nil {
		install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
		install.Dir = "compat"
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("npm ci in mesh/compat: %v\n%s", err, out)
		}
	}
	n := mustNode(t, Config{Role: Origin, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	tr := mustJoin(t, n, JoinConfig{Publish: true})
	defer tr.Close()

	cmd := exec.Command("node", filepath.Join("compat", "subscriber.mjs"), n.Addrs()[0].String(), testTrack.Topic())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("node: %v", err)
	}
	defer func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the subscriber's end: %v", err)
		}
	}()
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	next := func() string {
		select {
		case l := <-lines:
			return l
		case <-time.After(time.Minute):
			t.Fatal("the subscriber says nothing")
			return ""
		}
	}
	if l := next(); l != "ready" {
		t.Fatalf("the subscriber said %q", l)
	}
	for deadline := time.Now().Add(time.Minute); tr.Status().Mesh == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the subscriber did not get into the mesh")
		}
		<-time.After(50 * time.Millisecond) // gossipsub grafts at its heartbeats
	}

	s := newStream(time.Now())
	s.size = 94_000
	want := map[string]bool{}
	const count = 40
	for range count {
		c := s.next(t)
		frame := mustFrame(t, c)
		want[fmt.Sprintf("%d %x", len(frame), sha256.Sum256(frame))] = true
		if err := tr.Publish(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		<-time.After(75 * time.Millisecond) // three times as fast as a broadcast: full queues of pubsub drop what comes
	}
	for range count {
		l := next()
		if !want[l] {
			t.Fatalf("the subscriber got %q, which was not published or came twice", strings.TrimSpace(l))
		}
		delete(want, l)
	}
}
