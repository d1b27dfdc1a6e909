package e2e

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestFileEnds broadcasts a file to its end: the origin stays until its seeds have the recording whole, of which the view
// is made only then, and ends with exit code 0.
func TestFileEnds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk.mp4")
	encode := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi",
		"-i", "sine=sample_rate=48000", "-t", "8", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", file)
	if out, err := encode.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	origin := newCrasher(t, "origin", "--input", file)
	origin.start()
	var seeds []*crasher
	for range 2 {
		s := newCrasher(t, "seed", origin.link)
		s.start()
		seeds = append(seeds, s)
	}
	root := origin.now.expect(t, 30*time.Second, `^recording "Live" \(\w+\).*/ipfs/(\w+)`)
	finished := time.Now()
	for i, s := range seeds {
		if got := s.now.expect(t, 10*time.Second, `^recording "Live" \(\w+\) is kept here: /ipfs/(\w+)`); got != root {
			t.Errorf("seed %d keeps %s instead of %s", i, got, root)
		}
		t.Logf("seed %d has it whole after %v", i, time.Since(finished))
	}
	select {
	case <-origin.now.done:
		t.Logf("the origin ended %v after it had the recording", time.Since(finished))
		if origin.now.err != nil {
			t.Errorf("the origin's end: %v", origin.now.err)
		}
	case <-time.After(patience * 15 * time.Second):
		t.Error("the origin stays")
	}
	if said := origin.now.output(); !regexp.MustCompile(`(?m)^ended`).MatchString(said) || !strings.Contains(said, root) {
		t.Errorf("the origin said:\n%s", said)
	}
}
