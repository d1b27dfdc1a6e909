package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"

	"murmuration/node/archive/unixfs"
)

// Fetcher brings blocks from elsewhere: a bitswap session. The channel is closed when all came or no more will; blocks
// are not trusted.
type Fetcher interface {
	Blocks(ctx context.Context, cids []cid.Cid) (<-chan blocks.Block, error)
}

const (
	fetchBatch    = 32 // blocks asked for at once: 8 s of media, 3 MB
	fetchParallel = 3  // batches asked for at once
)

// Adopt keeps the recording with this root, fetching what is not here: a recording known by its CID only (where k is
// the zero Key, the view says which broadcast it is), or one that was recorded live and lacks chunks and the view. Media
// comes in playing order. What came before an error stays, and the next Adopt goes on from there. Progress is in bytes.
//
// The caller vouches for the root. A signature in the view that is not the channel's is refused with ErrHostile, a
// missing one is not: recordings finished by others than the origin have none.
func (s *Store) Adopt(ctx context.Context, k Key, root cid.Cid, from Fetcher, progress func(done, total int64)) (*Recording, error) {
	if s.cfg.ReadOnly {
		return nil, ErrReadOnly
	}
	view, err := unixfs.Open(ctx, root, func(ctx context.Context, c cid.Cid) ([]byte, error) {
		if b, err := s.Get(ctx, c); err == nil {
			return b, nil
		}
		return fetchOne(ctx, from, c)
	})
	if err != nil {
		return nil, fmt.Errorf("adopt: %w", asHostile(err))
	}
	named, err := viewKey(view)
	if err != nil {
		return nil, fmt.Errorf("adopt: %w", err)
	}
	if k != (Key{}) && k != named {
		return nil, fmt.Errorf("adopt: %w: the view is of %v, not of %v", ErrHostile, named, k)
	}
	r, err := s.Create(named, Meta{Title: view.Info.Title, Started: view.Info.Started})
	if errors.Is(err, ErrFinished) {
		var ok bool
		if r, ok = s.Lookup(named); !ok {
			err = ErrClosed
		} else {
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("adopt: %w", err)
	}
	r.work.Lock()
	defer r.work.Unlock()
	if err := r.change(func(st *state) {
		if st.State == Live {
			st.State = Partial
		}
	}); err != nil {
		return r, fmt.Errorf("adopt: %w", err)
	}
	if err := r.fill(ctx, view, from, progress); err != nil {
		return r, fmt.Errorf("adopt: %w", err)
	}
	if err := r.setView(view); err != nil {
		return r, fmt.Errorf("adopt: %w", err)
	}
	return r, nil
}

// asHostile tells a view that is not one from other trouble.
func asHostile(err error) error {
	if errors.Is(err, unixfs.ErrHostile) {
		return fmt.Errorf("%w: %w", ErrHostile, err)
	}
	return err
}

// viewKey returns which recording a view is, its signature checked where it has one.
func viewKey(view *unixfs.View) (k Key, err error) {
	if k.Channel, err = view.Info.ChannelKey(); err != nil {
		return k, fmt.Errorf("%w: %w", ErrHostile, err)
	}
	k.Broadcast = view.Info.Broadcast
	if view.Info.Signature != nil {
		if err := view.Info.Verify(k.Channel); err != nil {
			return k, fmt.Errorf("%w: %w", ErrHostile, err)
		}
	}
	return k, nil
}

// fetchOne fetches one block, its hash checked.
func fetchOne(ctx context.Context, from Fetcher, c cid.Cid) (data []byte, err error) {
	err = fetchAll(ctx, from, []cid.Cid{c}, func(_ cid.Cid, b []byte) error {
		data = b
		return nil
	})
	return data, err
}

// fetchAll calls yield for each of the blocks, as they come, their hashes checked. ErrNotFound where some did not come.
func fetchAll(ctx context.Context, from Fetcher, cids []cid.Cid, yield func(c cid.Cid, b []byte) error) error {
	if from == nil {
		return notFound{cids[0]}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	missing := make(map[digest]cid.Cid, len(cids))
	for _, c := range cids {
		d, _, ok := asDigest(c)
		if !ok {
			return fmt.Errorf("%w: a link to %s", ErrHostile, c)
		}
		missing[d] = c
	}
	ch, err := from.Blocks(ctx, cids)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	for len(missing) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, ok := <-ch:
			if !ok {
				if err := ctx.Err(); err != nil {
					return err
				}
				for _, c := range missing {
					return notFound{c}
				}
			}
			data := b.RawData()
			if len(data) > maxBlockSize {
				continue
			}
			d := sha(data)
			c, wanted := missing[d]
			if !wanted {
				continue // not asked for, or not what it claims to be
			}
			delete(missing, d)
			if err := yield(c, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill puts everything that a view refers to into the recording, fetching what is not here, in playing order.
func (r *Recording) fill(ctx context.Context, view *unixfs.View, from Fetcher, progress func(done, total int64)) error {
	w := r.viewWriter()
	if err := r.rlock(true); err != nil {
		return err
	}
	r.mu.RUnlock()
	if err := view.Own(w.put); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	total := view.Size()
	var telling sync.Mutex // batches come in side by side, and progress is told of one after the other
	done := int64(0)
	tell := func(n int64) {
		telling.Lock()
		defer telling.Unlock()
		if done += n; progress != nil {
			progress(min(done, total), total)
		}
	}
	media := int64(0)
	for _, l := range view.Blocks() {
		media += l.Size
	}
	tell(total - media)

	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchParallel)
	var batch []cid.Cid
	flush := func() {
		cids := batch
		batch = nil
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return fetchAll(ctx, from, cids, func(c cid.Cid, b []byte) error {
				tell(int64(len(b)))
				return r.putBlock(c, b)
			})
		})
	}
	for _, l := range view.Blocks() {
		if ctx.Err() != nil {
			break
		}
		d, _, ok := asDigest(l.Cid)
		if !ok {
			return fmt.Errorf("%w: a link to %s", ErrHostile, l.Cid)
		}
		if sec, _, err := r.block(d, false); err == nil && int64(sec.size) == l.Size {
			tell(l.Size)
			continue
		}
		if batch = append(batch, l.Cid); len(batch) == fetchBatch {
			flush()
		}
	}
	if len(batch) > 0 {
		flush()
	}
	return group.Wait()
}

// putBlock appends one block whose hash was checked.
func (r *Recording) putBlock(c cid.Cid, b []byte) error {
	w := r.viewWriter()
	if err := w.put(c, b); err != nil {
		return err
	}
	return w.flush()
}

// setView makes a view of which every block is here the recording's.
func (r *Recording) setView(view *unixfs.View) error {
	r.mu.Lock()
	st := r.st
	info := view.Info
	r.st.Title, r.st.Started, r.st.Ended = cleanTitle(info.Title), info.Started.UTC(), info.Ended.UTC()
	r.st.Duration, r.st.Media, r.st.Whole, r.st.Tracks, r.st.Missing = info.Length(), info.Size, true, nil, 0
	r.st.Scheme = info.KeyScheme
	for _, t := range info.Tracks {
		missing := 0
		for _, g := range t.Gaps {
			if g.To < 1<<53-1 {
				missing += int(g.To - g.From + 1)
			}
		}
		r.st.Missing += missing
		r.st.Tracks = append(r.st.Tracks, TrackInfo{
			Name: t.Name, Chunks: t.Chunks, Bytes: t.Size, Duration: time.Duration(t.Duration * float64(time.Second)), Missing: missing,
		})
	}
	r.mu.Unlock()
	err := r.setRoot(view.Root, Finished)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.st = st
		return err
	}
	r.beyond = maps.Clone(r.bad)
	if err := r.ready(true); err != nil {
		return err
	}
	if err := r.seal(); err != nil {
		return err
	}
	r.s.sealing.Go(func() { r.s.cover(r) })
	return nil
}

// View reads the recording's view, from here alone: what a player of a finished recording needs, envelopes or not.
func (r *Recording) View(ctx context.Context) (*unixfs.View, error) {
	root := r.root()
	if !root.Defined() {
		return nil, fmt.Errorf("view: %w: the recording has none yet", ErrNotFound)
	}
	return unixfs.Open(ctx, root, func(_ context.Context, c cid.Cid) ([]byte, error) { return r.read(c) })
}
