package e2e

import (
	"testing"
	"time"
)

// readClock makes the page read the test picture's clock off every frame that the browser shows, as milliseconds from
// the making of the picture to its showing. The layout of the bars is written down in ingest/testpicture/bars.go.
const readClock = `(() => {
	const video = document.querySelector('video');
	const canvas = document.createElement('canvas');
	canvas.width = 640;
	canvas.height = 360;
	const context = canvas.getContext('2d', {willReadFrequently: true});
	window.glass = {delays: [], unread: 0};
	const read = () => {
		context.drawImage(video, 0, 0, canvas.width, canvas.height);
		const rows = context.getImageData(0, 0, canvas.width, canvas.height).data;
		let bits = '';
		for (let i = 0; i < 60; i++) {
			const x = (i % 20) * 32 + 16, y = 312 + 16 * Math.floor(i / 20), at = 4 * (y * canvas.width + x);
			bits += rows[at] + rows[at + 1] + rows[at + 2] >= 384 ? '1' : '0';
		}
		let time = 0n, bit = 0n;
		for (const c of bits.slice(0, 44)) time = (time << 1n) | (bit ^= BigInt(c));
		let crc = 0xffff;
		for (let shift = 40n; shift >= 0n; shift -= 8n) {
			crc ^= Number((time >> shift) & 255n) << 8;
			for (let i = 0; i < 8; i++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
		}
		if (crc === parseInt(bits.slice(44), 2)) window.glass.delays.push(Date.now() - Number(time));
		else window.glass.unread++;
		video.requestVideoFrameCallback(read);
	};
	video.requestVideoFrameCallback(read);
	return true;
})()`

// clockReadings is what readClock gathers.
type clockReadings struct {
	Delays []float64 `json:"delays"` // ms
	Unread int       `json:"unread"` // frames without a valid clock
}

// glassToGlass measures the latency that the project promises with the picture's own clock: from the making of the
// test picture at the origin, through a seed and a viewer, to the screen of Chromium. It watches the page for d.
func glassToGlass(t testing.TB, s *swarm, d time.Duration) (startup float64, delays []float64) {
	t.Helper()
	s.origin.expect(t, 20*time.Second, `on air`)
	b := openBrowser(t)
	<-time.After(6 * time.Second) // people come to a broadcast that is under way
	startup = b.startUp(s.page)
	eval[bool](b, readClock)
	w := watch(t, b, d)
	glass := eval[clockReadings](b, `window.glass`)
	b.screenshot("test-picture")
	t.Logf("capture to screen over %d frames: median %.0f ms, 95 %% within %.0f ms; %d frames unread; %d stalls",
		len(glass.Delays), quantile(glass.Delays, 0.5), quantile(glass.Delays, 0.95), glass.Unread, w.Stalls)
	if n := len(glass.Delays); n < int(fewestFrames*d.Seconds()) {
		t.Fatalf("the clock could be read on only %d frames (%d unread)", n, glass.Unread)
	}
	return startup, glass.Delays
}

// TestGlassToGlass holds what the page says about its latency to what the picture shows.
func TestGlassToGlass(t *testing.T) {
	s := newSwarm(t, 2, "--input", "test")
	_, delays := glassToGlass(t, s, 20*time.Second)
	settled := delays[len(delays)/2:] // where it had to be watched twice, the second half
	if p50 := quantile(settled, 0.5); p50 > 1000*latencyLimit || p50 < 250 {
		t.Errorf("capture to screen takes %.0f ms, not between a chunk's length and %.0f s", p50, latencyLimit)
	}
	s.checkRelayed(t)
}

// BenchmarkGlassToGlass reports what the project promises: start-up and latency of 2 s or less, on a machine that has
// nothing else to do.
func BenchmarkGlassToGlass(b *testing.B) {
	for b.Loop() {
		startup, delays := glassToGlass(b, newSwarm(b, 2, "--input", "test"), 30*time.Second)
		b.ReportMetric(startup, "start-up-ms")
		b.ReportMetric(quantile(delays, 0.5), "p50-ms")
		b.ReportMetric(quantile(delays, 0.95), "p95-ms")
		b.ReportMetric(0, "ns/op")
	}
}
