package ingest

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// testVideo and testAudio are ffmpeg inputs of three seconds.
var (
	testVideo = []string{"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=3"}
	testAudio = []string{"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=3"}
	x264      = []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p"}
	aac       = []string{"-c:a", "aac"}
)

func args(lists ...[]string) (out []string) {
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// packet is what ffprobe says of a packet.
type packet struct {
	video    bool
	pts, dts float64
}

// probe lists a file's packets as ffprobe sees them.
func probe(t *testing.T, path string) (out []packet) {
	t.Helper()
	raw, err := exec.Command(strings.Replace(ffmpeg(t), "ffmpeg", "ffprobe", 1), "-v", "error",
		"-show_entries", "packet=codec_type,pts_time,dts_time", "-of", "csv=p=0", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(bytes.NewReader(raw))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		pts, err1 := strconv.ParseFloat(row[1], 64)
		dts, err2 := strconv.ParseFloat(row[2], 64)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		out = append(out, packet{row[0] == "video", pts, dts})
	}
	return out
}

// play plays a file in virtual time.
func play(t *testing.T, path string, config ReadConfig, limit time.Duration) (*recorder, error) {
	t.Helper()
	var r *recorder
	var err error
	synctest.Test(t, func(t *testing.T) {
		r = newRecorder()
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		err = ReadFile(ctx, path, r, config)
		cancel()
		synctest.Wait()
	})
	return r, err
}

// compare checks units against what ffprobe says, up to a constant offset, and against the clock.
func compare(t *testing.T, r *recorder, want []packet) {
	t.Helper()
	if len(r.formats) != 1 {
		t.Fatalf("%d formats: %+v", len(r.formats), r.formats)
	}
	streams := r.formats[0].Streams
	var lists [2][]packet
	for _, p := range want {
		if p.video {
			lists[0] = append(lists[0], p)
		} else {
			lists[1] = append(lists[1], p)
		}
	}
	if len(r.units) != len(want) {
		t.Errorf("%d units, ffprobe sees %d packets", len(r.units), len(want))
	}
	var next [2]int
	var offset float64
	first := r.units[0]
	for i, u := range r.units {
		k := 1
		if streams[u.Stream].Codec.IsVideo() {
			k = 0
		}
		if next[k] >= len(lists[k]) {
			t.Fatalf("unit %d: ffprobe sees no more packets", i)
		}
		p := lists[k][next[k]]
		next[k]++
		scale := float64(streams[u.Stream].Timescale)
		dts, pts := float64(u.DTS)/scale, float64(u.PTS)/scale
		if i == 0 {
			offset = dts - p.dts
		}
		if math.Abs(dts-p.dts-offset) > 0.00003 || math.Abs(pts-p.pts-offset) > 0.00003 {
			t.Fatalf("unit %d (kind %d): PTS %f DTS %f, ffprobe says %f %f (offset %f)", i, k, pts, dts, p.pts, p.dts, offset)
		}
		due := seconds(u.DTS, streams[u.Stream].Timescale) - seconds(first.DTS, streams[first.Stream].Timescale)
		if late := u.Captured.Sub(first.Captured) - due; late < 0 || late > 300*time.Millisecond {
			t.Fatalf("unit %d is %v late", i, late)
		}
	}
}

func TestFiles(t *testing.T) {
	opus := []string{"-c:a", "libopus"}
	mp3 := []string{"-c:a", "libmp3lame"}
	x265 := []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:bframes=2"}
	vp9 := []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"}
	av1 := []string{"-c:v", "libsvtav1", "-preset", "12"}
	cases := []struct {
		name, file   string
		args         []string
		video, audio codecs.Codec
	}{
		{"TS H.264 AAC", "a.ts", args(testVideo, testAudio, x264, aac), &codecs.H264{}, &codecs.MPEG4Audio{}},
		{"TS H.265 Opus", "a.ts", args(testVideo, testAudio, x265, opus), &codecs.H265{}, &codecs.Opus{}},
		{"TS MP3", "a.ts", args(testAudio, mp3), nil, &codecs.MPEG1Audio{}},
		{"MP4 H.264 AAC", "a.mp4", args(testVideo, testAudio, x264, aac), &codecs.H264{}, &codecs.MPEG4Audio{}},
		{"MP4 index first, delayed sound", "a.mp4", args(testVideo, []string{"-itsoffset", "0.5"}, testAudio, x264, aac, []string{"-movflags", "faststart"}), &codecs.H264{}, &codecs.MPEG4Audio{}},
		{"MP4 H.265 Opus", "a.mp4", args(testVideo, testAudio, x265, opus, []string{"-tag:v", "hvc1"}), &codecs.H265{}, &codecs.Opus{}},
		{"MP4 VP9 MP3", "a.mp4", args(testVideo, testAudio, vp9, mp3), &codecs.VP9{}, &codecs.MPEG1Audio{}},
		{"MP4 AV1", "a.mp4", args(testVideo, av1), &codecs.AV1{}, nil},
		{"fragments", "a.mp4", args(testVideo, testAudio, x264, aac, []string{"-movflags", "frag_keyframe+empty_moov+default_base_moof"}), &codecs.H264{}, &codecs.MPEG4Audio{}},
		{"fragments, first plain", "a.mp4", args(testVideo, testAudio, x264, aac, []string{"-movflags", "frag_keyframe"}), &codecs.H264{}, &codecs.MPEG4Audio{}},
		{"fragments of each track", "a.mp4", args(testVideo, testAudio, x264, aac, []string{"-movflags", "empty_moov+separate_moof+default_base_moof", "-frag_duration", "2000000"}), &codecs.H264{}, &codecs.MPEG4Audio{}},
		{"MOV", "a.mov", args(testVideo, testAudio, x264, aac), &codecs.H264{}, &codecs.MPEG4Audio{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := made(t, c.file, c.args...)
			r, err := play(t, path, ReadConfig{}, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			want := probe(t, path)
			compare(t, r, want)
			i := 0
			for _, codec := range []codecs.Codec{c.video, c.audio} {
				if codec == nil {
					continue
				}
				if got := r.formats[0].Streams[i].Codec; reflect.TypeOf(got) != reflect.TypeOf(codec) {
					t.Errorf("stream %d is %T, want %T", i, got, codec)
				}
				i++
			}
			if len(r.formats[0].Streams) != i {
				t.Errorf("%d streams", len(r.formats[0].Streams))
			}
		})
	}
}

func TestLoopGoesOn(t *testing.T) {
	for _, file := range []string{"a.ts", "a.mp4"} {
		path := made(t, file, args(testVideo, testAudio, x264, aac)...)
		r, err := play(t, path, ReadConfig{Loop: true}, 10*time.Second)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if len(r.formats) != 1 {
			t.Fatalf("%s: %d formats", file, len(r.formats))
		}
		for stream, most := range []time.Duration{40 * time.Millisecond, 22 * time.Millisecond} {
			units := r.stream(stream)
			scale := r.formats[0].Streams[stream].Timescale
			for i := 1; i < len(units); i++ {
				if step := seconds(units[i].DTS-units[i-1].DTS, scale); step <= 0 || step > most+35*time.Millisecond {
					t.Errorf("%s: stream %d steps by %v at unit %d", file, stream, step, i)
				}
			}
			if total := seconds(units[len(units)-1].DTS-units[0].DTS, scale); total < 9500*time.Millisecond || total > 10300*time.Millisecond {
				t.Errorf("%s: stream %d spans %v of 10 s", file, stream, total)
			}
		}
	}
}

func TestPipeAsItComes(t *testing.T) {
	path := made(t, "a.ts", args(testVideo, testAudio, x264, aac)...)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := newRecorder()
		if err := ReadTS(t.Context(), struct{ io.Reader }{bytes.NewReader(raw)}, r, ReadConfig{}); err != nil {
			t.Fatal(err)
		}
		if len(r.units) < 200 || time.Since(start) != 0 {
			t.Errorf("%d units in %v", len(r.units), time.Since(start))
		}
		if err := ReadTS(t.Context(), struct{ io.Reader }{bytes.NewReader(raw)}, r, ReadConfig{Loop: true}); err == nil {
			t.Error("a pipe was played in a loop")
		}

		// A pipe that hangs does not keep ReadTS from ending.
		pr, pw := io.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go pw.Write(raw[:188*100]) //nolint:errcheck // it is cut off
		if err := ReadTS(ctx, pr, r, ReadConfig{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a hanging pipe: %v", err)
		}
		pr.Close() //nolint:errcheck // so that the goroutine ends
	})
}

// Timestamps of 33 bits wrap after a day.
func TestTSWrap(t *testing.T) {
	path := made(t, "a.ts", args(testVideo, testAudio, x264, aac, []string{"-muxdelay", "0", "-output_ts_offset", "95442"})...)
	r, err := play(t, path, ReadConfig{}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var last int64
	for i, u := range r.stream(0) {
		if i > 0 && u.DTS-last != 3600 {
			t.Fatalf("picture %d: step %d", i, u.DTS-last)
		}
		last = u.DTS
	}
	if last < 1<<33 {
		t.Errorf("the timestamps end at %d and did not wrap", last)
	}
}

func TestCorruptTSGoesOn(t *testing.T) {
	path := made(t, "a.ts", args(testVideo, testAudio, x264, aac)...)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := newRecorder()
	if err := ReadTS(t.Context(), bytes.NewReader(raw), whole, ReadConfig{}); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 30 {
		bad := bytes.Clone(raw)
		for range 10 {
			at := rng.IntN(len(bad) - 400)
			switch rng.IntN(3) {
			case 0: // bytes overwritten
				for i := range 1 + rng.IntN(300) {
					bad[at+i] = byte(rng.Uint32())
				}
			case 1: // bytes lost
				bad = append(bad[:at], bad[at+1+rng.IntN(300):]...)
			case 2: // bytes too many
				junk := make([]byte, 1+rng.IntN(300))
				for i := range junk {
					junk[i] = byte(rng.Uint32())
				}
				bad = append(bad[:at:at], append(junk, bad[at:]...)...)
			}
		}
		r := newRecorder()
		if err := ReadTS(t.Context(), bytes.NewReader(bad), r, ReadConfig{}); err != nil {
			t.Errorf("round %d: %v", round, err)
			continue
		}
		if got, want := len(r.units), len(whole.units); got < want/2 {
			t.Errorf("round %d: %d of %d units", round, got, want)
		}
	}
}

func TestSeveralStreams(t *testing.T) {
	maps := []string{"-map", "0:v", "-map", "0:v", "-map", "1:a", "-map", "1:a"}
	for _, file := range []string{"a.ts", "a.mp4"} {
		path := made(t, file, args(testVideo, testAudio, maps, x264, []string{"-c:a:0", "ac3", "-c:a:1", "aac"})...)
		r, err := play(t, path, ReadConfig{}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(r.formats[0].Streams); n != 2 {
			t.Errorf("%s: %d streams", file, n)
		}
		if _, ok := r.formats[0].Streams[1].Codec.(*codecs.MPEG4Audio); !ok {
			t.Errorf("%s: the sound is %T", file, r.formats[0].Streams[1].Codec)
		}
		if n := len(r.stream(0)); n != 75 {
			t.Errorf("%s: %d pictures of one stream", file, n)
		}
	}
}

func TestFileErrors(t *testing.T) {
	plain := made(t, "a.mp4", args(testVideo, testAudio, x264, aac)...)
	whole, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	early := made(t, "b.mp4", args(testVideo, testAudio, x264, aac, []string{"-movflags", "faststart"})...)
	earlyWhole, err := os.ReadFile(early)
	if err != nil {
		t.Fatal(err)
	}
	fragmented := made(t, "c.mp4", args(testVideo, x264, []string{"-movflags", "frag_keyframe+empty_moov"})...)
	fragmentedWhole, err := os.ReadFile(fragmented)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		p := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		name, path string
		want       error
		units      bool
	}{
		{"text", write("t", []byte(strings.Repeat("The quick brown fox. ", 100))), ErrUnknownFile, false},
		{"empty", write("e", nil), ErrUnknownFile, false},
		{"missing", filepath.Join(t.TempDir(), "none"), os.ErrNotExist, false},
		{"directory", t.TempDir(), nil, false},
		{"no index", write("n", whole[:len(whole)/2]), ErrTruncated, false},
		{"half", write("h", earlyWhole[:len(earlyWhole)/2]), ErrTruncated, true},
		{"half of the fragments", write("f", fragmentedWhole[:len(fragmentedWhole)-5000]), ErrTruncated, true},
		{"half of the index", write("i", earlyWhole[:1000]), ErrTruncated, false},
		{"MPEG-4 video", made(t, "m.mp4", args(testVideo, []string{"-c:v", "mpeg4"})...), ErrUnsupportedCodec, false},
		{"MPEG-2 video", made(t, "m.ts", args(testVideo, testAudio, []string{"-c:v", "mpeg2video"}, aac)...), ErrUnsupportedCodec, false},
		{"AC-3 alone", made(t, "m.mp4", args(testAudio, []string{"-c:a", "ac3"})...), ErrUnsupportedCodec, false},
		{"MP2 alone", made(t, "m.ts", args(testAudio, []string{"-c:a", "mp2"})...), ErrUnsupportedCodec, false},
	} {
		r, err := play(t, c.path, ReadConfig{}, time.Minute)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		t.Log(c.name+":", err)
		if (len(r.units) > 0) != c.units {
			t.Errorf("%s: %d units", c.name, len(r.units))
		}
	}
}

func TestSinkErrorEndsFile(t *testing.T) {
	for _, file := range []string{"a.ts", "a.mp4"} {
		path := made(t, file, args(testVideo, testAudio, x264, aac)...)
		synctest.Test(t, func(t *testing.T) {
			r := newRecorder()
			r.fail = errors.New("the disk is full")
			ctx, cancel := context.WithCancel(t.Context())
			if err := ReadFile(ctx, path, r, ReadConfig{}); !errors.Is(err, r.fail) {
				t.Errorf("%s: %v", file, err)
			}
			cancel()
			synctest.Wait()
		})
	}
}
