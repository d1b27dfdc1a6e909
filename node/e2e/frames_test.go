package e2e

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// frame is one compressed picture or frame of sound, as ffmpeg -f framemd5 tells it.
type frame struct {
	hash string
	size int // bytes
}

// frames are those of a file or stream in the order in which they are decoded, by stream: 0 picture, 1 sound.
type frames [2][]frame

// readFrames lets ffmpeg hash every frame of what it reads at url, to its end. Options go before the input.
func readFrames(t testing.TB, url string, options ...string) frames {
	t.Helper()
	args := append([]string{"-nostdin", "-v", "error"}, options...)
	args = append(args, "-i", url, "-map", "0:v:0", "-map", "0:a:0", "-c", "copy", "-f", "framemd5", "-")
	out, said := output(t, time.Minute, "ffmpeg", args...)
	if s := strings.TrimSpace(said); s != "" {
		t.Errorf("ffmpeg, reading %s: %s", url, s)
	}
	var f frames
	for line := range strings.Lines(out) {
		// stream, DTS, PTS, duration, size, hash
		fields := strings.Split(strings.TrimSpace(line), ",")
		if strings.HasPrefix(line, "#") || len(fields) < 6 {
			continue
		}
		size, err := strconv.Atoi(strings.TrimSpace(fields[4]))
		if err != nil {
			t.Fatalf("ffmpeg's frame %q: %v", line, err)
		}
		stream := 0
		if fields[0] == "1" {
			stream = 1
		}
		f[stream] = append(f[stream], frame{strings.TrimSpace(fields[5]), size})
	}
	return f
}

// maxSilence is how many frames of silence may stand before the first sound: with B-frames in the picture, an encoder's sound
// begins some frames after the first picture is to be decoded.
const maxSilence = 8

// sound returns the frames of sound from the first that was pushed, and how many frames of silence stand before it.
func (f frames) sound(pushed frames) ([]frame, int) {
	if len(pushed[1]) == 0 {
		return f[1], 0
	}
	n := slices.Index(f[1], pushed[1][0])
	if n < 1 || n > maxSilence || slices.ContainsFunc(f[1][:n], func(s frame) bool { return s != f[1][0] || s.size > 16 }) {
		return f[1], 0
	}
	return f[1][n:], n
}

// checkFrames wants a recording's frames to be those that ffmpeg pushed, hash by hash, none missing and none added; only
// silence may stand before the sound.
func checkFrames(t testing.TB, what string, got, pushed frames) {
	t.Helper()
	sound, silence := got.sound(pushed)
	for i, g := range [2][]frame{got[0], sound} {
		name := [2]string{"picture", "sound"}[i]
		if !slices.Equal(g, pushed[i]) {
			at := 0
			for at < min(len(g), len(pushed[i])) && g[at] == pushed[i][at] {
				at++
			}
			t.Errorf("%s: %d frames of %s, of which the first %d are those of the %d pushed", what, len(g), name, at, len(pushed[i]))
		}
	}
	t.Logf("%s: %d pictures and %d frames of sound, after %d of silence", what, len(got[0]), len(sound), silence)
}
