package ingest

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gortmplib"
	rtmpcodecs "github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"murmuration/node/internal/pipes"
)

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
func virtual(t *testing.T, config RTMPConfig, test func(t *testing.T, p *pipes.Listener, r *recorder, e *events)) {
	synctest.Test(t, func(t *testing.T) {
		p, r, e := pipes.Listen(), newRecorder(), new(events)
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
