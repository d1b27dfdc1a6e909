package archive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	car "github.com/ipld/go-car/v2"

	"murmuration/chunker/envelope"
	"murmuration/node/archive/unixfs"
)

// Bounds of a CAR that is imported. Sections are bounded by maxBlockSize.
const maxCARHeader = 1 << 10 // room for one root and a careless encoder

// ImportCAR keeps the recording that a CAR (version 1 or 2) holds: its one root must be a recording's view, whole, and
// signed by its channel, or else every chunk of it must come with its envelope. Kept are the blocks that the view refers
// to and the envelopes of its chunks, nothing else. Nothing shows, and nothing stays, before all of it is checked.
// Progress is in bytes of the CAR.
func (s *Store) ImportCAR(ctx context.Context, r io.Reader, progress func(done int64)) (Info, error) {
	if s.cfg.ReadOnly {
		return Info{}, ErrReadOnly
	}
	tmp, err := s.temporary()
	if err != nil {
		return Info{}, fmt.Errorf("import: %w", err)
	}
	defer tmp.discard()
	root, err := tmp.takeCAR(ctx, &counter{r: r, tell: progress})
	if err != nil {
		return Info{}, fmt.Errorf("import: %w", err)
	}
	view, err := unixfs.Open(ctx, root, func(_ context.Context, c cid.Cid) ([]byte, error) { return tmp.read(c) })
	if err != nil {
		return Info{}, fmt.Errorf("import: %w", carError(err))
	}
	k, err := viewKey(view)
	if err != nil {
		return Info{}, fmt.Errorf("import: %w", err)
	}
	envelopes, err := tmp.checkMedia(ctx, k, view)
	if err != nil {
		return Info{}, fmt.Errorf("import: %w", err)
	}
	rec, err := s.keep(ctx, k, view, tmp, envelopes)
	if err != nil {
		return Info{}, fmt.Errorf("import: %w", err)
	}
	return rec.Info(), nil
}

// carError says that what a view lacks is the CAR's fault.
func carError(err error) error {
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: the CAR is not whole: %w", ErrHostile, err)
	}
	return asHostile(err)
}

// counter tells how far a reader is.
type counter struct {
	r    io.Reader
	n    int64
	tell func(int64)
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if c.tell != nil {
		c.tell(c.n)
	}
	return n, err
}

// temporary makes a recording that is in no list, in a file that the next Open would remove.
func (s *Store) temporary() (*Recording, error) {
	f, err := os.CreateTemp(s.cfg.Dir, "import-*.part")
	if err != nil {
		return nil, diskError("temporary file", err)
	}
	name := f.Name()
	f.Close()
	r := s.recording(Key{})
	r.base = name
	r.st = state{Version: stateVersion, State: Partial}
	r.work.Lock() // keeps sweep away
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.load(); err != nil {
		r.drop() //nolint:errcheck // nothing of value is lost
		os.Remove(name)
		return nil, err
	}
	return r, nil
}

// discard removes a temporary recording that nobody keeps.
func (r *Recording) discard() {
	r.mu.Lock()
	os.Remove(r.base) //nolint:errcheck // the placeholder of its name
	r.drop()          //nolint:errcheck // Open removes what is left
	r.mu.Unlock()
	r.s.forget(r)
	r.work.Unlock()
}

// takeCAR reads all blocks of a CAR that the store could keep, their hashes checked, and returns its root.
func (r *Recording) takeCAR(ctx context.Context, from io.Reader) (cid.Cid, error) {
	rd, err := car.NewBlockReader(bufio.NewReaderSize(from, 1<<20), car.MaxAllowedHeaderSize(maxCARHeader),
		car.MaxAllowedSectionSize(maxBlockSize+128), car.WithTrustedCAR(false))
	if err != nil {
		return cid.Undef, fmt.Errorf("%w: this is no CAR: %w", ErrHostile, err)
	}
	if len(rd.Roots) != 1 {
		return cid.Undef, fmt.Errorf("%w: a CAR of %d roots", ErrHostile, len(rd.Roots))
	}
	w := r.viewWriter()
	for {
		if err := ctx.Err(); err != nil {
			return cid.Undef, err
		}
		b, err := rd.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return cid.Undef, fmt.Errorf("%w: the CAR is torn, it ends within a block", ErrHostile)
		}
		if err != nil {
			return cid.Undef, fmt.Errorf("%w: CAR: %w", ErrHostile, err)
		}
		_, k, ok := asDigest(b.Cid())
		if !ok || len(b.RawData()) > maxBlockSize || k == codecCBOR && len(b.RawData()) > envelope.MaxEncoded {
			continue // no view refers to it
		}
		if err := w.put(b.Cid(), b.RawData()); err != nil {
			return cid.Undef, err
		}
	}
	return rd.Roots[0], w.flush()
}

