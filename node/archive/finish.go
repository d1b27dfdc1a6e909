package archive

import (
	"context"
	"fmt"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/node/archive/unixfs"
)

// viewBatch is how many bytes of the view are written at once.
const viewBatch = 256 << 10

// Finish ends the recording: it writes the UnixFS view of what is here, not one byte of media among it, and returns its
// root. Sign signs by the channel's key; nil, where that is elsewhere. A recording that is finished keeps its root.
func (r *Recording) Finish(ctx context.Context, sign func([]byte) []byte) (cid.Cid, error) {
	if r.s.cfg.ReadOnly {
		return cid.Undef, ErrReadOnly
	}
	r.work.Lock()
	defer r.work.Unlock()
	r.mu.RLock()
	st := r.st
	r.mu.RUnlock()
	if st.State == Finished && st.Root != "" {
		return st.root(), nil
	}
	src, err := r.source()
	if err != nil {
		return cid.Undef, fmt.Errorf("finish: %w", err)
	}
	src.Sign = sign
	src.Still = r.s.cfg.Still
	w := r.viewWriter()
	root, err := unixfs.Build(ctx, src, w.put)
	if err == nil {
		err = w.flush()
	}
	if err != nil {
		return cid.Undef, fmt.Errorf("finish: %w", err)
	}
	if err := r.setRoot(root, Finished); err != nil {
		return cid.Undef, fmt.Errorf("finish: %w", err)
	}
	r.s.sealing.Go(func() {
		r.sealBehind()
		r.s.cover(r)
	})
	return root, nil
}

// source returns what the view is made of.
func (r *Recording) source() (unixfs.Source, error) {
	if err := r.rlock(true); err != nil {
		return unixfs.Source{}, err
	}
	defer r.mu.RUnlock()
	st := r.st
	st.State = Partial
	r.measure(&st)
	src := unixfs.Source{
		Channel: r.key.Channel, Broadcast: r.key.Broadcast, Title: st.Title, Started: st.Started, Ended: st.Ended, Block: r.read,
		KeyScheme: st.Scheme,
	}
	place := r.t.reader()
	for _, name := range r.trackNames() {
		c := r.tracks[name]
		sizes := r.initSizes(c)
		t := unixfs.Track{Name: name, Parts: make([]unixfs.Part, 0, c.count)}
		c.from(envelope.ID{}, lastID, func(id envelope.ID, e *entry) bool {
			if !e.there(r.t) {
				return true
			}
			p := unixfs.Part{Part: c.part(id, e)}
			if !p.End {
				p.Block = asCID(place(e.block).digest, codecRaw)
			}
			p.Init, p.InitSize = c.formats[e.format].init, sizes[e.format]
			t.Parts = append(t.Parts, p)
			return true
		})
		src.Tracks = append(src.Tracks, t)
	}
	if !r.loaded() {
		return src, errScratch
	}
	return src, nil
}

// initSizes returns the bytes of the init segment of each of a track's formats, zero where it is not here. Call with a lock held.
func (r *Recording) initSizes(c *chunks) []int {
	sizes := make([]int, len(c.formats))
	for i, f := range c.formats {
		if d, _, ok := asDigest(f.init); ok {
			if n := r.t.find(d); r.t.good(n) {
				sizes[i] = r.t.at(n).size()
			}
		}
	}
	return sizes
}

// lastID is past all chunks.
var lastID = envelope.ID{Epoch: envelope.MaxInteger, Seq: envelope.MaxInteger}

// read returns a block of this recording, its hash checked.
func (r *Recording) read(c cid.Cid) ([]byte, error) {
	d, _, ok := asDigest(c)
	if !ok {
		return nil, notFound{c}
	}
	_, b, err := r.block(d, true)
	if err != nil {
		return nil, notFound{c}
	}
	return b, nil
}

// viewWriter appends blocks to the recording, many at a time.
type viewWriter struct {
	r *Recording
	b batch
}

func (r *Recording) viewWriter() *viewWriter { return &viewWriter{r: r} }

func (w *viewWriter) put(c cid.Cid, data []byte) error {
	d, k, ok := asDigest(c)
	if !ok || len(data) > maxBlockSize {
		return fmt.Errorf("%w: block %s of %d bytes", ErrHostile, c, len(data))
	}
	w.r.mu.RLock()
	known := w.r.t != nil && w.r.t.good(w.r.t.find(d))
	w.r.mu.RUnlock()
	if known {
		return nil
	}
	w.b.add(k, d, data)
	if len(w.b.b) >= viewBatch {
		return w.flush()
	}
	return nil
}

func (w *viewWriter) flush() error {
	if len(w.b.sections) == 0 {
		return nil
	}
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	if err := w.r.ready(true); err != nil {
		return err
	}
	if err := w.r.write(&w.b); err != nil {
		return err
	}
	w.b.b, w.b.sections = w.b.b[:0], w.b.sections[:0]
	return nil
}

// setRoot makes root the recording's: its blocks are forced to disk before anything names it. The index may wait.
func (r *Recording) setRoot(root cid.Cid, st State) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ready(true); err != nil {
		return err
	}
	if err := r.unseal(); err != nil {
		return err
	}
	if err := r.sync(); err != nil {
		return err
	}
	if _, err := r.f.WriteAt(fileHead(root), 0); err != nil {
		return diskError("write root", err)
	}
	old := r.st
	r.st.State, r.st.Root = st, root.String()
	err := r.sync()
	if err == nil {
		err = r.save()
	}
	if err != nil {
		r.st = old
		return err
	}
	r.s.notify()
	return nil
}
