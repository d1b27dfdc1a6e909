package ingest

import (
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gortmplib"
	rtmpcodecs "github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"murmuration/node/internal/pipes"
)

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
			virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes.Listener, r *recorder, e *events) {
				g, err := publish(p.Dial, "rtmp://host/live/secret", c.track, opusTrack)
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
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes.Listener, r *recorder, e *events) {
		g711 := &gortmplib.Track{Codec: &rtmpcodecs.G711{MULaw: true, ChannelCount: 1}}
		g, err := publish(p.Dial, "rtmp://host/live/secret", &gortmplib.Track{Codec: &rtmpcodecs.H264{SPS: testSPS, PPS: testPPS}}, g711)
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
