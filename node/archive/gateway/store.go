package gateway

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

var errReadOnly = errors.New("gateway: blocks are only read here")

// store is what is here: the archive, and what was fetched a moment ago.
type store struct {
	from   Blocks
	recent *recent
	log    *slog.Logger
}

func (s store) Has(ctx context.Context, c cid.Cid) (bool, error) {
	if _, ok := s.recent.get(c); ok {
		return true, nil
	}
	has, err := s.from.Has(ctx, c)
	return has && err == nil, nil
}

func (s store) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	if data, ok := s.recent.get(c); ok {
		return blocks.NewBlockWithCid(data, c)
	}
	data, err := s.from.Get(ctx, c)
	if err != nil {
		s.log.Debug("no block", "cid", c, "err", err)
		return nil, ipld.ErrNotFound{Cid: c}
	}
	return blocks.NewBlockWithCid(data, c)
}

func (s store) GetSize(ctx context.Context, c cid.Cid) (int, error) {
	if data, ok := s.recent.get(c); ok {
		return len(data), nil
	}
	size, err := s.from.GetSize(ctx, c)
	if err != nil {
		return 0, ipld.ErrNotFound{Cid: c}
	}
	return size, nil
}

// Put takes what boxo fetched. It is kept for the next request only: keeping is the archive's decision.
func (s store) Put(_ context.Context, b blocks.Block) error {
	s.recent.put(b.Cid(), b.RawData())
	return nil
}

func (s store) PutMany(ctx context.Context, all []blocks.Block) error {
	for _, b := range all {
		_ = s.Put(ctx, b)
	}
	return nil
}

func (store) DeleteBlock(context.Context, cid.Cid) error          { return errReadOnly }
func (store) AllKeysChan(context.Context) (<-chan cid.Cid, error) { return nil, errReadOnly }

// recentBytes is what the gateway remembers of fetched blocks: directories and playlists that every request walks.
const recentBytes = 16 << 20

// recent keeps the last blocks put into it, up to a number of bytes.
type recent struct {
	mu    sync.Mutex
	most  int
	bytes int
	data  map[cid.Cid][]byte
	order []cid.Cid
}

func newRecent(most int) *recent { return &recent{most: most, data: map[cid.Cid][]byte{}} }

func (r *recent) get(c cid.Cid) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	data, ok := r.data[c]
	return data, ok
}

func (r *recent) put(c cid.Cid, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.data[c]; ok || len(data) > r.most {
		return
	}
	r.data[c] = data
	r.order = append(r.order, c)
	for r.bytes += len(data); r.bytes > r.most; {
		oldest := r.order[0]
		r.order = r.order[1:]
		r.bytes -= len(r.data[oldest])
		delete(r.data, oldest)
	}
}
