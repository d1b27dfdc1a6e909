package shim

import (
	"bytes"
	"encoding/binary"
	"testing"

	"murmuration/playlist"
)

func be32(v ...uint32) string {
	var b []byte
	for _, v := range v {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return string(b)
}

func be64(v uint64) string { return string(binary.BigEndian.AppendUint64(nil, v)) }

// twoTracks is an init segment of a picture at 90 kHz and sound at 48 kHz; the second uses the 64-bit headers.
func twoTracks() []byte {
	trak := func(id, scale uint32, wide bool) string {
		tkhd := be32(0, 0, 0, id, 0, 0)
		mdhd := be32(0, 0, 0, scale, 0, 0)
		if wide {
			tkhd = be32(1<<24, 0, 0, 0, 0, id, 0)
			mdhd = be32(1<<24, 0, 0, 0, 0, scale, 0)
		}
		return string(box("trak", string(box("tkhd", tkhd)), string(box("mdia", string(box("mdhd", mdhd))))))
	}
	return append(box("ftyp", "iso6"), box("moov", string(box("mvhd", be32(0, 0))), trak(1, 90000, false), trak(2, 48000, true))...)
}

func twoFrags(picture, sound uint64) []byte {
	traf := func(id uint32, tfdt string) string {
		return string(box("traf", string(box("tfhd", be32(0, id))), string(box("tfdt", tfdt)), string(box("trun", "samples"))))
	}
	moof := box("moof", string(box("mfhd", be32(0, 1))), traf(1, be32(0, uint32(picture))), traf(2, be32(1<<24)+be64(sound)))
	return append(moof, box("mdat", "media")...)
}

// TestTimeline checks that chunks pass untouched until a discontinuity, and then carry on in each track's own units.
func TestTimeline(t *testing.T) {
	line := newTimeline(twoTracks())
	place := func(part playlist.Part, block []byte) []byte {
		t.Helper()
		before := bytes.Clone(block)
		got := bytes.Join(line.place(part, block), nil)
		if !bytes.Equal(before, block) {
			t.Fatal("a shared block was written to")
		}
		if len(got) != len(block) {
			t.Fatalf("%d bytes of %d", len(got), len(block))
		}
		return got
	}
	part := playlist.Part{Epoch: 1, Timescale: 90000, DecodeTime: 900000, Duration: 22500}
	if got := place(part, twoFrags(900000, 480000)); !bytes.Equal(got, twoFrags(900000, 480000)) {
		t.Error("the first chunk was changed")
	}
	part = playlist.Part{Epoch: 2, Timescale: 90000, Duration: 22500}
	// Ten seconds and a chunk, and the room left.
	if got := place(part, twoFrags(0, 100)); !bytes.Equal(got, twoFrags(900000+22500+9000, 480000+12000+4800+100)) {
		t.Errorf("after a restart: %q", got)
	}
	part.Seq, part.DecodeTime = 1, 22500
	if got := place(part, twoFrags(22500, 12000)); !bytes.Equal(got, twoFrags(954000, 508800)) {
		t.Errorf("and on: %q", got)
	}
	// Back again, this time by going down.
	part.Seq, part.DecodeTime, part.Discontinuity = 2, 1<<40, true
	if got := place(part, twoFrags(5, 1<<40)); len(got) == 0 {
		t.Error("nothing")
	}
	if line.shift >= 0 {
		t.Errorf("shift %d", line.shift)
	}
}

// FuzzTimeline: whatever bytes a channel signs as init segment and block, they come out as long as they went in, and
// the block that others share is not written to.
func FuzzTimeline(f *testing.F) {
	f.Add(twoTracks(), twoFrags(0, 0))
	f.Add([]byte("\x00\x00\x00\x01moov\x00\x00\x00\x00\x00\x00\x00\x10"), []byte("\x00\x00\x00\x00moof\x00\x00\x00\x08traf"))
	f.Fuzz(func(t *testing.T, init, block []byte) {
		line := newTimeline(init)
		line.place(playlist.Part{Epoch: 1, Timescale: 90000, DecodeTime: 1 << 50, Duration: 1}, block)
		before := bytes.Clone(block)
		got := bytes.Join(line.place(playlist.Part{Epoch: 2, Timescale: 48000, Duration: 1}, block), nil)
		if len(got) != len(block) || !bytes.Equal(before, block) {
			t.Errorf("%q became %q", block, got)
		}
	})
}
