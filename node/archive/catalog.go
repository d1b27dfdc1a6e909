package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
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
	var in merger
	for _, r := range of {
		to := make([]uint32, len(r.recs))
		c.mu.RLock()
		for i, rec := range r.recs {
			to[i] = none
			if rec != nil && rec.covered.Load() {
				to[i] = uint32(len(recs))
				recs = append(recs, rec)
				head.Of = append(head.Of, r.Of[i])
			}
		}
		c.mu.RUnlock()
		in.add(r.rows, to)
	}
	merged, err := c.write(head, recs, in.next)
	if err = errors.Join(err, in.err); err != nil {
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

func (c *catalog) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.runs {
		r.file.Close()
	}
	c.runs = nil
}
