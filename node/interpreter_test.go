package node

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/node/ingest"
)

var (
	toneFormat = chunker.Format{Streams: []chunker.Stream{{
		Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
			Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2,
		}}, Timescale: 48000,
	}}}
	monoFormat = chunker.Format{Streams: []chunker.Stream{{
		Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
			Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 1,
		}}, Timescale: 48000,
	}}}
	layerFormat = chunker.Format{Streams: []chunker.Stream{{
		Codec: &codecs.MPEG1Audio{SampleRate: 48000, ChannelCount: 2}, Timescale: 48000,
	}}}
)

// frameOf is a frame of sound that tells when it was due.
func frameOf(due time.Duration) []byte {
	return binary.BigEndian.AppendUint64([]byte("tone"), uint64(due))
}

// desk is an encoder of sound: it sends what is due from one time of the talk to another, its timestamps ahead of that by
// its own clock, and each packet so much later.
type desk struct {
	sink   ingest.Sink
	began  time.Time // of the talk
	offset time.Duration
	delay  time.Duration
}

// frame is how long a frame of sound lasts.
const frame = 1024 * time.Second / 48000

func (d desk) send(t *testing.T, from, to time.Duration) {
	t.Helper()
	for at := (from + frame - 1) / frame * frame; at < to; at += frame {
		stamp := int64((at+d.offset).Seconds()*48000 + 0.5)
		err := d.sink.Unit(chunker.Unit{DTS: stamp, PTS: stamp, Data: [][]byte{frameOf(at)}, Captured: d.began.Add(at + d.delay)})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// together sends two desks' sound as it comes, a fifth of a second at a time.
func together(t *testing.T, from, to time.Duration, desks ...desk) {
	t.Helper()
	for at := from; at < to; at += 200 * time.Millisecond {
		for _, d := range desks {
			d.send(t, at, min(at+200*time.Millisecond, to))
		}
	}
}

// heard is a frame that was published: where it lies on the media timeline, and when it was due; negative for silence.
type heard struct{ media, due time.Duration }

// published returns the frames of a track, and its chunks, in order; no time may be without a frame or have two.
func published(t *testing.T, b *broadcast, name string) (frames []heard, chunks []envelope.Chunk) {
	t.Helper()
	rec, ok := b.recording()
	if !ok {
		t.Fatal("no recording")
	}
	track, ok := rec.Track(name)
	if !ok {
		return nil, nil
	}
	chunks, _ = track.Range(envelope.ID{}, envelope.ID{Epoch: 1 << 40}, 1<<16, 1<<30)
	end := uint64(0)
	for i, c := range chunks {
		if c.Flags.Has(envelope.End) {
			continue
		}
		if i > 0 && c.DecodeTime != end && c.Epoch == chunks[i-1].Epoch && !c.Flags.Has(envelope.Discontinuity) {
			t.Errorf("%s: chunk %v begins at %d, the one before ends at %d", name, c.ID(), c.DecodeTime, end)
		}
		end = c.DecodeTime + uint64(c.Duration)
		var parts fmp4.Parts
		if err := parts.Unmarshal(c.Block); err != nil {
			t.Fatal(err)
		}
		at := parts[0].Tracks[0].BaseTime
		if at != c.DecodeTime {
			t.Errorf("%s: chunk %v begins at %d with a sample at %d", name, c.ID(), c.DecodeTime, at)
		}
		for _, s := range parts[0].Tracks[0].Samples {
			h := heard{time.Duration(at) * time.Second / 48000, -1}
			if stamp, ok := bytes.CutPrefix(s.Payload, []byte("tone")); ok {
				h.due = time.Duration(binary.BigEndian.Uint64(stamp))
			}
			frames = append(frames, h)
			at += uint64(s.Duration)
		}
	}
	return frames, chunks
}

// apart returns how far the frames that were due between two times lie from the place that they were due at.
func apart(t *testing.T, frames []heard, from, to time.Duration) (least, most time.Duration) {
	t.Helper()
	n := 0
	for _, f := range frames {
		if f.due < from || f.due >= to {
			continue
		}
		off := f.media - f.due
		if n == 0 {
			least, most = off, off
		}
		least, most, n = min(least, off), max(most, off), n+1
	}
	if n < int((to-from)/frame)-2 {
		t.Errorf("between %v and %v came %d frames", from, to, n)
	}
	return least, most
}

// silent reports whether no frame but silence lies on the media timeline between two times, and there is some throughout.
func silent(frames []heard, from, to time.Duration) bool {
	n := 0
	for _, f := range frames {
		if f.media >= from && f.media < to {
			if f.due >= 0 {
				return false
			}
			n++
		}
	}
	return n >= int((to-from)/frame)-2
}

// interpreted is a broadcast with a track "de", on an origin that takes RTMP that nobody sends.
func interpreted(t *testing.T) (*broadcast, *sideTrack) {
	t.Helper()
	o, _ := apiOrigin(t, OriginConfig{})
	b, err := o.ask(newcomer{key: "a-key-of-this-talk", tracks: []string{"de"}, grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	side, err := o.authorize("live", "a-key-of-this-talk", "de")
	if err != nil {
		t.Fatal(err)
	}
	return b, side.(*sideTrack)
}

func begin(t *testing.T, sink ingest.Sink, f chunker.Format) {
	t.Helper()
	if err := sink.Format(f); err != nil {
		t.Fatal(err)
	}
}
