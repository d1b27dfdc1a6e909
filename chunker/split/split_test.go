package split

import (
	"bytes"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

func sps() []byte {
	return []byte{
		0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04,
		0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20,
	}
}

func initOf(t testing.TB) []byte {
	var buf seekablebuffer.Buffer
	init := fmp4.Init{Tracks: []*fmp4.InitTrack{
		{ID: 1, TimeScale: 90000, Codec: &codecs.H264{SPS: sps(), PPS: []byte{0x68, 0xcb, 0x8c, 0xb2}}},
		{ID: 2, TimeScale: 48000, Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
			Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2,
		}}},
	}}
	if err := init.Marshal(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func part(t testing.TB, tracks ...*fmp4.PartTrack) []byte {
	var buf seekablebuffer.Buffer
	p := fmp4.Part{SequenceNumber: 7, Tracks: tracks}
	if err := p.Marshal(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func picture() *fmp4.PartTrack {
	return &fmp4.PartTrack{ID: 1, BaseTime: 90000, Samples: []*fmp4.Sample{
		{Duration: 3000, Payload: []byte("first picture"), PTSOffset: 6000},
		{Duration: 3000, Payload: []byte("second"), IsNonSyncSample: true},
	}}
}

func sound() *fmp4.PartTrack {
	return &fmp4.PartTrack{ID: 2, BaseTime: 48000, Samples: []*fmp4.Sample{
		{Duration: 1024, Payload: []byte("one")}, {Duration: 1024, Payload: []byte("another frame")},
	}}
}

func TestInit(t *testing.T) {
	for _, kind := range []Kind{Picture, Sound} {
		var got fmp4.Init
		if err := got.Unmarshal(bytes.NewReader(Init(initOf(t), kind))); err != nil {
			t.Fatal(err)
		}
		if len(got.Tracks) != 1 || got.Tracks[0].ID != int(kind) || got.Tracks[0].Codec.IsVideo() != (kind == Picture) {
			t.Errorf("kind %d: %+v", kind, got.Tracks)
		}
	}
}

// TestChunk: each track comes alone as it would have been written alone, and nothing of the other is sent with it.
func TestChunk(t *testing.T) {
	both := part(t, picture(), sound())
	before := bytes.Clone(both)
	for _, c := range []struct {
		name string
		from []byte
		kind Kind
		want []byte
	}{
		{"the picture", both, Picture, part(t, picture())},
		{"the sound", both, Sound, part(t, sound())},
		{"the sound where the picture stayed away", part(t, sound()), Sound, part(t, sound())},
	} {
		if got := bytes.Join(Chunk(c.from, c.kind), nil); !bytes.Equal(got, c.want) {
			t.Errorf("%s:\n%x\nwant\n%x", c.name, got, c.want)
		}
	}
	if !bytes.Equal(both, before) {
		t.Error("the chunk was changed")
	}
	var none fmp4.Parts
	if err := none.Unmarshal(bytes.Join(Chunk(part(t, sound()), Picture), nil)); err != nil || len(none) != 1 || len(none[0].Tracks) != 0 {
		t.Errorf("a picture that is not there: %+v, %v", none, err)
	}
}

// FuzzChunk: whatever is given, nothing outside of it is read, and it is not changed.
func FuzzChunk(f *testing.F) {
	f.Add(part(f, picture(), sound()))
	f.Add(initOf(f))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, block []byte) {
		before := bytes.Clone(block)
		for _, kind := range []Kind{Picture, Sound} {
			n := 0
			for _, piece := range Chunk(block, kind) {
				n += len(piece)
			}
			if n > 2*len(block)+64 {
				t.Errorf("%d bytes of %d", n, len(block))
			}
			Init(block, kind)
		}
		if !bytes.Equal(before, block) {
			t.Error("it was changed")
		}
	})
}
