package chunker

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"murmuration/chunker/envelope"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// program finds ffmpeg or ffprobe. In continuous integration it has to be there.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// quiet runs a program that is to print nothing on standard error, and returns its output.
func quiet(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("%s: %v: %s", name, err, errs.String())
	}
	return out.String()
}

// encoded makes a stream with ffmpeg and reads it as units.
func encoded(t *testing.T, args ...string) (Format, []Unit) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.mp4")
	args = append([]string{"-nostdin", "-v", "error"}, args...)
	args = append(args, "-strict", "-2", "-movflags", "frag_keyframe+delay_moov+default_base_moof", path)
	if out, err := exec.Command(program(t, "ffmpeg"), args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	moof := bytes.Index(raw, []byte("moof")) - 4
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader(raw[:moof])); err != nil {
		t.Fatal(err)
	}
	mfra := bytes.LastIndex(raw, []byte("mfra")) - 4
	var parts fmp4.Parts
	if err := parts.Unmarshal(raw[moof:mfra]); err != nil {
		t.Fatal(err)
	}
	return readParts(t, init, parts)
}

func readParts(t *testing.T, init fmp4.Init, parts fmp4.Parts) (Format, []Unit) {
	t.Helper()
	var f Format
	for _, track := range init.Tracks {
		f.Streams = append(f.Streams, Stream{Codec: track.Codec, Timescale: track.TimeScale})
	}
	var units []Unit
	for _, p := range parts {
		for _, track := range p.Tracks {
			dts := int64(track.BaseTime)
			for _, s := range track.Samples {
				u := Unit{Stream: track.ID - 1, DTS: dts, PTS: dts + int64(s.PTSOffset), Data: [][]byte{s.Payload}}
				switch init.Tracks[track.ID-1].Codec.(type) {
				case *codecs.H264, *codecs.H265:
					var nalus h264.AVCC
					if err := nalus.Unmarshal(s.Payload); err != nil {
						t.Fatal(err)
					}
					u.Data = nalus
				case *codecs.AV1:
					var obus av1.Bitstream
					if err := obus.Unmarshal(s.Payload); err != nil {
						t.Fatal(err)
					}
					u.Data = obus
				}
				units = append(units, u)
				dts += int64(s.Duration)
			}
		}
	}
	due := func(u Unit) float64 { return float64(u.DTS) / float64(f.Streams[u.Stream].Timescale) }
	slices.SortStableFunc(units, func(a, b Unit) int {
		switch x, y := due(a), due(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	for i, u := range units {
		units[i].Captured = testStart.Add(time.Duration(due(u) * float64(time.Second)))
	}
	return f, units
}

// concatenated is the init segment and all chunks: what /live.mp4 and a recording are.
func concatenated(t *testing.T, chunks []envelope.Chunk) string {
	t.Helper()
	var file bytes.Buffer
	file.Write(chunks[0].Init)
	for _, c := range chunks {
		file.Write(c.Block)
	}
	path := filepath.Join(t.TempDir(), "out.mp4")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// count asks ffprobe how many frames of a stream it can decode.
func count(t *testing.T, path, stream string) int {
	t.Helper()
	out := quiet(t, "ffprobe", "-v", "warning", "-count_frames", "-select_streams", stream,
		"-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", path)
	n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(out), ","))
	if err != nil {
		t.Fatalf("ffprobe: %q", out)
	}
	return n
}

var (
	picture25 = []string{"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=5"}
	tone      = []string{"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=5"}
)

func TestFFmpeg(t *testing.T) {
	for name, tc := range map[string]struct {
		video, audio []string
		codecs       string
	}{
		"H.264 with B-frames and AAC": {
			[]string{"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "3", "-pix_fmt", "yuv420p"},
			[]string{"-c:a", "aac", "-ac", "2"},
			"avc1.6400",
		},
		"H.265 and AAC": {
			[]string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=50", "-pix_fmt", "yuv420p", "-tag:v", "hvc1"},
			[]string{"-c:a", "aac"},
			"hvc1.1.6.L60.90,mp4a.40.2",
		},
		"AV1 and Opus": {
			[]string{"-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-g", "50", "-pix_fmt", "yuv420p"},
			[]string{"-c:a", "libopus"},
			"av01.0.00M.08.0.110.",
		},
		"VP9 and MP3": {
			[]string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "50", "-pix_fmt", "yuv420p"},
			[]string{"-c:a", "libmp3lame"},
			"vp09.00.10.08,mp4a.6B",
		},
		"H.264 alone": {[]string{"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-pix_fmt", "yuv420p"}, nil, "avc1."},
		"AAC alone":   {nil, []string{"-c:a", "aac"}, "mp4a.40.2"},
	} {
		t.Run(name, func(t *testing.T) {
			var args []string
			if tc.video != nil {
				args = append(args, picture25...)
			}
			if tc.audio != nil {
				args = append(args, tone...)
			}
			args = append(append(args, tc.video...), tc.audio...)
			f, units := encoded(t, args...)
			var log strings.Builder
			chunks := cut(t, newCutter(t, &log), f, units)
			checkLengths(t, chunks)
			if log.Len() > 0 {
				t.Errorf("log: %s", log.String())
			}
			if got, err := Codecs(chunks[0].Init); !strings.HasPrefix(got, tc.codecs) || err != nil {
				t.Errorf("codecs %s, want %s", got, tc.codecs)
			}
			path := concatenated(t, chunks)
			quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", path, "-f", "null", "-")
			var pictures, frames int
			for _, u := range units {
				if f.Streams[u.Stream].Codec.IsVideo() {
					pictures++
				} else {
					frames++
				}
			}
			if tc.video != nil {
				if got := count(t, path, "v:0"); got != pictures {
					t.Errorf("%d pictures, want %d", got, pictures)
				}
			}
			if tc.audio != nil {
				// Decoders leave out what the codec primes with; silence may come before the first frame.
				if got := count(t, path, "a:0"); got < frames-2 || got > frames+4 {
					t.Errorf("%d audio frames, want %d", got, frames)
				}
			}
		})
	}
}

// TestFFmpegDisturbed: jumps, stalls and silence that was put in give no player cause to complain.
func TestFFmpegDisturbed(t *testing.T) {
	f, units := encoded(t, slices.Concat(picture25, tone,
		[]string{"-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2"})...)
	feed := feed{format: f}
	for name, units := range map[string][]Unit{
		"jump":         shift(feed, slices.Clone(units), -1, 2*time.Second, 10*time.Hour),
		"jump back":    shift(feed, slices.Clone(units), -1, 2*time.Second, -10*time.Second),
		"sound stalls": without(units, 1, 1500*time.Millisecond, 4*time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			chunks := cut(t, newCutter(t, nil), f, units)
			path := concatenated(t, chunks)
			quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", path, "-f", "null", "-")
			if got := count(t, path, "v:0"); got != 125 {
				t.Errorf("%d pictures, want 125", got)
			}
		})
	}
}
