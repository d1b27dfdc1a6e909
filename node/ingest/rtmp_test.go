package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gortmplib"
	rtmpcodecs "github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// pipes is a listener whose connections are pipes in memory, for tests in virtual time.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case p.conns <- b:
		return a, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// events collects a server's events.
type events struct {
	mu   sync.Mutex
	list []RTMPEvent
}

func (e *events) add(v RTMPEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, v)
}

func (e *events) kinds() (out []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range e.list {
		out = append(out, v.Kind.String())
	}
	return out
}

// virtual runs a test with a server on pipes in virtual time.
func virtual(t *testing.T, config RTMPConfig, test func(t *testing.T, p *pipes, r *recorder, e *events)) {
	synctest.Test(t, func(t *testing.T) {
		p, r, e := newPipes(), newRecorder(), new(events)
		config.Listener, config.Sink, config.Event = p, r, e.add
		if config.Key == "" {
			config.Key = "secret"
		}
		s, err := ListenRTMP(config)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(context.Background()) }()
		defer func() {
			s.Close() //nolint:errcheck // the end of the test
			if err := <-served; err != nil {
				t.Error(err)
			}
		}()
		test(t, p, r, e)
	})
}

var (
	testSPS = []byte{0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20}
	testPPS = []byte{0x68, 0xcb, 0x8c, 0xb2}
)

// publisher is a client on its way.
type publisher struct {
	*gortmplib.Client
	writer *gortmplib.Writer
	tracks []*gortmplib.Track
}

func publish(dial func(context.Context, string, string) (net.Conn, error), address string, tracks ...*gortmplib.Track) (*publisher, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	c := &gortmplib.Client{URL: u, Publish: true, DialContext: dial}
	if err := c.Initialize(context.Background()); err != nil {
		return nil, err
	}
	if len(tracks) == 0 {
		tracks = []*gortmplib.Track{
			{Codec: &rtmpcodecs.H264{SPS: testSPS, PPS: testPPS}},
			{Codec: &rtmpcodecs.MPEG4Audio{Config: &mpeg4audio.AudioSpecificConfig{Type: 2, SampleRate: 44100, ChannelConfig: 2, ChannelCount: 2}}}, //nolint:staticcheck // the writer reads it
		}
	}
	w := &gortmplib.Writer{Conn: c, Tracks: tracks}
	if err := w.Initialize(); err != nil {
		c.Close()
		return nil, err
	}
	return &publisher{c, w, tracks}, nil
}

// frame sends a picture and a frame of sound.
func (p *publisher) frame(at time.Duration) error {
	if err := p.writer.WriteH264(p.tracks[0], at+40*time.Millisecond, at, [][]byte{{5, 1, 2, 3}}); err != nil {
		return err
	}
	return p.writer.WriteMPEG4Audio(p.tracks[1], at, []byte{1, 2, 3})
}

func TestRTMPUnits(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes, r *recorder, e *events) {
		start := time.Now()
		c, err := publish(p.dial, "rtmp://host/live/secret")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			time.Sleep(40 * time.Millisecond)
			if err := c.frame(time.Duration(i) * 40 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(r.formats) != 1 || len(r.units) != 20 {
			t.Fatalf("%d formats, %d units", len(r.formats), len(r.units))
		}
		f := r.formats[0]
		if c, ok := f.Streams[0].Codec.(*codecs.H264); !ok || !bytes.Equal(c.SPS, testSPS) || f.Streams[0].Resolution != time.Millisecond {
			t.Errorf("video: %+v", f.Streams[0])
		}
		if c, ok := f.Streams[1].Codec.(*codecs.MPEG4Audio); !ok || c.Config.SampleRate != 44100 || f.Streams[1].Timescale != 44100 {
			t.Errorf("audio: %+v", f.Streams[1])
		}
		for i, u := range r.stream(0) {
			if want := int64(i) * 3600; u.DTS != want || u.PTS != want+3600 {
				t.Errorf("picture %d: DTS %d PTS %d", i, u.DTS, u.PTS)
			}
			if want := start.Add(time.Duration(i+1) * 40 * time.Millisecond); !u.Captured.Equal(want) {
				t.Errorf("picture %d captured at %v, want %v", i, u.Captured, want)
			}
		}
		c.Close()
	})
}

