package archive

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// catalog tells in which of a thousand closed recordings a block may be, in some microseconds and without memory for
// each block. It is a set of runs: tables of (first bytes of a digest, recording), each sorted. A recording that is sealed
// becomes a run; runs of a level are merged when there are fanIn, so that a block is rewritten a few times at most.
//
// Nothing depends on it: a recording that no run covers is looked into directly, a candidate proves itself, and what is
// damaged is made again.
type catalog struct {
	s   *Store
	dir string

	work sync.Mutex // held while runs are made

	mu   sync.RWMutex
	runs []*run
	next int // number of the next run's file
}

const (
	fanIn    = 8
	runWidth = 12 // eight bytes of the digest, number of the recording in the run
	runMagic = "murmcat1"
)

// run is one sorted table:
//
//	magic     8 bytes
//	header    its length (uint32), its CRC-32 (uint32), runHeader as JSON
//	rows      12 bytes each
type run struct {
	rows
	file file
	name string
	runHeader
	recs []*Recording // nil for those that are gone, or have changed since
}

type runHeader struct {
	Level int      `json:"level"`
	Rows  int64    `json:"rows"`
	Of    []runKey `json:"of"`
}

// runKey names a recording as it was when the run was made.
type runKey struct {
	Channel   string `json:"channel"`
	Broadcast string `json:"broadcast"`
	Size      int64  `json:"size"` // of the sealed file
}

// openCatalog reads the heads of the runs in a folder.
func openCatalog(s *Store, dir string) *catalog {
	c := &catalog{s: s, dir: dir}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return c
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		var n int
		if _, err := fmt.Sscanf(e.Name(), "%d.run", &n); err != nil || !strings.HasSuffix(e.Name(), ".run") {
			os.Remove(path) //nolint:errcheck // a crash left it
			continue
		}
		c.next = max(c.next, n+1)
		r, err := c.openRun(path)
		if err != nil {
			s.log.Warn("catalog: made again", "run", e.Name(), "err", err)
			os.Remove(path) //nolint:errcheck // it is of no use
			continue
		}
		c.runs = append(c.runs, r)
	}
	return c
}

func (c *catalog) openRun(path string) (*run, error) {
	f, err := c.s.open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	r := &run{file: f, name: path}
	if err := r.readHead(); err != nil {
		f.Close()
		return nil, err
	}
	for _, k := range r.Of {
		rec := c.s.recs[parseRunKey(k)]
		if rec != nil && rec.st.Sealed && rec.st.Size == k.Size {
			rec.covered.Store(true)
		} else {
			rec = nil
		}
		r.recs = append(r.recs, rec)
	}
	return r, nil
}

func parseRunKey(k runKey) Key {
	channel, _ := parseChannel(k.Channel)
	return Key{channel, k.Broadcast}
}

func (r *run) readHead() error {
	size, err := fileSize(r.file)
	if err != nil {
		return err
	}
	var head [16]byte
	if _, err := r.file.ReadAt(head[:], 0); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(head[8:]))
	if string(head[:8]) != runMagic || n > size {
		return ErrCorrupt
	}
	b := make([]byte, n)
	if _, err := r.file.ReadAt(b, 16); err != nil {
		return err
	}
	if crc32.ChecksumIEEE(b) != binary.LittleEndian.Uint32(head[12:]) {
		return ErrCorrupt
	}
	if err := json.Unmarshal(b, &r.runHeader); err != nil {
		return err
	}
	if r.Rows < 0 || 16+n+r.Rows*runWidth != size {
		return ErrCorrupt
	}
	r.rows = rows{f: r.file, start: 16 + n, count: r.Rows, width: runWidth, key: 8}
	return nil
}

// find returns the recordings that may have a block.
func (c *catalog) find(d digest) (list []*Recording) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var b [runWidth]byte
	for _, r := range c.runs {
		i, err := r.lowerBound(d[:8])
		for ; err == nil && i < r.count; i++ {
			if err = r.row(i, b[:]); err != nil || !bytes.Equal(b[:8], d[:8]) {
				break
			}
			n := binary.LittleEndian.Uint32(b[8:])
			if int(n) < len(r.recs) && r.recs[n] != nil && r.recs[n].covered.Load() {
				list = append(list, r.recs[n])
			}
		}
	}
	return list
}

