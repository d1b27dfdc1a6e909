package exchange

import (
	"context"
	"fmt"
	"sync"
	"time"

	bxchange "github.com/ipfs/boxo/exchange"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// connectTimeout is how long a session tries to reach a peer that it was given.
const connectTimeout = 15 * time.Second

// Session is a series of requests that belong together, such as those for one recording: who had the first blocks is
// asked for the next. It ends with its context, at Close, or when the exchange closes.
type Session struct {
	x      *Exchange
	ctx    context.Context
	cancel context.CancelFunc
	from   bxchange.Fetcher
}

// Session starts a session until ctx ends. The given peers are dialled if need be and asked at once, with the connected
// ones; who else has the blocks is asked of the DHT when these do not answer within a second. Blocks that Config.Blocks
// has are not fetched.
func (x *Exchange) Session(ctx context.Context, peers ...peer.ID) *Session {
	s := &Session{x: x}
	s.ctx, s.cancel = context.WithCancel(ctx)
	stop := context.AfterFunc(x.ctx, s.cancel)
	for _, p := range peers {
		if p == x.cfg.Host.ID() {
			continue
		}
		x.keep(p)
		go func() {
			ctx, cancel := context.WithTimeout(s.ctx, connectTimeout)
			defer cancel()
			if err := x.cfg.Host.Connect(ctx, peer.AddrInfo{ID: p}); err != nil && s.ctx.Err() == nil {
				x.cfg.Log.Debug("a session's peer cannot be reached", "peer", p, "err", err)
			}
		}()
	}
	context.AfterFunc(s.ctx, func() {
		stop()
		for _, p := range peers {
			if p != x.cfg.Host.ID() {
				x.release(p)
			}
		}
	})
	s.from = x.bitswap.NewSession(s.ctx)
	return s
}

// Close ends the session and withdraws its requests.
func (s *Session) Close() error {
	s.cancel()
	return nil
}

// Block returns the data of one block, verified. It waits until someone has it, or ctx ends.
func (s *Session) Block(ctx context.Context, c cid.Cid) ([]byte, error) {
	ch, err := s.Blocks(ctx, []cid.Cid{c})
	if err != nil {
		return nil, err
	}
	if b, ok := <-ch; ok {
		return b.RawData(), nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("exchange: fetch %s: %w", c, err)
	}
	return nil, fmt.Errorf("exchange: fetch %s: %w", c, ErrClosed)
}

// Blocks fetches blocks, each once, and sends them as they come, verified. They are asked for in the order given, with
// no more than Config.Window ahead of what was received from the channel: the order in which a recording is played. The
// channel is closed after the last block, or when ctx or the session ends; then blocks may be missing.
func (s *Session) Blocks(ctx context.Context, cids []cid.Cid) (<-chan blocks.Block, error) {
	if s.ctx.Err() != nil {
		return nil, ErrClosed
	}
	want := make([]cid.Cid, 0, len(cids))
	seen := make(map[cid.Cid]struct{}, len(cids))
	for _, c := range cids {
		if _, ok := inline(c); !ok {
			if err := verifiable(c); err != nil {
				return nil, err
			}
		}
		if _, again := seen[c]; !again {
			seen[c] = struct{}{}
			want = append(want, c)
		}
	}
	out := make(chan blocks.Block)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	go func() {
		defer close(out)
		defer cancel()
		defer stop()
		s.fetch(ctx, want, out)
	}()
	return out, nil
}

// fetch asks for want in steps, so that the window keeps full without a message for every block.
func (s *Session) fetch(ctx context.Context, want []cid.Cid, out chan<- blocks.Block) {
	window := s.x.cfg.Window
	step := max(1, window/8)
	arrived := make(chan blocks.Block, window)
	var asking sync.WaitGroup
	defer asking.Wait()

	for pending := 0; len(want) > 0 || pending > 0; {
		if n := min(step, len(want)); n > 0 && pending+n <= window {
			pending += n
			batch := want[:n]
			want = want[n:]
			asking.Go(func() { s.ask(ctx, batch, arrived) })
			continue
		}
		select {
		case b := <-arrived:
			select {
			case out <- b:
				pending--
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// ask brings the blocks of batch from here or from others. arrived has room for them.
func (s *Session) ask(ctx context.Context, batch []cid.Cid, arrived chan<- blocks.Block) {
	missing := make([]cid.Cid, 0, len(batch))
	for _, c := range batch {
		if b, ok := s.here(ctx, c); ok {
			arrived <- b
		} else {
			missing = append(missing, c)
		}
	}
	if len(missing) == 0 {
		return
	}
	s.x.asked.add(missing)
	open := cid.NewSet()
	for _, c := range missing {
		open.Add(c)
	}
	defer func() { s.x.asked.done(open.Keys(), time.Now()) }()
	ch, err := s.from.GetBlocks(ctx, missing)
	if err != nil {
		return // the session has ended
	}
	for b := range ch {
		open.Remove(b.Cid())
		s.x.asked.done([]cid.Cid{b.Cid()}, time.Now())
		arrived <- b
	}
}

// here returns a block that needs no network.
func (s *Session) here(ctx context.Context, c cid.Cid) (blocks.Block, bool) {
	if data, ok := inline(c); ok {
		b, err := blocks.NewBlockWithCid(data, c)
		return b, err == nil
	}
	if s.x.cfg.Blocks == nil {
		return nil, false
	}
	b, err := s.x.local.Get(ctx, c)
	return b, err == nil
}