func TestRTMPRefusals(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes, r *recorder, e *events) {
		for _, address := range []string{"rtmp://host/live/wrong", "rtmp://host/live/", "rtmp://host/live/secretx", "rtmp://host/secret/live"} {
			_, err := publish(p.dial, address)
			if err == nil || !strings.Contains(err.Error(), "wrong stream key") {
				t.Errorf("%s: %v", address, err)
			}
		}
		for _, address := range []string{"rtmp://host/live/secret", "rtmp://host/a/secret?x=y"} {
			c, err := publish(p.dial, address)
			if err != nil {
				t.Fatalf("%s: %v", address, err)
			}
			if err := c.frame(0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if _, err := publish(p.dial, address); err == nil || !strings.Contains(err.Error(), "somebody else") {
				t.Errorf("second publisher: %v", err)
			}
			c.Close()
			synctest.Wait()
		}
	})
}

func TestRTMPDropAndReturn(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes, r *recorder, e *events) {
		for i := range 2 {
			c, err := publish(p.dial, "rtmp://host/live/secret")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.frame(0), c.frame(40*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			c.Close()
			if i == 0 {
				time.Sleep(29 * time.Second)
			}
		}
		synctest.Wait()
		if want := []string{"format", "units", "interrupt", "format", "units", "interrupt"}; !reflect.DeepEqual(r.calls, want) {
			t.Errorf("calls %v", r.calls)
		}
		time.Sleep(29 * time.Second)
		synctest.Wait()
		want := []string{"publisher came", "publisher dropped", "publisher came", "publisher dropped"}
		if got := e.kinds(); !reflect.DeepEqual(got, want) {
			t.Errorf("events %v", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := e.kinds(); !reflect.DeepEqual(got, append(want, "grace over")) {
			t.Errorf("events %v", got)
		}
	})
}

func TestRTMPSilence(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes, r *recorder, e *events) {
		c, err := publish(p.dial, "rtmp://host/live/secret")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.frame(0), c.frame(40*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got := e.kinds(); len(got) != 1 {
			t.Fatalf("after 9 s: %v", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := e.kinds(); len(got) != 2 || !errors.Is(e.list[1].Err, ErrSilent) {
			t.Fatalf("after 11 s: %v", e.list)
		}
		c.Close()
	})
}

// A publisher whose network changed comes back while its old connection hangs.
func TestRTMPTakeOver(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes, r *recorder, e *events) {
		for range 2 {
			c, err := publish(p.dial, "rtmp://host/live/secret")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.frame(0), c.frame(40*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(4 * time.Second)
			defer c.Close()
		}
		synctest.Wait()
		if want := []string{"format", "units", "interrupt", "format", "units"}; !reflect.DeepEqual(r.calls, want) {
			t.Errorf("calls %v", r.calls)
		}
	})
}

func TestRTMPStrangersAreBounded(t *testing.T) {
	virtual(t, RTMPConfig{MaxConnections: 3}, func(t *testing.T, p *pipes, r *recorder, e *events) {
		start := time.Now()
		var conns []net.Conn
		for range 3 {
			c, err := p.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		c, err := p.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the fourth connection: %v", err)
		}
		// One sends a byte now and then. It is closed after the time for handshakes like the silent ones.
		go func() {
			for {
				time.Sleep(time.Second)
				if _, err := conns[0].Write([]byte{3}); err != nil {
					return
				}
			}
		}()
		for _, c := range conns {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("a silent connection: %v", err)
			}
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("closed after %v", took)
		}
		time.Sleep(2 * time.Second) // until the slow one has noticed
	})
}

