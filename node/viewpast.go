package node

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/node/archive/unixfs"
	"murmuration/node/shim"
	"murmuration/playlist"
)

// viewPast is a track of a recording that came by its root: its blocks and what the view says of them, without the
// envelopes. It is what the local face plays it from.
type viewPast struct {
	parts []unixfs.Part // ascending
	get   func(context.Context, cid.Cid) ([]byte, error)
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
	var chunks []envelope.Chunk
	for id := from; !to.Less(id); id.Seq++ {
		c, err := v.chunk(ctx, id)
		if err != nil {
			return nil, err
		}
		chunks = append(chunks, c)
	}
	return chunks, nil
}

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
	return envelope.Chunk{Block: block, Envelope: &envelope.Envelope{
		Epoch: p.Epoch, Seq: p.Seq, Timescale: p.Timescale, DecodeTime: p.DecodeTime, Duration: p.Duration, Captured: p.Captured,
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
