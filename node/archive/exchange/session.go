package exchange

import (
	"context"
	"fmt"
	"sync"
	"time"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Session is a series of requests that belong together, such as those for one recording: who had the first blocks is
// asked for the next. It ends with its context, at Close, or when the exchange closes.
type Session struct {
	x      *Exchange
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{}

	mu    sync.Mutex
	state *scheduler
}

// Session starts a session until ctx ends. The given peers are dialled if need be and asked at once; what they lack is
// asked of the connected ones, and after a second of those whom the DHT names. Blocks that Config.Blocks has are not
// fetched.
func (x *Exchange) Session(ctx context.Context, peers ...peer.ID) *Session {
	s := &Session{x: x, wake: make(chan struct{}, 1), state: newScheduler()}
	s.ctx, s.cancel = context.WithCancel(ctx)
	stop := context.AfterFunc(x.ctx, s.cancel)
	var kept []peer.ID
	now := time.Now()
	for _, p := range peers {
		if p != x.cfg.Host.ID() {
			x.keep(p)
			kept = append(kept, p)
			s.state.hope(p, now)
		}
	}
	x.client.join(s)
	go s.run()
	context.AfterFunc(s.ctx, func() {
		stop()
		x.client.leave(s)
		for _, p := range kept {
			x.release(p)
		}
	})
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

// fetch hands out what is here and asks for the rest, a window at a time.
func (s *Session) fetch(ctx context.Context, want []cid.Cid, out chan<- blocks.Block) {
	window := s.x.cfg.Window
	// step blocks are asked for at a time, so that there is not a message for every one.
	step := max(1, window/8)
	r := &request{arrived: make(chan blocks.Block, window)} // room for all that is pending: who delivers never waits
	defer s.withdraw(r)
	for pending := 0; len(want) > 0 || pending > 0; {
		if n := min(step, len(want)); n > 0 && pending+n <= window {
			pending += n
			missing := make([]cid.Cid, 0, n)
			for _, c := range want[:n] {
				if b, ok := s.here(ctx, c); ok {
					r.arrived <- b
				} else {
					missing = append(missing, c)
				}
			}
			want = want[n:]
			s.add(r, missing)
			continue
		}
		select {
		case b := <-r.arrived:
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

func (s *Session) add(r *request, cids []cid.Cid) {
	if len(cids) == 0 {
		return
	}
	s.mu.Lock()
	fresh := s.state.add(r, cids)
	s.x.asked.add(fresh)
	s.mu.Unlock()
	s.rouse()
}

func (s *Session) withdraw(r *request) {
	s.mu.Lock()
	orders, gone := s.state.withdraw(r)
	s.x.asked.done(gone, time.Now())
	s.mu.Unlock()
	s.x.client.send(orders)
}

func (s *Session) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// received takes what a peer sent. It reports how many of the blocks the session wanted.
func (s *Session) received(p peer.ID, got []blocks.Block, haves, dontHaves []cid.Cid) {
	now := time.Now()
	s.mu.Lock()
	var orders []order
	var done []cid.Cid
	for _, b := range got {
		if o, wanted := s.state.block(p, b, now); wanted {
			orders = append(orders, o...)
			done = append(done, b.Cid())
		}
	}
	s.state.presence(p, haves, dontHaves, now)
	s.x.asked.done(done, now)
	s.mu.Unlock()
	s.x.client.send(orders)
	s.rouse()
}

// with changes the session's state and looks at it again.
func (s *Session) with(change func(*scheduler, time.Time)) {
	s.mu.Lock()
	change(s.state, time.Now())
	s.mu.Unlock()
	s.rouse()
}

// run decides whom to ask for what, whenever something happened, and now and then while something is wanted.
func (s *Session) run() {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-s.wake:
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		s.mu.Lock()
		waiting := len(s.state.wants) > 0
		orders, search := s.state.schedule(time.Now(), s.x.client.neighbours, s.x.dht != nil)
		s.mu.Unlock()
		s.x.client.send(orders)
		if search.Defined() {
			go s.search(search)
		}
		if waiting {
			tick.Reset(schedulerTick)
		} else {
			tick.Stop()
		}
	}
}

// search asks the DHT who has c; they are asked next.
func (s *Session) search(c cid.Cid) {
	ctx, cancel := context.WithTimeout(s.ctx, searchTimeout)
	defer cancel()
	for p := range s.x.dht.FindProvidersAsync(ctx, c, searchProviders) {
		if p.ID == s.x.cfg.Host.ID() {
			continue
		}
		if len(p.Addrs) > 0 {
			s.x.cfg.Host.Peerstore().AddAddrs(p.ID, p.Addrs, searchTTL)
		}
		s.with(func(state *scheduler, now time.Time) { state.hope(p.ID, now) })
	}
}
