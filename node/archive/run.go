package archive

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

const runMagic = "murmcat1"

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
