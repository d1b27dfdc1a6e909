package testpicture

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// ffmpeg returns the path of ffmpeg. Under CI it must be there.
func ffmpeg(t testing.TB) string {
	p, err := exec.LookPath("ffmpeg")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ffmpeg is needed under CI")
		}
		t.Skip("ffmpeg is not installed")
	}
	return p
}

// TestDecodedAsCoded codes two seconds and a half and checks that ffmpeg decodes, without a word of complaint, bit by
// bit what the encoder believes that a decoder shows.
func TestDecodedAsCoded(t *testing.T) {
	bin := ffmpeg(t)
	for _, size := range [][2]int{{640, 360}, {322, 200}} {
		w, h := size[0], size[1]
		e, s := newEncoder(w, h, 30), newScene(w, h)
		var stream, want bytes.Buffer
		at := time.Date(2026, 11, 22, 9, 59, 58, 500e6, time.UTC)
		for i := range 75 {
			for _, nalu := range e.encode(s.draw(at.Add(time.Duration(i)*time.Second/30)).YCbCr, i%60 == 0) {
				stream.Write([]byte{0, 0, 0, 1})
				stream.Write(nalu)
			}
			for y := range h {
				want.Write(e.recon.Y[y*e.recon.YStride:][:w])
			}
			for y := range h / 2 {
				want.Write(e.recon.Cb[y*e.recon.CStride:][:w/2])
			}
			for y := range h / 2 {
				want.Write(e.recon.Cr[y*e.recon.CStride:][:w/2])
			}
		}
		if dir := os.Getenv("TESTPICTURE_KEEP"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("stream%d.h264", w)), stream.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%dx%d: %d bytes for 2.5 s, %.2f Mbit/s", w, h, stream.Len(), float64(stream.Len())*8/2.5/1e6)
		cmd := exec.Command(bin, "-v", "warning", "-f", "h264", "-i", "-", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
		cmd.Stdin = &stream
		var got, complaints bytes.Buffer
		cmd.Stdout, cmd.Stderr = &got, &complaints
		if err := cmd.Run(); err != nil || complaints.Len() > 0 {
			t.Fatalf("ffmpeg: %v\n%s", err, &complaints)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			for i, b := range want.Bytes() {
				if i >= got.Len() || got.Bytes()[i] != b {
					frame := w * h * 3 / 2
					t.Fatalf("%dx%d: %d of %d bytes, differs in frame %d at byte %d", w, h, got.Len(), want.Len(), i/frame, i%frame)
				}
			}
		}
	}
}
