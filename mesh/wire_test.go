package mesh

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

func goodFrames(t testing.TB) map[string]envelope.Chunk {
	s := newStream(noon)
	first, second := s.next(t), s.next(t)
	end := s.make(t, func(e *envelope.Envelope) { e.Flags |= envelope.End })
	s.size = envelope.MaxBlock - 1
	return map[string]envelope.Chunk{"independent": first, "plain": second, "end": end, "largest": s.next(t)}
}

func TestFrameRoundTrip(t *testing.T) {
	for name, c := range goodFrames(t) {
		b := mustFrame(t, c)
		got, err := decodeFrame(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := verifyChunk(testTrack, got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(got.Raw, c.Raw) || !bytes.Equal(got.Block, c.Block) || !bytes.Equal(got.Init, initOf(c)) {
			t.Errorf("%s came back as another chunk", name)
		}
		if len(b) > maxFrame || len(b) > maxMessage-(64<<10) {
			t.Errorf("%s has %d bytes", name, len(b))
		}
	}
	lacks := goodFrames(t)["independent"]
	lacks.Init = nil
	if _, err := encodeFrame(lacks); err == nil {
		t.Error("an independent chunk went out without its init segment")
	}
}

func FuzzFrame(f *testing.F) {
	for name, c := range goodFrames(f) {
		if name != "largest" {
			f.Add(mustFrame(f, c))
		}
	}
	f.Add([]byte{1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeFrame(b)
		if err != nil {
			if !errors.Is(err, ErrFrame) {
				t.Fatal(err)
			}
			return
		}
		again, err := encodeFrame(c)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x, %v", b, again, err)
		}
	})
}

func goodRequests() []logRequest {
	return []logRequest{
		{Kind: logRange, Track: testTrack, From: at(1, 2), To: at(1, 9), Count: 32, Size: 1 << 20},
		{Kind: logRange, Track: testTrack, From: at(1, 2), To: at(1<<63, 1<<63), Count: maxLogCount, Size: maxLogBytes},
		{Kind: logLatest, Track: testTrack, Span: 6 * time.Second, Count: 100, Size: 4 << 20},
		{Kind: logInit, Track: testTrack, Init: envelope.RawCID(testInit)},
		{Kind: logIndex, Track: testTrack, From: at(0, 0), To: at(1<<63, 1<<63), Count: maxIndexCount, Size: maxIndexBytes},
	}
}

func TestLogRequests(t *testing.T) {
	for _, r := range goodRequests() {
		b := r.appendTo(nil)
		got, err := parseLogRequest(b)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v became %+v, %v", r, got, err)
		}
		for i := range b {
			if _, err := parseLogRequest(b[:i]); !errors.Is(err, ErrLogWire) {
				t.Errorf("cut at %d: %v", i, err)
			}
		}
		if _, err := parseLogRequest(append(b, 0)); !errors.Is(err, ErrLogWire) {
			t.Errorf("trailing byte: %v", err)
		}
	}
	for name, r := range map[string]logRequest{
		"backwards":  {Kind: logRange, Track: testTrack, From: at(1, 9), To: at(1, 2), Count: 1, Size: 1},
		"no chunks":  {Kind: logRange, Track: testTrack, From: at(1, 2), To: at(1, 2), Size: 1},
		"no bytes":   {Kind: logLatest, Track: testTrack, Span: time.Second, Count: 1},
		"a week":     {Kind: logLatest, Track: testTrack, Span: 7 * 24 * time.Hour, Count: 1, Size: 1},
		"kind":       {Kind: 9, Track: testTrack, Count: 1, Size: 1},
		"bad name":   {Kind: logLatest, Track: TrackID{testTrack.Channel, "A/B", "main"}, Count: 1, Size: 1},
		"empty name": {Kind: logLatest, Track: TrackID{testTrack.Channel, "0abc", ""}, Count: 1, Size: 1},
	} {
		if _, err := parseLogRequest(r.appendTo(nil)); !errors.Is(err, ErrLogWire) {
			t.Errorf("%s: %v", name, err)
		}
	}
	greedy := logRequest{Kind: logLatest, Track: testTrack, Count: 65535, Size: 1 << 31}
	if got, err := parseLogRequest(greedy.appendTo(nil)); err != nil || got.Count != maxLogCount || got.Size != maxLogBytes {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzLogRequest(f *testing.F) {
	for _, r := range goodRequests() {
		f.Add(r.appendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseLogRequest(b)
		if err != nil {
			return
		}
		again, err := parseLogRequest(r.appendTo(nil))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

func TestLogAnswer(t *testing.T) {
	frame := mustFrame(t, goodFrames(t)["plain"])
	end := logEnd{Status: logMore, Newest: at(3, 4)}
	chunks := 0
	onChunk := func(b []byte) error {
		if !bytes.Equal(b, frame) {
			t.Error("another frame")
		}
		chunks++
		return nil
	}
	item, stop := appendLogItem(nil, logItemChunk, frame), appendLogEnd(nil, end)
	got, err := readLogAnswer(flat(item, item, stop), 2, onChunk, nil)
	if err != nil || got != end || chunks != 2 {
		t.Errorf("%+v, %v, %d chunks", got, err, chunks)
	}
	huge := appendLogHead(nil, logItemChunk, maxFrame+1)
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"empty":        {nil, io.EOF},
		"no end":       {item, io.EOF},
		"cut end":      {stop[:5], io.ErrUnexpectedEOF},
		"cut chunk":    {item[:len(item)-1], io.ErrUnexpectedEOF},
		"cut length":   {item[:3], io.ErrUnexpectedEOF},
		"too many":     {bytes.Repeat(item, 3), ErrLogWire},
		"huge":         {huge, ErrLogWire},
		"zero":         {appendLogHead(nil, logItemChunk, 0), ErrLogWire},
		"kind":         {[]byte{7}, ErrLogWire},
		"init unasked": {appendLogItem(nil, logItemInit, testInit), ErrLogWire},
		"status":       {appendLogEnd(nil, logEnd{Status: 99}), ErrLogWire},
	} {
		if _, err := readLogAnswer(bytes.NewReader(c.b), 2, func([]byte) error { return nil }, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLogAnswer(f *testing.F) {
	frame := mustFrame(f, goodFrames(f)["plain"])
	f.Add(append(appendLogItem(nil, logItemChunk, frame), appendLogEnd(nil, logEnd{Newest: at(1, 2)})...))
	f.Add(append(appendLogItem(nil, logItemIndex, []byte{1, 0}), appendLogEnd(nil, logEnd{Status: logMore})...))
	f.Add(append(appendLogItem(nil, logItemInit, testInit), appendLogEnd(nil, logEnd{Status: logUnknown})...))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		use := func(p []byte) error { n += len(p); return nil }
		if _, err := readAnswer(bytes.NewReader(b), 8, takers{logItemChunk: use, logItemInit: use, logItemIndex: use}); err == nil && n > len(b) {
			t.Fatalf("%d bytes out of %d", n, len(b))
		}
	})
}

func TestWriteLogAnswer(t *testing.T) {
	w := newWindow(time.Minute, 1<<20)
	list := newStream(noon).take(t, 20)
	for _, c := range list {
		w.add(c, true, noon)
	}
	for name, c := range map[string]struct {
		req    logRequest
		chunks int
		status logStatus
	}{
		"range":        {logRequest{Kind: logRange, From: list[3].ID(), To: list[7].ID(), Count: 10, Size: 1 << 20}, 5, logDone},
		"limited":      {logRequest{Kind: logRange, From: list[3].ID(), To: list[7].ID(), Count: 2, Size: 1 << 20}, 2, logMore},
		"nothing":      {logRequest{Kind: logRange, From: at(1, 1), To: at(1, 2), Count: 2, Size: 1 << 20}, 0, logDone},
		"latest":       {logRequest{Kind: logLatest, Span: time.Second, Count: 99, Size: 1 << 20}, 4, logDone},
		"init":         {logRequest{Kind: logInit, Init: list[0].Envelope.Init}, 0, logDone},
		"unknown init": {logRequest{Kind: logInit, Init: list[0].Envelope.Block}, 0, logUnknown},
	} {
		var out bytes.Buffer
		end := func(e logEnd) error { _, err := out.Write(appendLogEnd(nil, e)); return err }
		if err := writeLogAnswer(&out, c.req, w, end); err != nil {
			t.Fatal(err)
		}
		got := 0
		e, err := readLogAnswer(&out, 99, func(b []byte) error {
			got++
			ch, err := decodeFrame(b)
			if err != nil {
				return err
			}
			return verifyChunk(testTrack, ch)
		}, func([]byte) error { return nil })
		if err != nil || got != c.chunks || e.Status != c.status || e.Newest != list[19].ID() {
			t.Errorf("%s: %d chunks, %+v, %v", name, got, e, err)
		}
	}
}

func TestChannelWire(t *testing.T) {
	req := channelRequest{Channel: testTrack.Channel, Peers: 9}
	about := channelRequest{Channel: testTrack.Channel, Peers: 4, Track: trackMark("a topic")}
	for i := range about.Ages {
		about.Ages[i] = time.Duration(i-1) * 8 * stripeAgeUnit
	}
	about.Ages[0] = -1
	for _, r := range []channelRequest{req, {Channel: testTrack.Channel, Peers: maxExchanged, Near: true}, about} {
		if got, err := parseChannelRequest(r.appendTo(nil)); err != nil || got != r {
			t.Errorf("%+v, %v", got, err)
		}
	}
	late := about
	late.Ages[3] = time.Minute
	if got, err := parseChannelRequest(late.appendTo(nil)); err != nil || got.Ages[3] != 254*stripeAgeUnit {
		t.Errorf("a very late stripe became %+v, %v", got, err)
	}
	nameless := about.appendTo(nil)
	clear(nameless[leastRequest : leastRequest+8])
	for _, b := range [][]byte{nil, {1}, nameless, about.appendTo(nil)[:leastRequest+8], append(req.appendTo(nil), 0), append([]byte{2}, req.appendTo(nil)[1:]...)} {
		if _, err := parseChannelRequest(b); !errors.Is(err, ErrChannelWire) {
			t.Errorf("%x: %v", b, err)
		}
	}
	a := channelAnswer{Follows: true, Record: []byte("record"), Peers: [][]byte{[]byte("one"), []byte("two")}}
	raw := a.appendTo(nil)
	if got, err := readChannelAnswer(bytes.NewReader(raw)); err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("%+v, %v", got, err)
	}
	for i := range raw {
		if _, err := readChannelAnswer(bytes.NewReader(raw[:i])); err == nil {
			t.Errorf("cut at %d", i)
		}
	}
	if _, err := readChannelAnswer(flat(raw, []byte{0})); !errors.Is(err, ErrChannelWire) {
		t.Error(err)
	}
	if _, err := readChannelAnswer(flat([]byte{1, 1, 255, 255, 255, 255})); !errors.Is(err, ErrChannelWire) {
		t.Error(err)
	}
}

func FuzzChannelRequest(f *testing.F) {
	f.Add(channelRequest{Channel: testTrack.Channel, Peers: 9, Near: true}.appendTo(nil))
	f.Add(channelRequest{Channel: testTrack.Channel, Peers: 4, Track: 7, Ages: episub.Ages{3: 40 * time.Millisecond, 4: -1}}.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseChannelRequest(b)
		if err != nil {
			return
		}
		if again, err := parseChannelRequest(r.appendTo(nil)); err != nil || again != r {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzChannelAnswer(f *testing.F) {
	f.Add(channelAnswer{Follows: true, Record: []byte("record"), Peers: [][]byte{[]byte("one")}}.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readChannelAnswer(bytes.NewReader(b))
		if err != nil {
			return
		}
		if again := a.appendTo(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
		for _, p := range a.Peers {
			_, _ = openPeerRecord(p) // must not panic
		}
	})
}
