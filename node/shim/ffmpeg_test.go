package shim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

// film is a real stream cut into chunks: init segment and blocks of 250 ms, a keyframe in every eighth.
type film struct {
	init   []byte
	blocks [][]byte
}

// ticks of a chunk in the film's timescale: 6 pictures at 24 a second.
const filmScale, filmTicks = 24000, 6000

func newFilm(t testing.TB, seconds int) film {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	cmd := exec.Command(ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=24", "-f", "lavfi", "-i", "sine=440:sample_rate=48000",
		"-t", strconv.Itoa(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "48", "-keyint_min", "48", "-sc_threshold", "0", "-bf", "0",
		"-c:a", "aac", "-video_track_timescale", strconv.Itoa(filmScale), "-frag_duration", "250000",
		"-movflags", "empty_moov+default_base_moof", "-f", "mp4", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	var f film
	for len(b) >= 8 {
		n := int(binary.BigEndian.Uint32(b))
		box := b[:n]
		b = b[n:]
		switch string(box[4:8]) {
		case "ftyp", "moov":
			f.init = append(f.init, box...)
		case "moof":
			f.blocks = append(f.blocks, append([]byte(nil), box...))
		case "mdat":
			last := &f.blocks[len(f.blocks)-1]
			*last = append(*last, box...)
		}
	}
	if want := seconds * 4; len(f.blocks) < want-1 || len(f.blocks) > want+2 {
		t.Fatalf("%d chunks of %d s", len(f.blocks), seconds)
	}
	return f
}

// chunk signs the i-th chunk, of the epoch that began with chunk zero.
func (f film) chunk(t testing.TB, key ed25519.PrivateKey, epoch uint64, i int, captured time.Time) envelope.Chunk {
	t.Helper()
	e := &envelope.Envelope{
		Broadcast: "film", Track: "main", Epoch: epoch, Seq: uint64(i), Timescale: filmScale, DecodeTime: uint64(i) * filmTicks,
		Duration: filmTicks, PartTarget: filmTicks, Captured: captured.UTC().Truncate(time.Microsecond), Init: envelope.RawCID(f.init),
	}
	c := envelope.Chunk{Envelope: e, Block: f.blocks[i]}
	if i%8 == 0 {
		e.Flags |= envelope.Independent
		c.Init = f.init
	}
	e.SetBlock(c.Block, envelope.DefaultFragment)
	if err := e.Sign(key); err != nil {
		t.Fatal(err)
	}
	c.Raw = e.Encode()
	return c
}

// onLoopback serves a server on a real socket until the test ends.
func onLoopback(t testing.TB, cfg Config) *Server {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// probe runs ffprobe and returns the packets of the streams, or what it complained about.
func probe(t *testing.T, args ...string) (streams []string, packets map[string]int, last float64) {
	t.Helper()
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Skip("ffprobe is not installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, ffprobe, append([]string{"-v", "warning", "-print_format", "json", "-show_streams", "-show_packets"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("ffprobe %v: %v\n%s", args, err, stderr.Bytes())
	}
	var found struct {
		Streams []struct {
			CodecName string `json:"codec_name"`
		}
		Packets []struct {
			CodecType string `json:"codec_type"`
			DTS       string `json:"dts_time"`
		}
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	packets = map[string]int{}
	before := map[string]float64{}
	for _, p := range found.Packets {
		packets[p.CodecType]++
		dts, err := strconv.ParseFloat(p.DTS, 64)
		if err != nil {
			t.Fatalf("%s packet without a time", p.CodecType)
		}
		if b, ok := before[p.CodecType]; ok && (dts <= b || dts > b+0.2) {
			t.Errorf("%s packet at %v after %v", p.CodecType, dts, b)
		}
		before[p.CodecType] = dts
		last = max(last, dts)
	}
	for _, s := range found.Streams {
		streams = append(streams, s.CodecName)
	}
	return streams, packets, last
}

// TestFFprobe has ffprobe read a real stream, live and ended, from the HLS URL and from /live.mp4, without a warning:
// all pictures and sounds, each later than the one before. Half way the origin restarts with its clock at zero.
func TestFFprobe(t *testing.T) {
	f := newFilm(t, 8)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := onLoopback(t, Config{})
	b, err := s.Open(BroadcastInfo{ID: "film"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AddTrack(TrackInfo{Name: "main"}, nil); err != nil {
		t.Fatal(err)
	}
	push := func(c envelope.Chunk) {
		t.Helper()
		if err := b.Push("main", c); err != nil {
			t.Fatal(err)
		}
	}
	const n = 30
	began := time.Now().Add(-n * 250 * time.Millisecond)
	for i := range n {
		push(f.chunk(t, key, 1, i, began.Add(time.Duration(i)*250*time.Millisecond)))
	}
	end := f.chunk(t, key, 1, n, time.Now())
	end.Flags, end.Duration, end.Block, end.Init = envelope.End, 0, nil, nil

	// Live: a reader that is there from before the end.
	type read struct {
		streams []string
		packets map[string]int
	}
	live := make(chan read, 1)
	go func() {
		var got read
		got.streams, got.packets, _ = probe(t, s.URL()+"live.mp4")
		live <- got
	}()
	for s.metricsWaiting() == 0 { // until the reader waits for more
		time.Sleep(10 * time.Millisecond)
	}
	push(end)
	if got := <-live; strings.Join(got.streams, " ") != "h264 aac" || got.packets["video"] != 6*6 {
		t.Errorf("live.mp4: %+v", got)
	}
	streams, packets, _ := probe(t, s.URL()+"b/film/index.m3u8")
	if strings.Join(streams, " ") != "h264 aac" || packets["video"] != n*6 {
		t.Errorf("HLS: %v %v", streams, packets)
	}
	if text := string(must(b.multivariant(context.Background(), ""))); !strings.Contains(text, `CODECS="avc1.`) ||
		!strings.Contains(text, `mp4a.40.2"`) || !strings.Contains(text, "RESOLUTION=320x180") || !strings.Contains(text, "FRAME-RATE=24.000") {
		t.Error(text)
	}
	b.Close()

	// The origin restarts: a plain file must not run backwards.
	if b, err = s.Open(BroadcastInfo{ID: "film"}); err != nil {
		t.Fatal(err)
	}
	if err := b.AddTrack(TrackInfo{Name: "main"}, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 16 {
		push(f.chunk(t, key, 1, i, began.Add(time.Duration(i)*250*time.Millisecond)))
	}
	time.Sleep(1100 * time.Millisecond) // the old epoch's grace
	for i := range 16 {
		c := f.chunk(t, key, 2, i, time.Now())
		push(c)
	}
	b.End()
	if _, packets, last := probe(t, s.URL()+"b/film/live.mp4"); packets["video"] != 32*6 || last < 7.8 {
		t.Errorf("across a restart: %v until %v s", packets, last)
	}
}

func must(b []byte, ok bool) []byte {
	if !ok {
		return nil
	}
	return b
}

// metricsWaiting is how many requests wait.
func (s *Server) metricsWaiting() int {
	families, err := s.metrics.registry.Gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		if f.GetName() == "murmur_shim_waiting_requests" {
			return int(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	return 0
}
