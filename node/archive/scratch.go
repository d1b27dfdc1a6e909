package archive

import (
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
)

// scratch is the file in which an open recording keeps what it knows of its chunks and blocks, but for the newest of them:
// so that what is in memory does not grow with the recording. All of it is in the CAR, too, and is read from there when a
// recording is loaded; nothing is taken over from a scratch file of an earlier process. It has no name while it is in use
// (where the system lets open files be removed), and goes when it is closed.
//
// Where it cannot be written, on a full disk say, what would be in it stays in memory.
type scratch struct {
	create func() (file, error) // nil: all stays in memory
	name   string
	log    *slog.Logger

	f      file
	end    int64
	warned bool
	broken atomic.Bool // it cannot be read back: the recording must be loaded again
}

const (
	// pageRows is how many rows a page holds.
	pageRows = 256
	// scratchExt ends the name of a scratch file.
	scratchExt = ".idx"
)

// page is up to pageRows rows of one width: in memory, or in the scratch file.
type page struct {
	rows  []byte // nil where they are in the file
	at    int64  // where the page has its room in the file; zero: nowhere yet
	count int
}

func newScratch(r *Recording) *scratch {
	s := &scratch{name: r.base + scratchExt, log: r.log}
	if !r.s.cfg.ReadOnly {
		s.create = func() (file, error) { return r.s.open(s.name, os.O_RDWR|os.O_CREATE|os.O_TRUNC) }
	}
	return s
}

// ready opens the file when the first page goes there, and reports whether it is open.
func (s *scratch) ready() bool {
	if s.f != nil || s.create == nil {
		return s.f != nil
	}
	f, err := s.create()
	if err != nil {
		s.warn(err)
		return false
	}
	os.Remove(s.name) //nolint:errcheck // where open files stay, close removes it
	s.f, s.end = f, 8 // so that no page is at zero
	return true
}

func (s *scratch) warn(err error) {
	if !s.warned {
		s.warned = true
		s.log.Warn("the index of a recording stays in memory", "err", err)
	}
}

// save puts a full page, or one that is not the last, into the file. The rows are the page's from now on.
func (s *scratch) save(p *page, rows []byte, width int) {
	p.rows, p.count = rows, len(rows)/width
	if !s.ready() {
		return
	}
	at := p.at
	if at == 0 {
		at = s.end
	}
	if _, err := s.f.WriteAt(rows, at); err != nil {
		s.warn(err)
		return
	}
	if p.at == 0 {
		p.at = at
		s.end += int64(pageRows * width)
	}
	p.rows = nil
}

// load returns a page's rows, not to be changed: in buf where they are read from the file. Nil where that fails.
func (s *scratch) load(p *page, buf []byte, width int) []byte {
	if p.rows != nil || p.count == 0 {
		return p.rows
	}
	n := p.count * width
	if cap(buf) < n {
		buf = make([]byte, pageRows*width)
	}
	if _, err := s.f.ReadAt(buf[:n], p.at); err != nil {
		s.fail(err)
		return nil
	}
	return buf[:n]
}

// row reads one row of a page into b, and reports whether it could be read.
func (s *scratch) row(p *page, i int, b []byte) bool {
	if p.rows != nil {
		copy(b, p.rows[i*len(b):])
		return true
	}
	if _, err := s.f.ReadAt(b, p.at+int64(i*len(b))); err != nil {
		s.fail(err)
		return false
	}
	return true
}

// setRow writes one row of a page.
func (s *scratch) setRow(p *page, i int, b []byte) {
	if p.rows != nil {
		copy(p.rows[i*len(b):], b)
		return
	}
	if _, err := s.f.WriteAt(b, p.at+int64(i*len(b))); err != nil {
		s.fail(err)
	}
}

// fail notes that what is known of the recording must be read from the CAR again.
func (s *scratch) fail(err error) {
	if !s.broken.Swap(true) {
		s.log.Warn("the index of a recording is made again", "err", err)
	}
}

func (s *scratch) close() error {
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f = nil
	os.Remove(s.name) //nolint:errcheck // gone already, where open files can be removed
	if err != nil {
		return fmt.Errorf("close index: %w", err)
	}
	return nil
}
