package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLiveFeed is the main job: ffmpeg pushes RTMP, two seeds carry it, a viewer that cannot reach the origin plays it in
// Chromium for half a minute without a stall or a gap, and ffprobe reads the same stream in both forms.
func TestLiveFeed(t *testing.T) {
	clip(t)
	s := newSwarm(t, 2)
	s.push(t)
	s.origin.expect(t, 20*time.Second, `(?i)on air`)

	b := openBrowser(t)
	<-time.After(6 * time.Second) // people come to a broadcast that is under way; a fresh one starts with its first keyframe interval
	b.open(s.page)
	b.until(20*time.Second, `window.murmur && window.murmur.videoTime > 0 && window.murmur.startupMs > 0`)
	startup := eval[float64](b, `window.murmur.startupMs`)
	t.Logf("start-up %.0f ms", startup)
	if startup > 2000 {
		t.Errorf("start-up took %.0f ms, more than 2000", startup)
	}
	watch(t, b, 30*time.Second)
	b.screenshot("playing")
	s.checkRelayed(t)

	t.Run("sync", func(t *testing.T) { s.checkSync(t) })
	t.Run("live.mp4", func(t *testing.T) { s.probe(t, s.page+"live.mp4") })
	t.Run("HLS", func(t *testing.T) { s.probe(t, s.page+"live.m3u8") })
}

// watched is what watch's script in the page counts.
type watched struct {
	Ticks   int       `json:"ticks"`   // looks, four a second
	Gaps    int       `json:"gaps"`    // looks at which the buffer ahead had a hole
	Stalls  int       `json:"stalls"`  // stalls before the watch
	Now     int       `json:"now"`     // stalls after it
	Played  float64   `json:"played"`  // seconds of media
	Latency []float64 `json:"latency"` // seconds from the venue to the screen, as the page reckons
}

// watch records what the page does for a while and fails on stalls, on gaps in the buffer and on a late picture.
func watch(t testing.TB, b *browser, d time.Duration) {
	t.Helper()
	w := b.record(d)
	p50, p95 := quantile(w.Latency, 0.5), quantile(w.Latency, 0.95)
	t.Logf("played %.1f s in %v: %d stalls, %d gaps, latency %.2f s (95 %%: %.2f s)", w.Played, d, w.Now-w.Stalls, w.Gaps, p50, p95)
	if w.Now != w.Stalls {
		t.Errorf("%d stalls", w.Now-w.Stalls)
	}
	if w.Gaps > 0 {
		t.Errorf("a gap in the buffer at %d of %d looks", w.Gaps, w.Ticks)
	}
	if w.Played < 0.95*d.Seconds() {
		t.Errorf("played only %.1f s in %v", w.Played, d)
	}
	if p50 > 2 {
		t.Errorf("latency %.2f s, more than 2 s", p50)
	}
}

// record looks at the page's player four times a second for a while.
func (b *browser) record(d time.Duration) watched {
	b.t.Helper()
	eval[bool](b, `(() => {
		const w = window.watched = {ticks: 0, gaps: 0, stalls: window.murmur.stalls, latency: [], from: document.querySelector('video').currentTime};
		w.timer = setInterval(() => {
			const v = document.querySelector('video'), at = v.currentTime;
			w.ticks++;
			let ahead = 0;
			for (let i = 0; i < v.buffered.length; i++) if (v.buffered.end(i) > at) ahead++;
			if (ahead > 1) w.gaps++;
			w.latency.push(window.murmur.latency());
			w.played = at - w.from;
		}, 250);
		return true;
	})()`)
	b.until(d+30*time.Second, fmt.Sprintf(`window.watched.ticks >= %d`, d/(250*time.Millisecond)))
	return eval[watched](b, `(() => { clearInterval(window.watched.timer); return {...window.watched, timer: 0, now: window.murmur.stalls}; })()`)
}

// probe lets ffmpeg read and decode 8 seconds of url and fails on any warning, of timestamps or otherwise.
func (s *swarm) probe(t testing.TB, url string) {
	t.Helper()
	out, warnings := output(t, 40*time.Second, "ffprobe", "-v", "warning", "-read_intervals", "%+6",
		"-show_entries", "packet=stream_index,pts_time,dts_time", "-of", "csv=p=0", url)
	if n := strings.Count(out, "\n"); n < 200 {
		t.Errorf("ffprobe found only %d packets in 6 s", n)
	}
	_, play := output(t, 40*time.Second, "ffmpeg", "-nostdin", "-v", "warning", "-i", url, "-t", "6", "-f", "null", "-")
	for _, line := range strings.Split(warnings+play, "\n") {
		// ffmpeg reads the init segment again for every live playlist with EXT-X-MAP, and says so each time.
		if strings.TrimSpace(line) != "" && !strings.Contains(line, "duplicated MOOV") {
			t.Errorf("warning: %s", line)
		}
	}
}

// mark remembers the place of the playhead as window.before.
func (b *browser) mark() {
	b.t.Helper()
	eval[float64](b, `window.before = document.querySelector('video').currentTime`)
}

// TestFeedReturns takes the feed away for 10 s and brings it back, and then kills a seed: the player goes on by itself.
func TestFeedReturns(t *testing.T) {
	clip(t)
	s := newSwarm(t, 2)
	feed := s.push(t)
	b := openBrowser(t)
	b.open(s.page)
	b.until(20*time.Second, `window.murmur && window.murmur.videoTime > 2`)

	feed.stop(syscall.SIGKILL)
	s.origin.expect(t, 30*time.Second, `(?i)feed (lost|broke)`)
	<-time.After(10 * time.Second) // the outage itself
	s.push(t)
	b.mark()
	b.until(20*time.Second, `document.querySelector('video').currentTime > window.before + 5`)
	b.until(20*time.Second, `window.murmur.latency() < 3`)

	s.seeds[0].stop(syscall.SIGKILL)
	b.mark()
	b.until(20*time.Second, `document.querySelector('video').currentTime > window.before + 8`)
	b.until(20*time.Second, `window.murmur.latency() < 3`)
}

// TestPictureStalls pushes a feed whose picture stands still for three seconds while the sound goes on, as a screen
// share may do. A browser cannot show what is not there: it waits for the next keyframe or skips the hole, and goes on.
func TestPictureStalls(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stall.mp4")
	make := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi",
		"-i", "sine=sample_rate=48000", "-t", "60", "-vf", "select='not(between(t,14,17))'", "-vsync", "vfr", "-c:v", "libx264",
		"-preset", "superfast", "-g", "60", "-c:a", "aac", file)
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	s := newSwarm(t, 1)
	start(t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "warning", "-re", "-i", file, "-c", "copy", "-f", "flv", s.server+"/"+s.key)
	s.origin.expect(t, 20*time.Second, `on air`)
	b := openBrowser(t)
	b.open(s.page)
	b.until(20*time.Second, `window.murmur && window.murmur.videoTime > 1`)
	w := b.record(20 * time.Second)
	t.Logf("played %.1f s in 20 s: %d stalls", w.Played, w.Now-w.Stalls)
	if w.Now-w.Stalls > 2 || w.Played < 10 {
		t.Errorf("%d stalls, %.1f s played in 20 s", w.Now-w.Stalls, w.Played)
	}
	b.until(20*time.Second, `window.murmur.latency() < 3`)
}