// Garbage in place of, or in the middle of, a stream ends that connection and nothing else.
func TestRTMPGarbage(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes, r *recorder, e *events) {
		for range 50 {
			c, err := p.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			garbage := make([]byte, 100<<10)
			for i := range garbage {
				garbage[i] = byte(rng.Uint32())
			}
			if rng.IntN(2) == 0 {
				garbage[0] = 3
			}
			go io.Copy(io.Discard, c) //nolint:errcheck // whatever it says
			if _, err := c.Write(garbage); err == nil {
				t.Error("100 kB of garbage were taken")
			}
			c.Close() //nolint:errcheck // the server may have been first

			g, err := publish(p.dial, "rtmp://host/live/secret")
			if err != nil {
				t.Fatal(err)
			}
			if err := g.frame(0); err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, g.NetConn()) //nolint:errcheck // whatever it says
			for {
				if _, err := g.NetConn().Write(garbage[:1+rng.IntN(1000)]); err != nil {
					break
				}
			}
			g.Close()
			synctest.Wait()
		}
		for i, k := range e.kinds() {
			if want := [2]string{"publisher came", "publisher dropped"}[i%2]; k != want {
				t.Fatalf("event %d is %v", i, k)
			}
		}
	})
}

func TestRTMPSinkError(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes, r *recorder, e *events) {
		r.fail = errors.New("the disk is full")
		c, err := publish(p.dial, "rtmp://host/live/secret")
		if err != nil {
			t.Fatal(err)
		}
		go c.frame(0) //nolint:errcheck // it is cut off
		for {
			if _, err = c.Read(); err != nil {
				break
			}
		}
		synctest.Wait()
		if len(e.list) != 2 || !errors.Is(e.list[1].Err, r.fail) {
			t.Errorf("events %v", e.list)
		}
		c.Close()
	})
}