// checkMedia checks that all media of a view is here, and returns the envelopes of its chunks that are. They must be of
// all chunks where the view is not signed.
func (r *Recording) checkMedia(ctx context.Context, k Key, view *unixfs.View) ([]envelope.Chunk, error) {
	media := map[digest]bool{} // whether it needs an envelope
	for _, l := range view.Blocks() {
		d, _, ok := asDigest(l.Cid)
		if !ok {
			return nil, fmt.Errorf("%w: a link to %s", ErrHostile, l.Cid)
		}
		sec, _, err := r.block(d, false)
		if err != nil {
			return nil, carError(notFound{l.Cid})
		}
		if int64(sec.size) != l.Size {
			return nil, fmt.Errorf("%w: block %s has %d bytes, not %d", ErrHostile, l.Cid, sec.size, l.Size)
		}
		media[d] = true
	}
	for _, t := range view.Tracks {
		for _, l := range t.Inits {
			if d, _, ok := asDigest(l.Cid); ok {
				media[d] = false
			}
		}
	}
	var list []envelope.Chunk
	covered := map[digest]bool{}
	for n := uint32(0); ; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		raw, ok := r.cborAt(n)
		if raw == nil {
			if !ok {
				break
			}
			continue
		}
		e, err := envelope.Decode(raw)
		if err != nil || e.Channel != k.Channel || e.Broadcast != k.Broadcast || e.Verify() != nil {
			continue
		}
		if d, _, _ := asDigest(e.Block); media[d] {
			covered[d] = true
		} else if !e.Flags.Has(envelope.End) {
			continue
		}
		e.Fragments = nil // most of its memory, and nobody reads them here
		list = append(list, envelope.Chunk{Envelope: e, Raw: raw})
	}
	if view.Info.Signature != nil {
		return list, nil
	}
	for d, needs := range media {
		if needs && !covered[d] {
			return nil, fmt.Errorf("%w: not signed by its channel, and no envelope for %s", ErrHostile, asCID(d, codecRaw))
		}
	}
	return list, nil
}

// cborAt returns the section with a number if it is an envelope; false past the last.
func (r *Recording) cborAt(n uint32) ([]byte, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.t == nil || int(n) >= r.t.count {
		return nil, false
	}
	p := r.t.at(n)
	if p.size() > envelope.MaxEncoded {
		return nil, true
	}
	if s, err := readSection(r.f, p.off(), r.end); err != nil || s.codec != codecCBOR {
		return nil, true
	}
	raw, _, err := r.readPlace(p)
	if err != nil {
		return nil, true
	}
	return bytes.Clone(raw), true
}

// keep makes a checked view the store's. Where the broadcast is here already, what it lacks is added; else the file
// with all of it gets its name as the last thing.
func (s *Store) keep(ctx context.Context, k Key, view *unixfs.View, tmp *Recording, envelopes []envelope.Chunk) (*Recording, error) {
	if r, ok := s.Lookup(k); ok {
		r.work.Lock()
		defer r.work.Unlock()
		if r.root() == view.Root && r.Info().State == Finished && r.whole(view) {
			return r, nil
		}
		if err := r.fill(ctx, view, tmp, nil); err != nil {
			return nil, err
		}
		if err := r.putEnvelopes(envelopes); err != nil {
			return nil, err
		}
		return r, r.setView(view)
	}
	if wanted := len(view.Nodes()) + len(view.Blocks()) + len(envelopes); tmp.count() > wanted { // there is more in it
		lean, err := s.temporary()
		if err != nil {
			return nil, err
		}
		defer lean.discard()
		if err := lean.fill(ctx, view, tmp, nil); err != nil {
			return nil, err
		}
		if err := lean.putEnvelopes(envelopes); err != nil {
			return nil, err
		}
		return s.publish(k, view, lean)
	}
	return s.publish(k, view, tmp)
}

func (r *Recording) count() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.t.count
}

// whole reports whether all blocks of a view are here.
func (r *Recording) whole(view *unixfs.View) bool {
	for _, list := range [][]unixfs.Link{view.Nodes(), view.Blocks()} {
		for _, l := range list {
			d, _, _ := asDigest(l.Cid)
			if _, _, err := r.block(d, false); err != nil {
				return false
			}
		}
	}
	return true
}

// putEnvelopes appends envelopes whose blocks are here.
func (r *Recording) putEnvelopes(list []envelope.Chunk) error {
	w := r.viewWriter()
	for _, c := range list {
		if err := w.put(envelope.CID(c.Raw), c.Raw); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ready(true); err != nil {
		return err
	}
	for _, c := range list {
		if n := r.t.find(sha(c.Raw)); n != none && r.key != (Key{}) {
			r.list(c.Envelope, n)
		}
	}
	return nil
}

// Blocks makes a recording a Fetcher.
func (r *Recording) Blocks(ctx context.Context, cids []cid.Cid) (<-chan blocks.Block, error) {
	ch := make(chan blocks.Block)
	go func() {
		defer close(ch)
		for _, c := range cids {
			data, err := r.read(c)
			if err != nil {
				continue
			}
			b, err := blocks.NewBlockWithCid(data, c)
			if err != nil {
				continue
			}
			select {
			case ch <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch, nil
}

// publish gives a temporary recording its name and puts it on the list.
func (s *Store) publish(k Key, view *unixfs.View, tmp *Recording) (*Recording, error) {
	if err := tmp.setView(view); err != nil {
		return nil, err
	}
	base := s.base(k)
	if err := os.MkdirAll(filepath.Dir(base), 0o700); err != nil {
		return nil, diskError("folder", err)
	}
	tmp.mu.RLock()
	st := tmp.st
	tmp.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.recs[k] != nil {
		return nil, errors.New("the broadcast was recorded meanwhile")
	}
	// The file that counts comes first: alone, it is a recording without its title.
	for _, ext := range []string{".car", ".json"} {
		if err := os.Rename(tmp.base+ext, base+ext); err != nil {
			os.Remove(base + ".car") //nolint:errcheck // so that nothing partial stays
			return nil, fmt.Errorf("name it: %w", err)
		}
	}
	if err := errors.Join(syncDir(filepath.Dir(base)), syncDir(s.cfg.Dir)); err != nil {
		return nil, err
	}
	r := s.recording(k)
	r.st = st
	s.recs[k] = r
	s.snapshot()
	s.sealing.Go(func() { s.cover(r) })
	close(s.changed)
	s.changed = make(chan struct{})
	return r, nil
}
