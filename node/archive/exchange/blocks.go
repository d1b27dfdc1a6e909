package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ipfs/boxo/verifcid"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/multiformats/go-multihash"
)

// maxBlock is the largest block that is sent or taken: what other IPFS nodes hold to. A chunk is 1 MiB at most.
const maxBlock = 2 << 20

var errReadOnly = errors.New("exchange: blocks are only read here")

// store shows a Blocks as boxo wants it: read-only, and with its error for what is not there. Every error of the
// archive is an answer of "not here" to a stranger, who may ask elsewhere.
type store struct {
	from Blocks
	log  *slog.Logger
}

// serves reports whether c can be here at all.
func (s store) serves(c cid.Cid) bool { return s.from != nil && verifiable(c) == nil }

func (s store) missing(c cid.Cid, op string, err error) error {
	s.log.Debug("no block", "op", op, "cid", c, "err", err)
	return ipld.ErrNotFound{Cid: c}
}

func (s store) Has(ctx context.Context, c cid.Cid) (bool, error) {
	if !s.serves(c) {
		return false, nil
	}
	has, err := s.from.Has(ctx, c)
	if err != nil {
		has = false
		s.log.Debug("no block", "op", "has", "cid", c, "err", err)
	}
	return has, nil
}

func (s store) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	if !s.serves(c) {
		return nil, ipld.ErrNotFound{Cid: c}
	}
	data, err := s.from.Get(ctx, c)
	if err != nil {
		return nil, s.missing(c, "get", err)
	}
	return blocks.NewBlockWithCid(data, c)
}

func (s store) GetSize(ctx context.Context, c cid.Cid) (int, error) {
	if !s.serves(c) {
		return 0, ipld.ErrNotFound{Cid: c}
	}
	size, err := s.from.GetSize(ctx, c)
	if err != nil {
		return 0, s.missing(c, "size", err)
	}
	return size, nil
}

func (store) Put(context.Context, blocks.Block) error             { return errReadOnly }
func (store) PutMany(context.Context, []blocks.Block) error       { return errReadOnly }
func (store) DeleteBlock(context.Context, cid.Cid) error          { return errReadOnly }
func (store) AllKeysChan(context.Context) (<-chan cid.Cid, error) { return nil, errReadOnly }

// verifiable says whether data can be verified by c. Identity CIDs carry their data and need no network: inline returns
// it.
func verifiable(c cid.Cid) error {
	if !c.Defined() {
		return fmt.Errorf("%w: undefined", ErrCID)
	}
	if err := verifcid.ValidateCid(verifcid.DefaultAllowlist, c); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCID, c, err)
	}
	if c.Prefix().MhType == multihash.IDENTITY {
		return fmt.Errorf("%w: %s carries its own data", ErrCID, c)
	}
	return nil
}

// inline returns the data that an identity CID carries itself.
func inline(c cid.Cid) ([]byte, bool) {
	if !c.Defined() || c.Prefix().MhType != multihash.IDENTITY {
		return nil, false
	}
	mh, err := multihash.Decode(c.Hash())
	if err != nil {
		return nil, false
	}
	return mh.Digest, true
}
