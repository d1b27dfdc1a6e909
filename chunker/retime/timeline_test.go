package retime

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

func box(kind string, body ...string) []byte {
	b := strings.Join(body, "")
	return []byte(be32(uint32(len(b)+8)) + kind + b)
}

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
	line := New(twoTracks())
	place := func(part Position, block []byte) []byte {
		t.Helper()
		before := bytes.Clone(block)
		got := bytes.Join(line.Place(part, block), nil)
		if !bytes.Equal(before, block) {
			t.Fatal("a shared block was written to")
		}
		if len(got) != len(block) {
			t.Fatalf("%d bytes of %d", len(got), len(block))
		}
		return got
	}
	part := Position{Epoch: 1, Timescale: 90000, DecodeTime: 900000, Duration: 22500}
	if got := place(part, twoFrags(900000, 480000)); !bytes.Equal(got, twoFrags(900000, 480000)) {
		t.Error("the first chunk was changed")
	}
	part = Position{Epoch: 2, Timescale: 90000, Duration: 22500}
	// Ten seconds and a chunk, and the room left.
	if got := place(part, twoFrags(0, 100)); !bytes.Equal(got, twoFrags(900000+22500+9000, 480000+12000+4800+100)) {
		t.Errorf("after a restart: %q", got)
	}
	part.DecodeTime = 22500
	if got := place(part, twoFrags(22500, 12000)); !bytes.Equal(got, twoFrags(954000, 508800)) {
		t.Errorf("and on: %q", got)
	}
	// Back again, this time by going down.
	part.DecodeTime, part.Discontinuity = 1<<40, true
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
		line := New(init)
		line.Place(Position{Epoch: 1, Timescale: 90000, DecodeTime: 1 << 50, Duration: 1}, block)
		before := bytes.Clone(block)
		got := bytes.Join(line.Place(Position{Epoch: 2, Timescale: 48000, Duration: 1}, block), nil)
		if len(got) != len(block) || !bytes.Equal(before, block) {
			t.Errorf("%q became %q", block, got)
		}
	})
}

// twoRuns is a chunk of picture and sound whose samples last as long as told, each in its own units.
func twoRuns(picture, pictures, sound, sounds uint64) []byte {
	traf := func(id uint32, base, length uint64) string {
		trun := be32(0x301, 2, 0, uint32(length/2), 1, uint32(length-length/2), 1) // offset; duration and size
		return string(box("traf", string(box("tfhd", be32(0x20000, id))), string(box("tfdt", be32(1<<24)+be64(base))), string(box("trun", trun))))
	}
	return append(box("moof", string(box("mfhd", be32(0, 1))), traf(1, picture, pictures), traf(2, sound, sounds)), box("mdat", "me")...)
}

// TestExact checks that a cut begins at zero, that pieces lie end to end, and that nothing overlaps.
func TestExact(t *testing.T) {
	line := NewExact(twoTracks())
	place := func(p Position, block []byte) (picture, sound stretch) {
		t.Helper()
		before := bytes.Clone(block)
		got := bytes.Join(line.Place(p, block), nil)
		if !bytes.Equal(before, block) || len(got) != len(block) {
			t.Fatalf("%d bytes of %d, or a shared block was written to", len(got), len(block))
		}
		var list []stretch
		_, moof := copyMoof(got)
		walk(moof, func(kind string, b []byte) {
			if kind == "traf" {
				list = append(list, line.measure(b))
			}
		})
		return list[0], list[1]
	}
	// The sound begins 50 ms before the picture: it is at zero.
	p := Position{Epoch: 1, Timescale: 90000, DecodeTime: 900000, Duration: 22500}
	picture, sound := place(p, twoRuns(900000, 22500, 477600, 12288))
	if picture != (stretch{1, 4500, 22500}) || sound != (stretch{2, 0, 12288}) {
		t.Errorf("first: %v %v", picture, sound)
	}
	p.DecodeTime += 22500
	picture, sound = place(p, twoRuns(922500, 22500, 489888, 11264))
	if picture != (stretch{1, 27000, 22500}) || sound != (stretch{2, 12288, 11264}) {
		t.Errorf("second: %v %v", picture, sound)
	}
	// Chunks are missing: the picture goes on at once, the sound a little later.
	p.DecodeTime += 5 * 22500
	picture, sound = place(p, twoRuns(1035000, 22500, 552000, 12288))
	if picture.base != 49500 || sound.base != 12288+11264+2848 {
		t.Errorf("after a hole: %v %v", picture, sound)
	}
	// A restart, where the sound begins sooner than the picture: it must not overlap.
	picture, sound = place(Position{Epoch: 2, Timescale: 90000, Duration: 22500}, twoRuns(3000, 22500, 0, 12288))
	if sound.base < 26400+12288 || sound.base > 26400+12288+1 || picture.base < 72000 {
		t.Errorf("after a restart: %v %v", picture, sound)
	}
}

// FuzzExact: whatever bytes a channel signs, they come out as long as they went in.
func FuzzExact(f *testing.F) {
	f.Add(twoTracks(), twoRuns(1, 2, 3, 4))
	f.Fuzz(func(t *testing.T, init, block []byte) {
		line := NewExact(init)
		for epoch := range uint64(3) {
			before := bytes.Clone(block)
			got := bytes.Join(line.Place(Position{Epoch: epoch, Timescale: 90000, DecodeTime: 1 << 50, Duration: 1}, block), nil)
			if len(got) != len(block) || !bytes.Equal(before, block) {
				t.Errorf("%q became %q", block, got)
			}
		}
	})
}
