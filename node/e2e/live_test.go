package e2e

import (
	"fmt"
	"math"
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
	b.startUp(s.page)
	watch(t, b, 30*time.Second)
	b.screenshot("playing")
	s.checkRelayed(t)

	t.Run("sync", func(t *testing.T) { s.checkSync(t) })
	t.Run("live.mp4", func(t *testing.T) { s.probe(t, s.page+"live.mp4") })
	t.Run("HLS", func(t *testing.T) { s.probe(t, s.page+"live.m3u8") })
}

// These hold on a slow machine that does other work, too, and still tell a player that starts at live and stays there
// from one that does not. The figures that the project aims at, 2 s each, are BenchmarkGlassToGlass's.
const (
	startUpLimit = 3000 // ms, the best of three openings
	latencyLimit = 3.0  // s, median; hls.js by itself starts 6 s behind
	fewestFrames = 2    // a second
)

// startUp opens the page until its first picture came within the limit, three times at most: the first opening also
// waits for Chromium to get going. It returns the start-up in milliseconds.
func (b *browser) startUp(page string) float64 {
	b.t.Helper()
	best := math.Inf(1)
	for range 3 {
		b.open(page)
		b.until(20*time.Second, `window.murmur && window.murmur.videoTime > 0 && window.murmur.startupMs > 0`)
		ms := eval[float64](b, `window.murmur.startupMs`)
		b.t.Logf("start-up %.0f ms", ms)
		if best = min(best, ms); best <= startUpLimit {
			return best
		}
	}
	judge(b.t, fmt.Sprintf("start-up took %.0f ms at best, more than %d", best, startUpLimit))
	return best
}

// watched is what watch's script in the page counts.
type watched struct {
	Ticks   int       `json:"ticks"`   // looks, four a second
	Gaps    int       `json:"gaps"`    // looks at which the buffer ahead had a hole
	Stalls  int       `json:"stalls"`  // of the picture
	Dry     int       `json:"dry"`     // stalls for want of media; at the others the decoder was late
	Frames  int       `json:"frames"`  // pictures shown
	Played  float64   `json:"played"`  // seconds of media
	Latency []float64 `json:"latency"` // seconds from the venue to the screen, as the page reckons
}

// watch records what the page does for a while and fails on stalls for want of media, on gaps in the buffer and on a late
// picture. It looks twice before it fails: whoever else uses this machine may have stopped it for a second.
func watch(t testing.TB, b *browser, d time.Duration) watched {
	t.Helper()
	var w watched
	var faults []string
	for range 2 {
		w = b.record(d)
		t.Logf("played %.1f s in %v, %d frames: %d stalls, %d of them dry, %d gaps, latency %.2f s (95 %%: %.2f s)", w.Played, d, w.Frames,
			w.Stalls, w.Dry, w.Gaps, quantile(w.Latency, 0.5), quantile(w.Latency, 0.95))
		if faults = w.faults(d); len(faults) == 0 {
			return w
		}
		t.Logf("faults: %s", strings.Join(faults, "; "))
	}
	judge(t, fmt.Sprintf("watched twice for %v: %s", d, strings.Join(faults, "; ")))
	return w
}

// faults tells what was wrong in a watch of length d.
func (w watched) faults(d time.Duration) (faults []string) {
	if w.Dry > 0 {
		faults = append(faults, fmt.Sprintf("%d stalls", w.Dry))
	}
	if w.Gaps > 0 {
		faults = append(faults, fmt.Sprintf("a gap in the buffer at %d of %d looks", w.Gaps, w.Ticks))
	}
	if w.Played < 0.8*d.Seconds() {
		faults = append(faults, fmt.Sprintf("played only %.1f s", w.Played))
	}
	if w.Frames < int(fewestFrames*d.Seconds()) {
		faults = append(faults, fmt.Sprintf("only %d frames shown", w.Frames))
	}
	if p50 := quantile(w.Latency, 0.5); !(p50 <= latencyLimit) { // NaN where the page does not know
		faults = append(faults, fmt.Sprintf("latency %.2f s, more than %.0f s", p50, latencyLimit))
	}
	return faults
}

// record looks at the page's player four times a second for a while.
func (b *browser) record(d time.Duration) watched {
	b.t.Helper()
	eval[bool](b, `(() => {
		const v = document.querySelector('video'), m = window.murmur;
		const shown = () => { const q = v.getVideoPlaybackQuality(); return q.totalVideoFrames - q.droppedVideoFrames; };
		const from = v.currentTime, stalls = m.stalls, frames = shown();
		const w = window.watched = {ticks: 0, gaps: 0, stalls: 0, dry: 0, frames: 0, played: 0, latency: []};
		let before = m.buffered();
		clearInterval(window.watching);
		window.watching = setInterval(() => {
			const at = v.currentTime, buffered = m.buffered(), halts = m.stalls - stalls - w.stalls;
			w.ticks++;
			let ahead = 0;
			for (let i = 0; i < v.buffered.length; i++) if (v.buffered.end(i) > at) ahead++;
			if (ahead > 1) w.gaps++;
			if (Math.min(before, buffered) < 0.3) w.dry += halts;
			w.stalls += halts;
			before = buffered;
			w.latency.push(m.latency());
			w.played = at - from;
			w.frames = shown() - frames;
		}, 250);
		return true;
	})()`)
	b.until(d+30*time.Second, fmt.Sprintf(`window.watched.ticks >= %d`, d/(250*time.Millisecond)))
	return eval[watched](b, `(() => { clearInterval(window.watching); return window.watched; })()`)
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
	t.Logf("played %.1f s in 20 s: %d stalls", w.Played, w.Stalls)
	if w.Played < 10 {
		t.Errorf("only %.1f s played in 20 s", w.Played)
	}
	b.until(20*time.Second, `window.murmur.latency() < 3`)
}
