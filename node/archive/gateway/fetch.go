package gateway

import (
	"context"

	bxchange "github.com/ipfs/boxo/exchange"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// mayFetch marks the context of a request that may fetch from the network.
type mayFetch struct{}

// network is the exchange that boxo asks for what is not here. Where a request may not fetch, there is nothing.
type network struct {
	start func(ctx context.Context) Fetcher
}

func (n network) NewSession(ctx context.Context) bxchange.Fetcher {
	if n.start == nil || ctx.Value(mayFetch{}) == nil {
		return nowhere{}
	}
	return session{n.start(ctx)}
}

func (n network) GetBlock(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return n.NewSession(ctx).GetBlock(ctx, c)
}

func (n network) GetBlocks(ctx context.Context, cids []cid.Cid) (<-chan blocks.Block, error) {
	return n.NewSession(ctx).GetBlocks(ctx, cids) // ends with ctx, as the caller's request does
}

func (network) NotifyNewBlocks(context.Context, ...blocks.Block) error { return nil }
func (network) Close() error                                           { return nil }

// session is a Fetcher as boxo wants it.
type session struct{ from Fetcher }

func (s session) GetBlocks(ctx context.Context, cids []cid.Cid) (<-chan blocks.Block, error) {
	return s.from.Blocks(ctx, cids)
}

func (s session) GetBlock(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	ch, err := s.from.Blocks(ctx, []cid.Cid{c})
	if err != nil {
		return nil, err
	}
	if b, ok := <-ch; ok {
		return b, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, ipld.ErrNotFound{Cid: c}
}

// nowhere has no block.
type nowhere struct{}

func (nowhere) GetBlock(_ context.Context, c cid.Cid) (blocks.Block, error) {
	return nil, ipld.ErrNotFound{Cid: c}
}

func (nowhere) GetBlocks(context.Context, []cid.Cid) (<-chan blocks.Block, error) {
	none := make(chan blocks.Block)
	close(none)
	return none, nil
}
