package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestQualities is a broadcast with a second, smaller picture: the page offers both and changes over without a stall.
func TestQualities(t *testing.T) {
	clip(t)
	low := filepath.Join(t.TempDir(), "low.mp4")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-i", clip(t), "-vf", "scale=320:180", "-c:v", "libx264", "-preset", "superfast",
		"-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-b:v", "300k", "-c:a", "copy", low).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	s := newSwarm(t, 1, "--dht", "off")
	s.push(t)
	s.origin.expect(t, 20*time.Second, `^on air `)
	start(t, "ffmpeg low", "ffmpeg", "-nostdin", "-v", "warning", "-re", "-stream_loop", "-1", "-i", low, "-c", "copy", "-f", "flv",
		s.server+"/"+s.key+"?track=low")
	s.origin.expect(t, 20*time.Second, `a further track is on main's timeline`)
	eventually(t, 20*time.Second, "the viewer is told of the second quality", func() bool { return tracks(s.status(t))["low"].Codecs != "" })

	b := openBrowser(t)
	b.startUp(s.page)
	b.until(20*time.Second, `document.querySelectorAll('#quality option').length === 3`)
	for _, height := range []string{"180", "1080"} {
		eval[bool](b, `(() => { const s = document.getElementById('quality'); s.value = '`+height+`'; s.dispatchEvent(new Event('change')); return true; })()`)
		b.until(20*time.Second, `document.querySelector('video').videoHeight === `+height)
		watch(t, b, 6*time.Second)
	}
}
