package ingest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// newMedia is the media side of a session without a connection.
func newMedia(sink Sink) *rtmpMedia {
	n := &session{log: logger(nil), clock: newClock()}
	m := &rtmpMedia{session: n, warned: make(map[string]bool)}
	m.feed = feed{sink: sink, log: n.log}
	return m
}

// start gives a media its H.264 and nothing else.
func start(t *testing.T, m *rtmpMedia) {
	t.Helper()
	if err := errors.Join(
		m.feed.codec(video, &codecs.H264{SPS: testSPS, PPS: testPPS}, rtmpTimescale, time.Millisecond),
		m.feed.absent(audio),
	); err != nil {
		t.Fatal(err)
	}
}

func TestRTMPTimestamps(t *testing.T) {
	ms := func(v uint32) time.Duration { return time.Duration(v) * time.Millisecond }
	r := newRecorder()
	m := newMedia(r)
	start(t, m)
	for i, c := range []struct {
		dts      uint32 // as on the wire
		delta    uint32 // 24 bits, as on the wire
		dtsMs    int64
		ptsAhead int64
	}{
		{1<<32 - 40, 0, 1<<32 - 40, 0},
		{0, 80, 1 << 32, 80}, // wrapped after 49.7 days
		{40, 1<<24 - 20, 1<<32 + 40, -20},
		{20, 0, 1<<32 + 20, 0}, // back a little
		{100000, 0, 1<<32 + 100000, 0},
	} {
		if _, err := m.message(&message.Video{
			Type: message.VideoTypeAU, DTS: ms(c.dts), PTSDelta: ms(c.delta), AU: []byte{0, 0, 0, 1, 5},
		}); err != nil {
			t.Fatal(err)
		}
		u := r.units[i]
		if u.DTS != c.dtsMs*90 || u.PTS != (c.dtsMs+c.ptsAhead)*90 {
			t.Errorf("case %d: DTS %d PTS %d ms", i, u.DTS/90, u.PTS/90)
		}
	}
}

func TestRTMPMetadataStartsAtOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		data    amf0.Data
		formats int
	}{
		{"nothing said", nil, 0},
		{"video alone", amf0.Data{"@setDataFrame", "onMetaData", amf0.ECMAArray{{Key: "videocodecid", Value: 7.0}}}, 1},
		{"both", amf0.Data{"onMetaData", amf0.Object{{Key: "videocodecid", Value: 7.0}, {Key: "audiocodecid", Value: 10.0}}}, 0},
	} {
		r := newRecorder()
		m := newMedia(r)
		if _, err := m.message(&message.DataAMF0{Payload: c.data}); err != nil {
			t.Fatal(err)
		}
		if err := m.feed.codec(video, &codecs.H264{SPS: testSPS, PPS: testPPS}, rtmpTimescale, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if len(r.formats) != c.formats {
			t.Errorf("%s: %d formats", c.name, len(r.formats))
		}
		// Whatever was said, a second of pictures is enough.
		for i := range 30 {
			if _, err := m.message(&message.Video{
				Type: message.VideoTypeAU, DTS: time.Duration(i) * 40 * time.Millisecond, AU: []byte{0, 0, 0, 1, 5},
			}); err != nil {
				t.Fatal(err)
			}
		}
		if len(r.formats) != 1 || len(r.units) != 30 {
			t.Errorf("%s: %d formats, %d units after a second", c.name, len(r.formats), len(r.units))
		}
	}
}

func TestRTMPFormatChanges(t *testing.T) {
	r := newRecorder()
	m := newMedia(r)
	start(t, m)
	aac := func(rate int) *message.Audio {
		return &message.Audio{
			Codec: message.CodecMPEG4Audio, AACType: message.AudioAACTypeConfig,
			AACConfig: &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: rate, ChannelConfig: 2},
		}
	}
	for _, msg := range []message.Message{aac(48000), aac(48000), aac(44100)} {
		if _, err := m.message(msg); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.formats) != 3 {
		t.Fatalf("%d formats", len(r.formats))
	}
	if len(r.formats[0].Streams) != 1 || len(r.formats[1].Streams) != 2 || r.formats[2].Streams[1].Timescale != 44100 {
		t.Errorf("formats %+v", r.formats)
	}
}

func TestRTMPUnknownCodecs(t *testing.T) {
	other := errors.New("invalid message type: 99")
	for _, c := range []struct {
		text  string
		video bool // there is a video stream
		want  error
	}{
		{"unsupported video codec: 2", true, ErrUnsupportedCodec},
		{"unsupported audio codec: 11", true, nil},
		{"unsupported audio codec: 11", false, ErrUnsupportedCodec},
		{fmt.Sprintf("unsupported fourCC: %v", message.FourCC('v'<<24|'v'<<16|'c'<<8|'1')), true, ErrUnsupportedCodec},
		{fmt.Sprintf("unsupported fourCC: %v", message.FourCC('e'<<24|'c'<<16|'-'<<8|'3')), true, nil},
	} {
		m := newMedia(newRecorder())
		if !c.video {
			m.feed.lanes[video].absent = true
		}
		if err := m.unknown(errors.New(c.text)); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else {
			t.Log(err)
		}
	}
	if err := newMedia(newRecorder()).unknown(other); !errors.Is(err, other) {
		t.Errorf("another error: %v", err)
	}
}

// FuzzRTMPPath checks that whatever a stranger names as application and stream, the key is one path component.
func FuzzRTMPPath(f *testing.F) {
	f.Add("live", "key?x=y")
	f.Fuzz(func(t *testing.T, application, name string) {
		_, key := splitPath(application, name)
		for _, b := range []byte(key) {
			if b == '/' || b == '?' {
				t.Errorf("key %q", key)
			}
		}
	})
}