// Enhanced RTMP, from an independent implementation of the sending side.
func TestEnhancedRTMP(t *testing.T) {
	opusTrack := &gortmplib.Track{Codec: &rtmpcodecs.Opus{IDHeader: &opus.IDHeader{Version: 1, ChannelCount: 2, PreSkip: 312, InputSampleRate: 48000}}}
	hevcVPS := []byte{0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0x99, 0x98, 0x09}
	hevcSPS := []byte{0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0xa0, 0x03, 0xc0, 0x80, 0x10, 0xe5, 0x96, 0x66, 0x69, 0x24, 0xca, 0xe0, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x01, 0xe0, 0x80}
	hevcPPS := []byte{0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40}
	av1Seq := []byte{8, 0, 0, 0, 66, 167, 191, 228, 96, 13, 0, 64}
	vp9Key := []byte{0x82, 0x49, 0x83, 0x42, 0x00, 0x77, 0xf0, 0x43, 0x71, 0x0c, 0x06, 0x00}

	cases := []struct {
		name  string
		track *gortmplib.Track
		write func(p *publisher, at time.Duration) error
		want  codecs.Codec
		data  [][]byte
	}{
		{
			"H.265", &gortmplib.Track{Codec: &rtmpcodecs.H265{VPS: hevcVPS, SPS: hevcSPS, PPS: hevcPPS}},
			func(p *publisher, at time.Duration) error {
				return p.writer.WriteH265(p.tracks[0], at+40*time.Millisecond, at, [][]byte{{0x26, 1, 9, 9}})
			},
			&codecs.H265{VPS: hevcVPS, SPS: hevcSPS, PPS: hevcPPS},
			[][]byte{{0x26, 1, 9, 9}},
		},
		{
			"AV1", &gortmplib.Track{Codec: &rtmpcodecs.AV1{}},
			func(p *publisher, at time.Duration) error {
				return p.writer.WriteAV1(p.tracks[0], at, [][]byte{{0x10}, av1Seq, {0x30, 1, 2}})
			},
			&codecs.AV1{SequenceHeader: av1Seq},
			[][]byte{av1Seq, {0x30, 1, 2}},
		},
		{
			"VP9", &gortmplib.Track{Codec: &rtmpcodecs.VP9{}},
			func(p *publisher, at time.Duration) error { return p.writer.WriteVP9(p.tracks[0], at, vp9Key) },
			nil,
			[][]byte{vp9Key},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes, r *recorder, e *events) {
				g, err := publish(p.dial, "rtmp://host/live/secret", c.track, opusTrack)
				if err != nil {
					t.Fatal(err)
				}
				for i := range 40 {
					at := time.Duration(i) * 40 * time.Millisecond
					if err := errors.Join(c.write(g, at), g.writer.WriteOpus(opusTrack, at, []byte{0xfc, 1, 2})); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if len(r.formats) != 1 || len(r.formats[0].Streams) != 2 {
					t.Fatalf("formats %+v", r.formats)
				}
				got := r.formats[0].Streams[0].Codec
				if v, ok := got.(*codecs.VP9); c.want == nil && (!ok || v.Width != 1920 || v.Height != 1080) {
					t.Errorf("codec %+v", got)
				}
				if c.want != nil && !reflect.DeepEqual(got, c.want) {
					t.Errorf("codec %+v, want %+v", got, c.want)
				}
				if o, ok := r.formats[0].Streams[1].Codec.(*codecs.Opus); !ok || o.ChannelCount != 2 {
					t.Errorf("audio %+v", r.formats[0].Streams[1].Codec)
				}
				pictures := r.stream(0)
				if len(pictures) != 40 {
					t.Fatalf("%d pictures", len(pictures))
				}
				last := pictures[39]
				if last.DTS != 39*3600 || !reflect.DeepEqual(last.Data, c.data) {
					t.Errorf("last picture: DTS %d data %x", last.DTS, last.Data)
				}
				if n := len(r.stream(1)); n != 40 {
					t.Errorf("%d frames of sound", n)
				}
				g.Close()
			})
		})
	}
}

func TestRTMPUnsupportedAudioIsLeftOut(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes, r *recorder, e *events) {
		g711 := &gortmplib.Track{Codec: &rtmpcodecs.G711{MULaw: true, ChannelCount: 1}}
		g, err := publish(p.dial, "rtmp://host/live/secret", &gortmplib.Track{Codec: &rtmpcodecs.H264{SPS: testSPS, PPS: testPPS}}, g711)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			at := time.Duration(i) * 40 * time.Millisecond
			if err := errors.Join(
				g.writer.WriteG711(g711, at, []byte{1, 2, 3, 4}),
				g.writer.WriteH264(g.tracks[0], at, at, [][]byte{{5, 1}}),
			); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(r.formats) != 1 || len(r.formats[0].Streams) != 1 || len(r.units) != 10 {
			t.Errorf("formats %+v, %d units", r.formats, len(r.units))
		}
		g.Close()
	})
}

func TestSplitPath(t *testing.T) {
	for _, c := range [][4]string{
		{"live", "key", "live", "key"},
		{"live/", "/key", "live", "key"},
		{"live/key", "", "live", "key"},
		{"key", "", "", "key"},
		{"live?a=b", "key?c=d", "live", "key"},
		{"a/b", "c/key", "a/b/c", "key"},
		{"", "", "", ""},
	} {
		if app, key := splitPath(c[0], c[1]); app != c[2] || key != c[3] {
			t.Errorf("%q + %q: %q, %q", c[0], c[1], app, key)
		}
	}
}

// push starts ffmpeg as an encoder would.
func push(t *testing.T, address string, output ...string) *exec.Cmd {
	t.Helper()
	args := []string{
		"-v", "warning", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "60",
	}
	if len(output) == 0 {
		output = []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "30", "-c:a", "aac"}
	}
	cmd := exec.Command(ffmpeg(t), append(append(args, output...), "-f", "flv", address)...)
	cmd.Stderr = new(bytes.Buffer)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // it was killed
	})
	return cmd
}

