package chunker

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// codecStreams are streams of all the video codecs.
func codecStreams() []Stream {
	return []Stream{
		h264Stream(),
		{Codec: &codecs.H265{
			VPS: []byte{0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0xb0, 0x00, 0x00, 0x03},
			SPS: []byte{
				0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0xb0, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03,
				0x00, 0x7b, 0xa0, 0x07, 0x82, 0x00, 0x88, 0x7d, 0xb6, 0x71, 0x8b, 0x92, 0x44, 0x80, 0x53, 0x88,
				0x88, 0x92, 0xcf, 0x24, 0xa6, 0x92, 0x72, 0xc9, 0x12, 0x49, 0x22, 0xdc, 0x91, 0xaa, 0x48, 0xfc,
				0xa2, 0x23, 0xff, 0x00, 0x01, 0x00, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x01,
			},
			PPS: []byte{0x44, 0x01, 0xc0, 0x25, 0x2f, 0x05, 0x32, 0x40},
		}, Timescale: 90000},
		{Codec: &codecs.AV1{SequenceHeader: []byte{8, 0, 0, 0, 66, 167, 191, 228, 96, 13, 0, 64}}, Timescale: 90000},
		{Codec: &codecs.VP9{Width: 1280, Height: 720, BitDepth: 8, ChromaSubsampling: 1}, Timescale: 90000},
	}
}

