package mesh

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/node/basicnode"

	"murmuration/chunker/envelope"
)

func goodRecords(t testing.TB) map[string]Record {
	t.Helper()
	full := testRecord("FOSDEM 2026 — K.1.105", "0abc1", "0abc2")
	full.Broadcasts[0].Ended = noon.Add(time.Hour)
	full.Recordings = []RecordingInfo{{
		Broadcast: "0abc0", Title: "Opening", Started: noon.Add(-time.Hour), Duration: 50 * time.Minute,
		Root: envelope.CID([]byte("root")), Size: 1 << 40,
	}}
	full.Extensions = map[string][]byte{"donate": {0x65, 'h', 'e', 'l', 'l', 'o'}, "z": {0xa1, 0x61, 'a', 0x18, 0x64}}
	private := testRecord("x", "0abc1", "0abc2", "0abc3")
	private.Broadcasts[0].Private, private.Broadcasts[2].Private = true, true
	private.Recordings = []RecordingInfo{
		{Broadcast: "0abc3", Started: noon, Root: envelope.CID([]byte("root")), Private: true},
		{Broadcast: "0abc0", Started: noon, Root: envelope.CID([]byte("root")), Private: true},
		{Broadcast: "0abc2", Started: noon, Root: envelope.CID([]byte("root"))},
	}
	list := map[string]Record{"empty": {}, "one": testRecord("x", "0abc"), "full": full, "private": private}
	for name, r := range list {
		r.Version, r.Issued = 1_790_000_000_000, noon
		if err := r.Sign(channelKey); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list[name] = r
	}
	return list
}

func TestRecordRoundTrip(t *testing.T) {
	for name, r := range goodRecords(t) {
		raw, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeRecord(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := got.Verify(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if again, err := got.Encode(); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%s became another: %v", name, err)
		}
		if (name == "full" || name == "private") && !reflect.DeepEqual(got, r) {
			t.Errorf("%+v\nbecame %+v", r, got)
		}
		// A second opinion: IPLD's own decoder takes it.
		if err := dagcbor.Decode(basicnode.Prototype.Any.NewBuilder(), bytes.NewReader(raw)); err != nil {
			t.Errorf("%s is not dag-cbor: %v", name, err)
		}
		for i := range raw { // nothing in it can be changed
			b := bytes.Clone(raw)
			b[i] ^= 1
			if x, err := DecodeRecord(b); err == nil && x.Verify() == nil {
				t.Errorf("%s: byte %d changed and still valid", name, i)
			}
		}
		if _, err := DecodeRecord(raw[:len(raw)-1]); !errors.Is(err, ErrRecord) {
			t.Error(err)
		}
		if _, err := DecodeRecord(append(bytes.Clone(raw), 0)); !errors.Is(err, ErrRecord) {
			t.Error(err)
		}
	}
}

func TestRecordBounds(t *testing.T) {
	many := testRecord("x")
	for i := range maxBroadcasts + 1 {
		many.Broadcasts = append(many.Broadcasts, BroadcastInfo{ID: fmt.Sprintf("0%d", i), Started: noon})
	}
	tracks := testRecord("x", "0abc")
	tracks.Broadcasts[0].Tracks = append(tracks.Broadcasts[0].Tracks, tracks.Broadcasts[0].Tracks[0])
	large := testRecord("x")
	for i := range maxBroadcasts {
		b := BroadcastInfo{ID: fmt.Sprintf("0%d", i), Title: strings.Repeat("x", maxTitle), Started: noon}
		for j := range maxTracks {
			b.Tracks = append(b.Tracks, TrackInfo{Name: fmt.Sprintf("t%d", j), Codecs: strings.Repeat("c", maxCodecs)})
		}
		large.Broadcasts = append(large.Broadcasts, b)
	}
	for name, r := range map[string]Record{
		"many broadcasts": many, "track twice": tracks, "large": large,
		"twice":       testRecord("x", "0abc", "0abc"),
		"name":        testRecord("x", "A"),
		"long title":  testRecord(strings.Repeat("x", maxTitle+1)),
		"control":     testRecord("a\x1b[31m"),
		"not utf8":    testRecord("\xff"),
		"no root":     {Recordings: []RecordingInfo{{Broadcast: "0abc", Started: noon}}},
		"before 1970": {Broadcasts: []BroadcastInfo{{ID: "0abc", Started: time.Unix(-1, 0)}}},
		"year 20000":  {Broadcasts: []BroadcastInfo{{ID: "0abc", Started: noon.AddDate(18000, 0, 0)}}},
	} {
		r.Issued = noon
		if err := r.Sign(channelKey); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRecordPrivateForms wants the list of what is private in its one form.
func TestRecordPrivateForms(t *testing.T) {
	taken := testRecord("x", "0abc")
	taken.Issued, taken.Extensions = noon, map[string][]byte{extPrivate: {0x80}}
	if err := taken.Sign(channelKey); !errors.Is(err, ErrRecord) {
		t.Errorf("an extension of that name: %v", err)
	}
	good := testRecord("x", "0a", "0b", "0c")
	good.Version, good.Issued = 1, noon
	good.Broadcasts[0].Private, good.Broadcasts[1].Private = true, true
	if err := good.Sign(channelKey); err != nil {
		t.Fatal(err)
	}
	raw, err := good.Encode()
	if err != nil {
		t.Fatal(err)
	}
	list := []byte("\x67private\x82\x620a\x620b")
	if bytes.Count(raw, list) != 1 {
		t.Fatalf("no %x in %x", list, raw)
	}
	for name, other := range map[string]string{
		"out of order":     "\x82\x620b\x620a",
		"twice":            "\x82\x620a\x620a",
		"of nothing here":  "\x82\x620a\x620d",
		"empty":            "\x80",
		"not the shortest": "\x98\x02\x620a\x620b",
		"a map":            "\xa1\x620a\x620b",
		"numbers":          "\x82\x01\x02",
		"null":             "\xf6",
	} {
		b := bytes.Replace(raw, list, append([]byte("\x67private"), other...), 1)
		if _, err := DecodeRecord(b); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRecordOfAnotherKey(t *testing.T) {
	r := goodRecords(t)["one"]
	r.Channel = ChannelOf(otherKey)
	if err := r.Verify(); !errors.Is(err, ErrRecordSignature) {
		t.Error(err)
	}
	r.Channel = envelope.Channel{1, 2, 3} // no point on the curve, perhaps
	if err := r.Verify(); !errors.Is(err, ErrRecordSignature) {
		t.Error(err)
	}
}

func TestCurrent(t *testing.T) {
	r := testRecord("x", "0a", "0b", "0c")
	r.Broadcasts[2].Ended = noon
	if b, ok := r.Current(); !ok || b.ID != "0b" || len(r.Live()) != 2 {
		t.Errorf("%v, %v", b.ID, ok)
	}
}

func FuzzRecord(f *testing.F) {
	for _, r := range goodRecords(f) {
		raw, err := r.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRecord(b)
		if err != nil {
			if !errors.Is(err, ErrRecord) {
				t.Fatal(err)
			}
			return
		}
		_ = r.Verify()
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x, %v", b, again, err)
		}
	})
}
