package archive

import (
	"context"
	"fmt"
	"io"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
)

// Fetcher brings blocks from elsewhere: a bitswap session. The channel is closed when all came or no more will; blocks
// are not trusted.
type Fetcher interface {
	Blocks(ctx context.Context, cids []cid.Cid) (<-chan blocks.Block, error)
}

// Adopt keeps the recording with this root, fetching what is not here.
func (s *Store) Adopt(ctx context.Context, k Key, root cid.Cid, from Fetcher, progress func(done, total int64)) (*Recording, error) {
	return nil, fmt.Errorf("adopt: %w", ErrNotFound)
}

// ImportCAR keeps the recording that a CAR holds.
func (s *Store) ImportCAR(ctx context.Context, r io.Reader, progress func(done int64)) (Info, error) {
	return Info{}, fmt.Errorf("import: %w", ErrNotFound)
}