// TestRTMPFromFFmpeg is the real thing: B-frames, a wrong key, a second publisher, death and return.
func TestRTMPFromFFmpeg(t *testing.T) {
	r, e := newRecorder(), new(events)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	s, err := ListenRTMP(RTMPConfig{Listen: "127.0.0.1:0", Key: "secret", Sink: r, Event: e.add, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context()) }()
	address := "rtmp://" + s.Addr().String() + "/live"

	first := push(t, address+"/secret")
	r.await(t, "three seconds of units", func() bool { return len(r.units) > 200 })
	if len(r.formats) != 1 || len(r.formats[0].Streams) != 2 {
		t.Fatalf("formats %+v", r.formats)
	}
	reordered := false
	var last int64
	for i, u := range r.stream(0) {
		if i == 0 && !h264.IsRandomAccess(u.Data) {
			t.Error("the first picture is no random access point")
		}
		if u.PTS < u.DTS {
			t.Errorf("picture %d: PTS %d before DTS %d", i, u.PTS, u.DTS)
		}
		if u.PTS > u.DTS+3600 {
			reordered = true
		}
		if d := u.DTS - last; i > 0 && (d < 2900 || d > 3100) {
			t.Errorf("picture %d: DTS step %d", i, d)
		}
		last = u.DTS
	}
	if !reordered {
		t.Error("no B-frames seen")
	}

	for _, c := range []struct{ address, want string }{
		{address + "/guess", "wrong stream key"},
		{address + "/secret", "somebody else is publishing"},
	} {
		cmd := push(t, c.address)
		err := cmd.Wait()
		if said := cmd.Stderr.(*bytes.Buffer).String(); err == nil || !strings.Contains(said, c.want) {
			t.Errorf("%s: ffmpeg ended with %v and said %q", c.address, err, said)
		}
	}

	first.Process.Kill() //nolint:errcheck // that is the point
	r.await(t, "the interruption", func() bool { return r.calls[len(r.calls)-1] == "interrupt" })
	second := push(t, address+"/secret")
	r.await(t, "the return", func() bool { return len(r.calls) == 5 && len(r.units) > 300 })
	if want := []string{"format", "units", "interrupt", "format", "units"}; !reflect.DeepEqual(r.calls, want) {
		t.Errorf("calls %v", r.calls)
	}
	second.Process.Signal(syscall.SIGINT) //nolint:errcheck // it is running
	r.await(t, "the end", func() bool { return len(r.calls) == 6 })

	// Codecs that cannot be taken.
	r.mu.Lock()
	r.calls, r.formats, r.units = nil, nil, nil
	r.mu.Unlock()
	flv := push(t, address+"/secret", "-c:v", "flv1", "-c:a", "aac")
	if err := flv.Wait(); err == nil {
		t.Error("Sorenson H.263 was taken")
	}
	speex := push(t, address+"/secret", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le", "-ar", "44100")
	r.await(t, "video without sound", func() bool { return len(r.units) > 30 })
	if n := len(r.formats[0].Streams); n != 1 {
		t.Errorf("%d streams", n)
	}
	speex.Process.Kill() //nolint:errcheck // done with

	s.Close() //nolint:errcheck // the end of the test
	if err := <-served; err != nil {
		t.Error(err)
	}
	want := []string{"publisher came", "publisher dropped", "publisher came", "publisher stopped", "publisher came", "publisher dropped", "publisher came"}
	if got := e.kinds(); len(got) < len(want) || !reflect.DeepEqual(got[:len(want)], want) {
		t.Errorf("events %v", got)
	}
	if !errors.Is(e.list[5].Err, ErrUnsupportedCodec) {
		t.Errorf("H.263: %v", e.list[5].Err)
	}
}
