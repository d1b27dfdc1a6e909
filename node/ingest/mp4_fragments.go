package ingest

import (
	"fmt"
	"io"
)

const (
	maxMoof = 16 << 20
	// maxQueued bounds the samples looked ahead at, in search of one of a track that has none at hand.
	maxQueued = 20000
	// maxRun bounds the samples of one fragment.
	maxRun = 200000
)

// fragments reads the movie fragments of a file in order into the tracks' queues.
type fragments struct {
	r      io.ReaderAt
	size   int64
	offset int64 // of the next box
	cut    bool  // the file ends in the middle of a box
}

// more reads on to the end of the next movie fragment. It returns io.EOF where there is none.
func (g *fragments) more(tracks []*mp4Track) error {
	for {
		b, err := boxAt(g.r, g.offset, g.size)
		if err != nil {
			return err
		}
		g.offset += b.size
		g.cut = g.cut || b.cut
		if b.kind != "moof" || b.cut {
			continue
		}
		moof, err := b.load(g.r, maxMoof)
		if err != nil {
			return err
		}
		end := b.offset // of the data of the track before, where a track does not say where its own is
		return eachBox(moof, func(traf box) error {
			if traf.kind != "traf" {
				return nil
			}
			end, err = readTraf(traf.payload, b.offset, end, tracks)
			return err
		})
	}
}

// readTraf reads one track's part of a fragment (ISO 14496-12 8.8.6 to 8.8.8) and returns where its data ends.
func readTraf(traf []byte, moof, before int64, tracks []*mp4Track) (int64, error) {
	const (
		hasBase, hasEntry, hasDuration, hasSize, baseIsMoof = 0x1, 0x2, 0x8, 0x10, 0x20000
	)
	f := fields{b: find(traf, "tfhd")}
	_, flags := f.full()
	id := f.u32()
	var t *mp4Track
	for _, c := range tracks {
		if c.id == id {
			t = c
		}
	}
	ignored := t == nil
	if ignored {
		t = new(mp4Track) // its size still counts
	}
	base := before
	if flags&baseIsMoof != 0 {
		base = moof
	}
	if flags&hasBase != 0 {
		base = int64(f.u64() & (1<<62 - 1))
	}
	if flags&hasEntry != 0 {
		f.u32()
	}
	defaults := t.defaults
	if flags&hasDuration != 0 {
		defaults.duration = f.u32()
	}
	if flags&hasSize != 0 {
		defaults.size = f.u32()
	}
	if f.short {
		return 0, fmt.Errorf("%w: short fragment header", ErrBadMP4)
	}
	if d := (fields{b: find(traf, "tfdt")}); d.b != nil {
		version, _ := d.full()
		t.nextTime = int64(d.wide(version) & (1<<62 - 1))
	}
	data := base
	err := eachBox(traf, func(b box) error {
		if b.kind != "trun" {
			return nil
		}
		var err error
		data, err = t.readRun(b.payload, base, data, defaults)
		return err
	})
	if ignored {
		t.queue = nil
	}
	return data, err
}

// readRun queues the samples of a trun box. It returns where their data ends.
func (t *mp4Track) readRun(trun []byte, base, data int64, defaults sampleDefaults) (int64, error) {
	const (
		hasOffset, hasFirstFlags, hasDuration, hasSize, hasFlags, hasReorder = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800
	)
	f := fields{b: trun}
	_, flags := f.full()
	n := f.u32()
	if n > maxRun || len(t.queue)+int(n) > 2*maxRun {
		return 0, fmt.Errorf("%w: a fragment of %d samples", ErrBadMP4, n)
	}
	if flags&hasOffset != 0 {
		data = base + int64(int32(f.u32()))
	}
	if flags&hasFirstFlags != 0 {
		f.u32()
	}
	for range n {
		s := mp4Sample{offset: data, size: defaults.size, dts: t.nextTime, duration: defaults.duration}
		if flags&hasDuration != 0 {
			s.duration = f.u32()
		}
		if flags&hasSize != 0 {
			s.size = f.u32()
		}
		if flags&hasFlags != 0 {
			f.u32()
		}
		if flags&hasReorder != 0 {
			s.reorder = int64(int32(f.u32())) // signed whatever the version, as in readTable
		}
		if f.short || data < 0 {
			return 0, fmt.Errorf("%w: bad fragment run", ErrBadMP4)
		}
		data += int64(s.size)
		t.nextTime += int64(s.duration)
		t.queue = append(t.queue, s)
	}
	return data, nil
}