func TestDescribe(t *testing.T) {
	aac, mp3 := aacStream().Codec, mp3Stream().Codec
	streams := codecStreams()
	for _, tc := range []struct {
		video, audio codecs.Codec
		want         Info
	}{
		{streams[0].Codec, aac, Info{
			Codecs: "avc1.42c028,mp4a.40.2", VideoCodec: "H.264", Width: 1920, Height: 1080, FrameRate: 30,
			AudioCodec: "AAC", SampleRate: 48000, Channels: 2,
		}},
		{streams[1].Codec, nil, Info{Codecs: "hvc1.2.4.L123.b0", VideoCodec: "H.265", Width: 960, Height: 540}},
		{streams[2].Codec, opusStream().Codec, Info{
			Codecs: "av01.0.08M.08.0.110.01.01.01.0,opus", VideoCodec: "AV1", Width: 1920, Height: 804,
			AudioCodec: "Opus", SampleRate: 48000, Channels: 2,
		}},
		{streams[3].Codec, mp3, Info{
			Codecs: "vp09.00.10.08,mp4a.6B", VideoCodec: "VP9", Width: 1280, Height: 720,
			AudioCodec: "MP3", SampleRate: 44100, Channels: 2,
		}},
		{nil, mp3, Info{Codecs: "mp4a.6B", AudioCodec: "MP3", SampleRate: 44100, Channels: 2}},
	} {
		init, err := marshalInit(tc.video, tc.audio)
		if err != nil {
			t.Fatalf("%s: %v", tc.want.Codecs, err)
		}
		got, err := Describe(init)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, tc.want)
		}
		if s, err := Codecs(init); s != tc.want.Codecs || err != nil {
			t.Errorf("%q, %v", s, err)
		}
	}
	for _, bad := range [][]byte{nil, []byte("not boxes"), make([]byte, 1<<20)} {
		if _, err := Describe(bad); !errors.Is(err, ErrInit) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

func TestFormatErrors(t *testing.T) {
	h264, aac := h264Stream(), aacStream()
	for name, tc := range map[string]struct {
		streams []Stream
		want    error
		says    string
	}{
		"none":         {nil, ErrFormat, "no streams"},
		"no codec":     {[]Stream{{Timescale: 90000}}, ErrUnsupportedCodec, "no codec"},
		"AC-3":         {[]Stream{h264, {Codec: &codecs.AC3{SampleRate: 48000, ChannelCount: 2}, Timescale: 90000}}, ErrUnsupportedCodec, "AC-3 (stream 1); supported are H.264"},
		"no timescale": {[]Stream{{Codec: h264.Codec}}, ErrFormat, "timescale 0"},
		"two videos":   {[]Stream{h264, h264}, ErrFormat, "2 video"},
		"two sounds":   {[]Stream{aac, aac}, ErrFormat, "2 audio"},
		"no rate":      {[]Stream{{Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{}}, Timescale: 1}}, ErrFormat, "0 samples/s"},
		"bad SPS":      {[]Stream{{Codec: &codecs.H264{SPS: []byte{0x67}, PPS: testPPS}, Timescale: 90000}}, ErrFormat, "SPS"},
		"short SPS":    {[]Stream{{Codec: &codecs.H265{VPS: []byte{1}, SPS: []byte{0x42}, PPS: []byte{2}}, Timescale: 90000}}, ErrFormat, "SPS"},
	} {
		c := newCutter(t, nil)
		err := c.SetFormat(Format{Streams: tc.streams})
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.Write(Unit{}); !errors.Is(err, ErrNoFormat) {
			t.Errorf("%s: write: %v", name, err)
		}
	}
	c := newCutter(t, nil)
	if err := c.SetFormat(av()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(Unit{Stream: 2}); !errors.Is(err, ErrUnit) {
		t.Error(err)
	}
	if chunks, err := c.End(); len(chunks) != 1 || err != nil {
		t.Error(chunks, err)
	}
	if err := c.SetFormat(av()); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"key":       func(c *Config) { c.Key = nil },
		"broadcast": func(c *Config) { c.Broadcast = "A" },
		"track":     func(c *Config) { c.Track = "" },
		"target":    func(c *Config) { c.Target = time.Nanosecond },
		"fragment":  func(c *Config) { c.FragmentSize = 1 },
		"epoch":     func(c *Config) { c.Epoch = 1 << 60 },
		"wait":      func(c *Config) { c.KeyWait = -1 },
		"start":     func(c *Config) { c.Start = -1 },
	} {
		cfg := Config{Key: testKey, Broadcast: "b", Track: "main"}
		change(&cfg)
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPartTarget(t *testing.T) {
	for _, tc := range []struct {
		rate float64
		want time.Duration // milliseconds, exact timestamps
	}{
		{10, 300},
		{12, 250},
		{15, 267},
		{24000. / 1001, 251},
		{24, 250},
		{25, 240},
		{30000. / 1001, 234},
		{30, 267},
		{48, 250},
		{50, 260},
		{60000. / 1001, 251},
		{60, 250},
		{90, 256},
		{120, 250},
		{1, 1000},
		{5, 200},
	} {
		frame := time.Duration(float64(time.Second)/tc.rate + 0.5)
		if got := partTarget(250*time.Millisecond, frame, false); got != tc.want*time.Millisecond {
			t.Errorf("%v: %v, want %v ms", tc.rate, got, tc.want)
		}
		if got := partTarget(250*time.Millisecond, frame, true); got != (tc.want+2)*time.Millisecond {
			t.Errorf("%v: coarse: %v", tc.rate, got)
		}
	}
}

func TestParameterSetBesideAnother(t *testing.T) {
	c := &codecs.H264{SPS: testSPS, PPS: testPPS}
	other := []byte{0x68, 0x4b, 0x8c, 0xb2} // id 1
	p, err := readPicture(c, [][]byte{testSPS, testPPS, other, {0x65, 1}})
	if err != nil || p.codec != codecs.Codec(c) || !p.rap {
		t.Fatalf("%+v, %v", p, err)
	}
	if want := lengthPrefixed([][]byte{other, {0x65, 1}}); !reflect.DeepEqual(p.payload, want) {
		t.Errorf("payload %x, want %x", p.payload, want)
	}
	p, err = readPicture(c, [][]byte{{0x68, 0xcb, 0x8c, 0xb3}}) // id 0, replaces
	if !errors.Is(err, errNoPicture) || p.codec == codecs.Codec(c) {
		t.Errorf("%+v, %v", p, err)
	}
}
