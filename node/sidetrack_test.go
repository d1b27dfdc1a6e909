package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
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
		stamp := int64((at + d.offset).Seconds()*48000 + 0.5)
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
		if i > 0 && c.DecodeTime != end && !c.Flags.Has(envelope.Discontinuity) {
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

// TestSideTrack plays a talk of a minute with an interpreter, by the packets' own times: what an encoder's clock says does
// not matter, only when its packets come.
func TestSideTrack(t *testing.T) {
	b, side := interpreted(t)
	began := time.Now().Truncate(time.Second)
	stage := desk{sink: b, began: began, offset: 77 * time.Hour}
	voice := desk{sink: side, began: began, offset: 5 * time.Second, delay: 15 * time.Millisecond}
	s := time.Second

	// The interpreter is there before the talk: from its beginning on, nothing is lost.
	begin(t, side, toneFormat)
	side.came()
	voice.send(t, -10*s, 0)
	begin(t, b, toneFormat)
	together(t, 0, 10*s, stage, voice)
	frames, _ := published(t, b, "de")
	if least, most := apart(t, frames, s/4, 8*s); least < -25*time.Millisecond || most > 25*time.Millisecond {
		t.Errorf("de lies %v to %v from where it was due", least, most)
	}

	// It breaks off: silence takes its place. What returns, with another clock, lies where it belongs.
	if err := side.Interrupt(); err != nil {
		t.Fatal(err)
	}
	side.gone()
	together(t, 10*s, 20*s, stage)
	frames, _ = published(t, b, "de")
	if !silent(frames, 10*s+s/4, 19*s) {
		t.Error("no silence while the interpreter's encoder is away")
	}
	voice.offset = 3 * time.Hour
	begin(t, side, toneFormat)
	side.came()
	together(t, 20*s, 30*s, stage, voice)
	frames, chunks := published(t, b, "de")
	if least, most := apart(t, frames, 21*s, 28*s); least < -25*time.Millisecond || most > 25*time.Millisecond {
		t.Errorf("after its return, de lies %v to %v from where it was due", least, most)
	}
	for _, c := range chunks {
		if c.Flags.Has(envelope.Discontinuity) {
			t.Errorf("chunk %v is a discontinuity: players would wait for main's", c.ID())
		}
	}

	// Main breaks off for five seconds, of which its timeline knows nothing: de follows it, with a discontinuity.
	if err := b.Interrupt(); err != nil {
		t.Fatal(err)
	}
	together(t, 30*s, 35*s, voice)
	stage.offset = 0
	together(t, 35*s, 45*s, stage, voice)
	frames, chunks = published(t, b, "de")
	if least, most := apart(t, frames, 37*s, 43*s); least < -5*s-40*time.Millisecond || most > -5*s+40*time.Millisecond {
		t.Errorf("after main's return, de lies %v to %v from where it was due, want five seconds before", least, most)
	}
	breaks := 0
	for _, c := range chunks {
		if c.Flags.Has(envelope.Discontinuity) {
			breaks++
			if at := c.Time(); at < 29*s || at > 31*s {
				t.Errorf("a discontinuity at %v", at)
			}
		}
	}
	if breaks != 1 {
		t.Errorf("%d discontinuities, want main's one", breaks)
	}

	// The broadcast's end is its end.
	if fresh, err := b.end(); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	if _, chunks = published(t, b, "de"); !chunks[len(chunks)-1].Flags.Has(envelope.End) {
		t.Error("de has no end mark")
	}
	if err := side.Unit(chunker.Unit{}); !errors.Is(err, errEnded) {
		t.Errorf("a unit after the end: %v", err)
	}
	if info, _ := b.listed(); len(info.Tracks) != 2 || info.Tracks[1].Name != "de" || info.Tracks[1].Codecs != "mp4a.40.2" {
		t.Errorf("the record would list %+v", info.Tracks)
	}
}

// TestSideTrackLate has a track begin in the middle of a talk, and its clock run a little fast: it stays beside main.
func TestSideTrackLate(t *testing.T) {
	b, side := interpreted(t)
	began := time.Now().Truncate(time.Second)
	stage := desk{sink: b, began: began}
	s := time.Second
	begin(t, b, toneFormat)
	together(t, 0, 20*s, stage)
	begin(t, side, toneFormat)
	side.came()
	voice := desk{sink: side, began: began}
	for at := 20 * s; at < 320*s; at += s {
		voice.offset = (at - 20*s) / 1000 // 1000 ppm: far more than a sound card's
		together(t, at, at+s, stage, voice)
	}
	frames, chunks := published(t, b, "de")
	if first := chunks[0].Time(); first < 19*s || first > 21*s {
		t.Errorf("it begins at %v", first)
	}
	least, most := apart(t, frames, 60*s, 315*s)
	if least < -100*time.Millisecond || most > 100*time.Millisecond {
		t.Errorf("its clock drifts away: %v to %v from where it was due", least, most)
	}
	t.Logf("de lies %v to %v from where it was due, while its clock gains 300 ms", least, most)
	if slices.ContainsFunc(chunks, func(c envelope.Chunk) bool { return c.Flags.Has(envelope.Discontinuity) }) {
		t.Error("a discontinuity")
	}
}

// TestSideTrackRefused: what cannot be a further track is refused with a word.
func TestSideTrackRefused(t *testing.T) {
	b, side := interpreted(t)
	begin(t, b, toneFormat)
	if err := side.Format(layerFormat); !errors.Is(err, errSideCodec) {
		t.Errorf("a codec without silence: %v", err)
	}
	began := time.Now()
	begin(t, side, toneFormat)
	together(t, 0, 3*time.Second, desk{sink: b, began: began}, desk{sink: side, began: began})
	if err := side.Format(monoFormat); !errors.Is(err, errSideFormat) {
		t.Errorf("another format: %v", err)
	}
	for name, want := range map[string]error{"fr": errNoTrack, "../x": errNoTrack} {
		if _, err := sinkOf(b, name, false); !errors.Is(err, want) {
			t.Errorf("track %q: %v", name, err)
		}
	}
	if sink, err := sinkOf(b, mainTrack, false); err != nil || sink != ingest.Sink(b) {
		t.Errorf("main: %v, %v", sink, err)
	}
	for i := range maxTracks - 2 {
		if _, err := sinkOf(b, string(rune('a'+i))+"x", true); err != nil {
			t.Errorf("track %d under a standing key: %v", i, err)
		}
	}
	if _, err := sinkOf(b, "more", true); !errors.Is(err, errManyTracks) {
		t.Errorf("one too many: %v", err)
	}
}
