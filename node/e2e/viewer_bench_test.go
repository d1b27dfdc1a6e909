package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkViewer measures what a viewer's process takes at 3 Mbit/s, 1080p30: an origin, two seeds and a viewer with one
// player reading its endless MP4. Resident memory in MB (aim: under 100) and CPU in percent of a core (aim: under 5),
// over 30 s after 10 s of warm-up.
func BenchmarkViewer(b *testing.B) {
	s := newSwarm(b, 2, "--input", clip(b), "--loop")
	s.origin.expect(b, 20*time.Second, `(?i)on air`)
	start(b, "ffmpeg", "ffmpeg", "-nostdin", "-v", "error", "-i", s.page+"live.mp4", "-c", "copy", "-f", "null", "-")
	pid := s.viewer.cmd.Process.Pid // ip netns exec replaces itself
	<-time.After(10 * time.Second)
	const span = 30 * time.Second
	for b.Loop() {
		chunks, before := s.received(b), cpuTime(b, pid)
		<-time.After(span)
		if n := s.received(b) - chunks; n < 100 {
			b.Errorf("the viewer received only %d chunks in %v", n, span)
		}
		b.ReportMetric(100*float64(cpuTime(b, pid)-before)/float64(span), "%core")
		b.ReportMetric(float64(resident(b, pid))/1e6, "MB")
		b.ReportMetric(0, "ns/op")
	}
	if err := s.viewer.stop(syscall.SIGTERM); err != nil {
		b.Errorf("the viewer did not end cleanly: %v", err)
	}
}

// received counts the chunks that came to the viewer.
func (s *swarm) received(b *testing.B) uint64 {
	b.Helper()
	n := uint64(0)
	for _, broadcast := range s.status(b).Broadcasts {
		for _, t := range broadcast.Tracks {
			n += t.Chunks.Received
		}
	}
	return n
}

// cpuTime returns the user and system time that a process took so far (proc(5), fields 14 and 15 of stat).
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ, fixed on Linux
	return time.Duration(ticks) * time.Second / perSecond
}

// resident returns the resident memory of a process in bytes (proc(5), VmRSS in status).
func resident(b *testing.B, pid int) int64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	var kilobytes int64
	if _, err := fmt.Sscan(after, &kilobytes); err != nil {
		b.Fatal(err)
	}
	return kilobytes * 1024
}