// forget takes a recording out.
func (c *catalog) forget(rec *Recording) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.runs {
		for i := range r.recs {
			if r.recs[i] == rec {
				r.recs[i] = nil
			}
		}
	}
}

// add makes a run of a sealed recording, and merges runs where there are enough.
func (c *catalog) add(rec *Recording) error {
	c.work.Lock()
	defer c.work.Unlock()
	if rec.covered.Load() {
		return nil
	}
	prefixes, size, err := rec.prefixes()
	if err != nil || prefixes == nil {
		return err
	}
	c.forget(rec)
	k := runKey{channelName(rec.key.Channel), rec.key.Broadcast, size}
	i := 0
	r, err := c.write(runHeader{Rows: int64(len(prefixes)), Of: []runKey{k}}, []*Recording{rec}, func() (row [runWidth]byte, ok bool) {
		if i == len(prefixes) {
			return row, false
		}
		binary.BigEndian.PutUint64(row[:], prefixes[i])
		i++
		return row, true
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.runs = append(c.runs, r)
	c.mu.Unlock()
	rec.mu.RLock()
	if rec.st.Sealed && rec.st.Size == size { // not appended to meanwhile
		rec.covered.Store(true)
	}
	rec.mu.RUnlock()
	return c.merge()
}

// prefixes returns the first bytes of the digests of a sealed recording, ascending, and the size of its file.
func (r *Recording) prefixes() ([]uint64, int64, error) {
	if err := r.rlock(false); err != nil {
		return nil, 0, err
	}
	defer r.mu.RUnlock()
	x := r.sealed
	if x == nil {
		return nil, 0, nil
	}
	list := make([]uint64, 0, x.count)
	rd := bufio.NewReaderSize(io.NewSectionReader(x.f, x.start, x.count*indexWidth), 256<<10)
	var b [indexWidth]byte
	for range x.count {
		if _, err := io.ReadFull(rd, b[:]); err != nil {
			return nil, 0, fmt.Errorf("read index: %w", err)
		}
		list = append(list, binary.BigEndian.Uint64(b[:]))
	}
	if !slices.IsSorted(list) {
		return nil, 0, fmt.Errorf("read index: %w", ErrCorrupt)
	}
	return list, x.start + x.count*indexWidth, nil
}

// merge merges the runs of a level while there are fanIn of one.
func (c *catalog) merge() error {
	for level := 0; ; level++ {
		var of []*run
		deeper := false
		c.mu.RLock()
		for _, r := range c.runs {
			if r.Level == level {
				of = append(of, r)
			}
			deeper = deeper || r.Level > level
		}
		c.mu.RUnlock()
		if len(of) >= fanIn {
			if err := c.mergeRuns(of, level+1); err != nil {
				return err
			}
			continue
		}
		if !deeper {
			return nil
		}
	}
}

func (c *catalog) mergeRuns(of []*run, level int) error {
	head := runHeader{Level: level}
	var recs []*Recording
	var in cursors
	for _, r := range of {
		cur := &cursor{rd: bufio.NewReaderSize(io.NewSectionReader(r.f, r.start, r.count*runWidth), 64<<10), to: make([]uint32, len(r.recs))}
		c.mu.RLock()
		for i, rec := range r.recs {
			cur.to[i] = none
			if rec != nil && rec.covered.Load() {
				cur.to[i] = uint32(len(recs))
				recs = append(recs, rec)
				head.Of = append(head.Of, r.Of[i])
			}
		}
		c.mu.RUnlock()
		if cur.advance() {
			in = append(in, cur)
		} else if cur.err != nil {
			return cur.err
		}
	}
	heap.Init(&in)
	var failed error
	merged, err := c.write(head, recs, func() (row [runWidth]byte, ok bool) {
		if len(in) == 0 {
			return row, false
		}
		row = in[0].row
		if in[0].advance() {
			heap.Fix(&in, 0)
		} else {
			failed = errors.Join(failed, in[0].err)
			heap.Pop(&in)
		}
		return row, true
	})
	if err = errors.Join(err, failed); err != nil {
		if merged != nil {
			merged.file.Close()
			os.Remove(merged.name) //nolint:errcheck // Open finds the recordings twice, which does no harm
		}
		return fmt.Errorf("merge catalog: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs = slices.DeleteFunc(c.runs, func(r *run) bool { return slices.Contains(of, r) })
	c.runs = append(c.runs, merged)
	for i, rec := range merged.recs { // forgotten meanwhile
		if !rec.covered.Load() {
			merged.recs[i] = nil
		}
	}
	for _, r := range of {
		r.file.Close()
		os.Remove(r.name) //nolint:errcheck // twice does no harm
	}
	return nil
}

// cursor reads the rows of one run that are still of use.
type cursor struct {
	rd  *bufio.Reader
	to  []uint32 // numbers of the recordings in the new run
	row [runWidth]byte
	err error
}

func (c *cursor) advance() bool {
	for {
		if _, err := io.ReadFull(c.rd, c.row[:]); err != nil {
			if !errors.Is(err, io.EOF) {
				c.err = err
			}
			return false
		}
		if n := binary.LittleEndian.Uint32(c.row[8:]); int(n) < len(c.to) && c.to[n] != none {
			binary.LittleEndian.PutUint32(c.row[8:], c.to[n])
			return true
		}
	}
}

type cursors []*cursor

func (c cursors) Len() int           { return len(c) }
func (c cursors) Less(i, j int) bool { return bytes.Compare(c[i].row[:8], c[j].row[:8]) < 0 }
func (c cursors) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }

// Push implements heap.Interface.
func (c *cursors) Push(x any) { *c = append(*c, x.(*cursor)) }

// Pop implements heap.Interface.
func (c *cursors) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// write writes a run: to a temporary file first, with room for the head, which is of one length whatever Rows is.
func (c *catalog) write(head runHeader, recs []*Recording, next func() ([runWidth]byte, bool)) (*run, error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	c.mu.Lock()
	name := filepath.Join(c.dir, fmt.Sprintf("%d.run", c.next))
	c.next++
	c.mu.Unlock()
	f, err := c.s.open(name+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*run, error) {
		f.Close()
		os.Remove(name + ".new") //nolint:errcheck // Open removes it
		return nil, diskError("write catalog", err)
	}
	head.Rows = 0
	text, err := json.Marshal(head)
	if err != nil {
		return fail(err)
	}
	room := len(text) + 20 // digits of Rows
	w := bufio.NewWriterSize(io.NewOffsetWriter(f, int64(16+room)), 256<<10)
	for row, ok := next(); ok; row, ok = next() {
		w.Write(row[:]) //nolint:errcheck // Flush tells
		head.Rows++
	}
	if err := w.Flush(); err != nil {
		return fail(err)
	}
	if text, err = json.Marshal(head); err != nil {
		return fail(err)
	}
	text = append(text, bytes.Repeat([]byte(" "), room-len(text))...)
	b := append([]byte(runMagic), make([]byte, 8)...)
	binary.LittleEndian.PutUint32(b[8:], uint32(room))
	binary.LittleEndian.PutUint32(b[12:], crc32.ChecksumIEEE(text))
	if _, err := f.WriteAt(append(b, text...), 0); err != nil {
		return fail(err)
	}
	if err := f.Sync(); err != nil {
		return fail(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fail(err)
	}
	r := &run{file: f, name: name, runHeader: head, recs: slices.Clone(recs)}
	r.rows = rows{f: f, start: int64(16 + room), count: head.Rows, width: runWidth, key: 8}
	return r, nil
}

func (c *catalog) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.runs {
		r.file.Close()
	}
	c.runs = nil
}
