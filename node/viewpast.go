package node

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"

	"murmuration/chunker/envelope"
	"murmuration/chunker/seal"
	"murmuration/node/archive/unixfs"
	"murmuration/node/shim"
	"murmuration/playlist"
)

// viewPast is a track of a recording that came by its root: its blocks and what the view says of them, without the
// envelopes. It is what the local face plays it from.
type viewPast struct {
	track  string
	parts  []unixfs.Part // ascending
	scheme uint8         // of the keys that it is sealed with; zero: it is public
	get    func(context.Context, cid.Cid) ([]byte, error)
}

var _ shim.History = viewPast{}

// Parts implements shim.History.
func (v viewPast) Parts(_ context.Context, before playlist.ID) ([]playlist.Part, error) {
	var parts []playlist.Part
	for _, p := range v.parts {
		if p.ID().Less(before) {
			parts = append(parts, p.Part)
		}
	}
	return parts, nil
}

// Chunks implements shim.History.
func (v viewPast) Chunks(ctx context.Context, from, to playlist.ID) ([]envelope.Chunk, error) {
	if from.Epoch != to.Epoch || to.Less(from) || to.Seq-from.Seq >= maxViewed {
		return nil, fmt.Errorf("%w: chunks %v to %v", errPast, from, to)
	}
	chunks := make([]envelope.Chunk, to.Seq-from.Seq+1)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(viewFetches) // they may come from afar, one round trip each
	for i := range chunks {
		group.Go(func() (err error) {
			chunks[i], err = v.chunk(ctx, playlist.ID{Epoch: from.Epoch, Seq: from.Seq + uint64(i)})
			return err
		})
	}
	return chunks, group.Wait()
}

const (
	viewFetches = 8       // chunks that are asked for at once
	maxViewed   = 1 << 16 // chunks in one answer
)

// chunk returns a chunk whose envelope says what the view says, and is not signed: the view's root vouches for the block.
func (v viewPast) chunk(ctx context.Context, id playlist.ID) (envelope.Chunk, error) {
	i := sort.Search(len(v.parts), func(i int) bool { return !v.parts[i].ID().Less(id) })
	if i == len(v.parts) || v.parts[i].ID() != id || !v.parts[i].Block.Defined() {
		return envelope.Chunk{}, fmt.Errorf("%w: %w", shim.ErrGone, errPast) // the view has all that there will be
	}
	p := v.parts[i]
	block, err := v.get(ctx, p.Block)
	if err != nil {
		return envelope.Chunk{}, err
	}
	entry := entryOf(p.Part)
	var key envelope.Key
	if v.scheme != 0 {
		key = envelope.Key{Scheme: v.scheme, Number: seal.KeyOf(p.Seq).Number}
	}
	return envelope.Chunk{Block: block, Envelope: &envelope.Envelope{
		Track: v.track, Key: key, Epoch: p.Epoch, Seq: p.Seq, Timescale: p.Timescale, DecodeTime: p.DecodeTime, Duration: p.Duration, Captured: p.Captured,
		Flags: entry.Flags, Init: p.Init, Block: p.Block, BlockSize: uint32(len(block)),
	}}, nil
}

// Chunk implements shim.Blocks.
func (v viewPast) Chunk(id envelope.ID) (envelope.Chunk, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := v.chunk(ctx, playlist.ID(id))
	return c, err == nil
}

// Init implements shim.History.
func (v viewPast) Init(ctx context.Context, name string) ([]byte, error) {
	c, err := cid.Decode(name)
	if err != nil {
		return nil, fmt.Errorf("init segment: %w", err)
	}
	for _, p := range v.parts {
		if p.Init.Equals(c) {
			return v.get(ctx, c)
		}
	}
	return nil, errPast
}
