package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

var (
	clipOnce sync.Once
	clipPath string
	clipErr  error
)

// clip makes, once, half a minute of the picture that the tests push: 1080p30 H.264 with B-frames at 3 Mbit/s, a clock burned
// in, and AAC. It is encoded before the tests so that they share the machine's cores with the players only.
func clip(t testing.TB) string {
	t.Helper()
	clipOnce.Do(func() {
		clipPath = filepath.Join(filepath.Dir(murmur), "clip.mp4")
		cmd := exec.Command("ffmpeg", "-v", "error", "-y",
			"-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=30", "-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=48000",
			"-t", "30", "-c:v", "libx264", "-preset", "superfast", "-bf", "2", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0",
			"-b:v", "3M", "-maxrate", "3M", "-bufsize", "3M", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", clipPath)
		cmd.Stderr = os.Stderr
		clipErr = cmd.Run()
	})
	if clipErr != nil {
		t.Fatalf("ffmpeg could not make the test clip: %v", clipErr)
	}
	return clipPath
}

// push starts ffmpeg pushing the clip by RTMP in real time, over and over.
func (s *swarm) push(t testing.TB) *process {
	t.Helper()
	return start(t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "warning", "-re", "-stream_loop", strconv.Itoa(-1), "-i", clip(t),
		"-c", "copy", "-f", "flv", s.server+"/"+s.key)
}
