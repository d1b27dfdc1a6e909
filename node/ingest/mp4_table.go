package ingest

import "fmt"

// sampleTable is the index of a plain file's track (ISO 14496-12 8.6, 8.7), run by run as the file has it, with the
// place of the next sample.
type sampleTable struct {
	samples int
	size    uint32   // of every sample, where sizes is nil
	sizes   []uint32 // of each
	offsets []int64  // of each chunk
	perChunk,
	times, reorders []tableRun

	next     int // sample
	chunk    int // of the next sample, -1 before the first
	leftOver int // samples left in it
	offset   int64
	dts      int64
	// Where in perChunk, times and reorders, and how many were used of the run.
	chunkRun, timeRun, reorderRun int
	timeUsed, reorderUsed         uint32
}

// tableRun is one entry of stts (count, delta), ctts (count, offset) or stsc (first chunk from 0, samples).
type tableRun struct {
	count uint32
	value int64
}

// readTable reads the tables of a track. A track without samples, as in a fragmented file, has an empty one.
func readTable(stbl []byte) (*sampleTable, error) {
	t := &sampleTable{chunk: -1}
	bad := func(what string) error { return fmt.Errorf("%w: bad %s table", ErrBadMP4, what) }

	f := fields{b: find(stbl, "stsz")}
	if f.b == nil {
		return t, nil
	}
	f.full()
	t.size = f.u32()
	if t.size == 0 {
		t.samples = f.count(4)
		t.sizes = make([]uint32, t.samples)
		for i := range t.sizes {
			t.sizes[i] = f.u32()
		}
	} else {
		t.samples = int(f.u32())
	}
	if f.short {
		return nil, bad("size")
	}
	if t.samples == 0 {
		return t, nil
	}

	runs := func(name string, signed bool) ([]tableRun, bool) {
		f := fields{b: find(stbl, name)}
		f.full()
		out := make([]tableRun, f.count(8))
		for i := range out {
			out[i].count = f.u32()
			if v := f.u32(); signed {
				out[i].value = int64(int32(v))
			} else {
				out[i].value = int64(v)
			}
		}
		return out, !f.short
	}
	var ok bool
	if t.times, ok = runs("stts", false); !ok || len(t.times) == 0 {
		return nil, bad("time")
	}
	if find(stbl, "ctts") != nil {
		// Version 0 is unsigned by the letter, but files with B-frames have negative offsets in it too.
		if t.reorders, ok = runs("ctts", true); !ok {
			return nil, bad("composition time")
		}
	}

	f = fields{b: find(stbl, "stsc")}
	f.full()
	t.perChunk = make([]tableRun, f.count(12))
	for i := range t.perChunk {
		first, samples := f.u32(), f.u32()
		f.u32()
		if first == 0 || samples == 0 || i > 0 && first-1 <= t.perChunk[i-1].count {
			return nil, bad("chunk")
		}
		t.perChunk[i] = tableRun{first - 1, int64(samples)}
	}
	if f.short || len(t.perChunk) == 0 || t.perChunk[0].count != 0 {
		return nil, bad("chunk")
	}

	wide := false
	f = fields{b: find(stbl, "stco")}
	if f.b == nil {
		wide = true
		f = fields{b: find(stbl, "co64")}
	}
	f.full()
	if wide {
		t.offsets = make([]int64, f.count(8))
	} else {
		t.offsets = make([]int64, f.count(4))
	}
	for i := range t.offsets {
		if wide {
			t.offsets[i] = int64(f.u64())
		} else {
			t.offsets[i] = int64(f.u32())
		}
	}
	if f.short {
		return nil, bad("offset")
	}
	return t, nil
}

// rewind goes back to the first sample.
func (t *sampleTable) rewind() {
	t.next, t.chunk, t.leftOver, t.offset, t.dts = 0, -1, 0, 0, 0
	t.chunkRun, t.timeRun, t.reorderRun, t.timeUsed, t.reorderUsed = 0, 0, 0, 0, 0
}

// read returns the next sample, nil after the last.
func (t *sampleTable) read() (*mp4Sample, error) {
	if t.next >= t.samples {
		return nil, nil
	}
	if t.leftOver == 0 {
		t.chunk++
		if t.chunk >= len(t.offsets) {
			return nil, fmt.Errorf("%w: samples without a place", ErrBadMP4)
		}
		for t.chunkRun+1 < len(t.perChunk) && int64(t.perChunk[t.chunkRun+1].count) <= int64(t.chunk) {
			t.chunkRun++
		}
		t.leftOver, t.offset = int(t.perChunk[t.chunkRun].value), t.offsets[t.chunk]
	}
	s := &mp4Sample{offset: t.offset, size: t.size, dts: t.dts}
	if t.sizes != nil {
		s.size = t.sizes[t.next]
	}
	step, ok := advance(t.times, &t.timeRun, &t.timeUsed)
	if !ok {
		return nil, fmt.Errorf("%w: samples without a time", ErrBadMP4)
	}
	s.duration = uint32(step)
	s.reorder, _ = advance(t.reorders, &t.reorderRun, &t.reorderUsed)
	t.dts += step
	t.offset += int64(s.size)
	t.leftOver--
	t.next++
	return s, nil
}

// advance takes one value off a list of runs.
func advance(runs []tableRun, run *int, used *uint32) (int64, bool) {
	for *run < len(runs) && *used >= runs[*run].count {
		*run, *used = *run+1, 0
	}
	if *run >= len(runs) {
		return 0, false
	}
	*used++
	return runs[*run].value, true
}
