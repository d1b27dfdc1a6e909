package unixfs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func seconds64(t *testing.T, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// exported writes a range into a file.
func exported(t *testing.T, r *recorder, parts []Part, from, to time.Duration) string {
	t.Helper()
	var file bytes.Buffer
	if err := ExportMP4(t.Context(), &file, parts, r.blocks.get, nil, from, to); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut.mp4")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// restarted is a recording whose origin was killed and started anew: another epoch, from zero again.
func restarted(t *testing.T) *recorder {
	t.Helper()
	a := played(t, 1000, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=6", "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=6",
		"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac")
	b := played(t, 2000, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=6", "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=6",
		"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac")
	all := &recorder{blocks: a.blocks, parts: slices.Concat(a.parts[:len(a.parts)-1], b.parts)} // the end mark was never made
	for c, block := range b.blocks {
		all.blocks[c] = block
	}
	return all
}

func TestExport(t *testing.T) {
	program(t, "ffprobe")
	r := restarted(t)
	whole, err := Cut(r.parts, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	holes := slices.Concat(r.parts[:10], r.parts[11:30], r.parts[33:])
	for name, tc := range map[string]struct {
		parts    []Part
		from, to time.Duration
		start    time.Duration // what is really covered
		end      time.Duration
	}{
		"whole":         {r.parts, 0, 0, 0, whole.To},
		"middle":        {r.parts, 2500 * time.Millisecond, 4900 * time.Millisecond, 2 * time.Second, 5 * time.Second},
		"over the seam": {r.parts, 5 * time.Second, 9 * time.Second, 4 * time.Second, 9250 * time.Millisecond},
		"to the end":    {r.parts, 11 * time.Second, time.Hour, 10 * time.Second, whole.To},
		"holes":         {holes, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			cut, err := Cut(tc.parts, tc.from, tc.to)
			if err != nil {
				t.Fatal(err)
			}
			if (cut.From-tc.start).Abs() > 260*time.Millisecond || tc.end > 0 && (cut.To-tc.end).Abs() > 260*time.Millisecond {
				t.Errorf("covers %v to %v, want %v to %v", cut.From, cut.To, tc.start, tc.end)
			}
			if !cut.Parts[0].Independent || cut.From > tc.from || tc.to > 0 && tc.to < cut.To-300*time.Millisecond {
				t.Errorf("covers %v to %v of %v to %v", cut.From, cut.To, tc.from, tc.to)
			}
			path := exported(t, r, tc.parts, tc.from, tc.to)
			quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", path, "-f", "null", "-")
			if start := seconds64(t, quiet(t, "ffprobe", "-v", "warning", "-show_entries", "format=start_time", "-of", "csv=p=0", path)); start < -0.1 || start > 0.11 {
				t.Errorf("begins at %v", start)
			}
			// Decode times grow.
			times := strings.Fields(quiet(t, "ffprobe", "-v", "warning", "-select_streams", "v", "-show_entries", "packet=dts_time", "-of", "csv=p=0", path))
			for i := 1; i < len(times); i++ {
				a, b := seconds64(t, strings.Trim(times[i-1], ",")), seconds64(t, strings.Trim(times[i], ","))
				if b-a < 0.039 || b-a > 0.2 { // at the seam the picture waits for the end of the sound
					t.Errorf("picture %d at %v, after %v", i, b, a)
				}
			}
			length := (cut.To - cut.From).Seconds()
			if got := float64(len(times)) / 25; got < length-0.2 || got > length+0.01 {
				t.Errorf("%d pictures in %v s", len(times), length)
			}
		})
	}
}

func TestExportErrors(t *testing.T) {
	r := testPicture(t)
	for _, span := range [][2]time.Duration{{time.Hour, 0}, {5 * time.Second, 3 * time.Second}, {time.Hour, 2 * time.Hour}} {
		if err := ExportMP4(t.Context(), &bytes.Buffer{}, r.parts, r.blocks.get, nil, span[0], span[1]); !errors.Is(err, ErrRange) {
			t.Errorf("%v: %v", span, err)
		}
	}
	changed := slices.Clone(r.parts)
	for i := range changed[16:] {
		changed[16+i].Init = rawCID([]byte("another"))
	}
	var format *FormatError
	if _, err := Cut(changed, 0, 0); !errors.As(err, &format) || !errors.Is(err, ErrFormat) || (format.At-4*time.Second).Abs() > time.Microsecond {
		t.Errorf("a change of format: %v", err)
	}
	if cut, err := Cut(changed, 0, 4*time.Second); err != nil || (cut.To-4*time.Second).Abs() > time.Microsecond {
		t.Errorf("before the change: %v %v", cut.To, err)
	}
	if cut, err := Cut(changed, 4*time.Second, 0); err != nil || (cut.From-4*time.Second).Abs() > time.Microsecond {
		t.Errorf("after the change: %v %v", cut.From, err)
	}
	if cut, err := Cut(changed, 4100*time.Millisecond, 0); err != nil || (cut.From-4*time.Second).Abs() > time.Microsecond {
		t.Errorf("well after the change: %v %v", cut.From, err)
	}
}
