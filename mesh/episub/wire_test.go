package episub

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
)

// frames are control frames and their encodings, for both directions.
var frames = []struct {
	name string
	c    Control
	hex  string
}{
	{"empty", Control{Epoch: 5}, "0105"},
	{"leave", Control{Has: HasLeave, Leave: 1<<16 | 3}, "0100" + "030003" + "010003"},
	{"grant", Control{Has: HasGrant, Grant: 0x8001}, "0100" + "040003" + "008001"},
	{
		"refuse",
		Control{Has: HasRefuse, Refuse: Refuse{Lanes: 2, Retry: 1500, Instead: 0x0102030405060708}},
		"0100" + "05000d" + "000002" + "05dc" + "0102030405060708",
	},
	{"state", Control{Epoch: 300, Has: HasState, State: State{
		Newest: 130, Age: 1234, Complete: 0xfffe, Independent: 2, Room: 40, Drain: 17, Takes: 6, Fed: 1<<16 | 1,
		Lanes: [lanes]Lane{0: {Age: 500, Wait: 7, Relay: 3, Weight: 9}, 16: {Age: 400}},
	}}, "01ac02" + "010019" + "8201" + "04d2" + "fffe" + "02" + "28" + "11" + "000006" + "010001" + "01f4070309" + "0190000000"},
	{"want", Control{Has: HasWant, Want: Want{From: 7, Room: 99, N: 2, Lanes: [lanes]WantLane{
		{Lane: 3, Weight: 1, Limit: 0xffff}, {Lane: 16, Limit: 900},
	}}}, "0100" + "02000b" + "07" + "63" + "02" + "0301ffff" + "10000384"},
	{"request", Control{
		Has:     HasRequest | HasAbsent,
		Request: Asks{N: 1, List: [MaxAsks]Ask{{Seq: 9, Envelope: true, Set: bitset{0x0102}}}},
		Absent:  Asks{N: 1, List: [MaxAsks]Ask{{Seq: 8, Envelope: true}}},
	}, "0100" + "060005" + "01" + "09" + "82" + "0201" + "070003" + "01" + "08" + "80"},
}

func TestControlFrames(t *testing.T) {
	for _, f := range frames {
		b := f.c.Append(nil)
		if got := hex.EncodeToString(b); got != f.hex {
			t.Errorf("%s: encoded %s, want %s", f.name, got, f.hex)
		}
		want, _ := hex.DecodeString(f.hex)
		var c Control
		if err := c.Decode(want); err != nil {
			t.Errorf("%s: %v", f.name, err)
		} else if !reflect.DeepEqual(c, f.c) {
			t.Errorf("%s: decoded %+v, want %+v", f.name, c, f.c)
		}
	}
}

func TestControlStrict(t *testing.T) {
	for name, s := range map[string]string{
		"no version":        "",
		"other version":     "0200",
		"short":             "01",
		"epoch not minimal": "018000",
		"cut section":       "0100" + "0300",
		"long section":      "0100" + "030004" + "01000300",
		"short section":     "0100" + "030002" + "0100",
		"twice":             "0100" + "030003010003" + "030003010003",
		"out of order":      "0100" + "040003010003" + "030003010003",
		"critical unknown":  "0100" + "800000",
		"lane 17":           "0100" + "030003" + "020000",
		"want lane twice":   "0100" + "02000b" + "07" + "63" + "02" + "0301ffff" + "03000384",
		"want lane 17":      "0100" + "020007" + "07" + "63" + "01" + "1101ffff",
		"nine asks":         "0100" + "060001" + "09",
		"ask ends in zero":  "0100" + "060004" + "01" + "09" + "01" + "00",
		"ask too long":      "0100" + "060014" + "01" + "09" + "11" + "0101010101010101010101010101010101",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(name, err)
		}
		if (&Control{}).Decode(b) == nil {
			t.Errorf("%s: decoded", name)
		}
	}
	var c Control
	if err := c.Decode([]byte{1, 0, 3, 0, 3, 0, 0, 1, 0x7f, 0, 2, 9, 9}); err != nil || c.Has != HasLeave {
		t.Errorf("an unknown section that may be skipped: %v, has %b", err, c.Has)
	}
}

func TestHeaderAndGroup(t *testing.T) {
	h := Header{Index: 17, Age: 123_400_000, Hops: 3}
	b := append(h.Append(nil), "payload"...)
	got, rest, err := DecodeHeader(b)
	if err != nil || got != h || string(rest) != "payload" {
		t.Errorf("decoded %+v %q %v, want %+v", got, rest, err, h)
	}
	h = Header{Index: EnvelopeIndex}
	if got, _, err := DecodeHeader(h.Append(nil)); err != nil || got != h {
		t.Errorf("decoded %+v %v, want %+v", got, err, h)
	}
	id := ID{Epoch: 1_790_000_000, Seq: 812}
	if got, err := DecodeGroup(AppendGroup(nil, id)); err != nil || got != id {
		t.Errorf("group %+v %v, want %+v", got, err, id)
	}
	for _, bad := range [][]byte{nil, {1}, {0x80, 0, 1}, {1, 1, 1}} {
		if _, err := DecodeGroup(bad); err == nil {
			t.Errorf("group %x decoded", bad)
		}
	}
}

func FuzzControl(f *testing.F) {
	for _, x := range frames {
		b, _ := hex.DecodeString(x.hex)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Control
		if c.Decode(b) != nil {
			return
		}
		again := c.Append(nil)
		var d Control
		if err := d.Decode(again); err != nil {
			t.Fatalf("%x became %x: %v", b, again, err)
		}
		if once := d.Append(nil); !bytes.Equal(once, again) {
			t.Fatalf("%x encodes as %x and %x", b, again, once)
		}
		if len(again) > len(b) {
			t.Fatalf("%x grew to %x", b, again)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte{1, 3, 0, 1, 2, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, err := DecodeHeader(b)
		if err == nil && !bytes.Equal(append(h.Append(nil), rest...), b) {
			t.Fatalf("%x decoded as %+v", b, h)
		}
		_, _ = DecodeGroup(b)
	})
}
