package shim

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"murmuration/chunker/envelope"
	"murmuration/playlist"
)

const (
	fetchBudget  = 2 * time.Second // for a segment
	fetchMemory  = 32 << 20        // bytes fetched lately, kept for other players
	fetchesOpen  = 8               // at once
	fetchesWait  = 64              // requests that wait for one of these, at most
	fetchChunks  = 1 << 10         // chunks of one fetch, at most: 4 minutes
	fetchRate    = 32              // a second, at most: what a program that copies a recording may cause
	fetchBurst   = 256
	foreignRate  = 2 // the same for all pages of other origins together: twice what watching needs
	foreignBurst = 30
)

// errBusy means that so much is being fetched already that a request had to be turned away.
var errBusy = errors.New("shim: too much is being fetched")

// fetches brings what is not at hand from Histories. Equal requests share one fetch and, for a while, its result; how
// much is fetched at once and in a second is bounded, since any page that a browser here shows may ask for media.
type fetches struct {
	slots        chan struct{}
	own, foreign *rate.Limiter

	mu      sync.Mutex
	flights map[string]*flight
	waiting int
	kept    map[string]*list.Element // of *fetched
	recent  list.List                // most recent first
	size    int
}

// flight is a fetch under way. It ends when nobody waits for it any more.
type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiters int
	chunks  []envelope.Chunk
	err     error
}

type fetched struct {
	key    string
	chunks []envelope.Chunk
	size   int
}

func newFetches() *fetches {
	return &fetches{
		slots: make(chan struct{}, fetchesOpen), flights: map[string]*flight{}, kept: map[string]*list.Element{},
		own: rate.NewLimiter(fetchRate, fetchBurst), foreign: rate.NewLimiter(foreignRate, foreignBurst),
	}
}

// do returns what get brings, from memory where it was brought lately. Get must not outlive its context.
func (f *fetches) do(ctx context.Context, key string, foreign bool, get func(context.Context) ([]envelope.Chunk, error)) ([]envelope.Chunk, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchBudget)
	defer cancel()
	f.mu.Lock()
	if e := f.kept[key]; e != nil {
		f.recent.MoveToFront(e)
		f.mu.Unlock()
		return e.Value.(*fetched).chunks, nil
	}
	fl := f.flights[key]
	if fl == nil {
		if f.waiting >= fetchesWait {
			f.mu.Unlock()
			return nil, errBusy
		}
		pace := f.own
		if foreign {
			pace = f.foreign
		}
		f.waiting++
		fctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*fetchBudget)
		fl = &flight{done: make(chan struct{}), cancel: stop}
		f.flights[key] = fl
		go f.fly(fctx, key, fl, pace, get)
	}
	fl.waiters++
	f.mu.Unlock()
	select {
	case <-fl.done:
		return fl.chunks, fl.err
	case <-ctx.Done():
	}
	f.mu.Lock()
	if fl.waiters--; fl.waiters == 0 {
		fl.cancel()
		if f.flights[key] == fl {
			delete(f.flights, key) // who asks next must not get this one's end
		}
	}
	f.mu.Unlock()
	return nil, ctx.Err()
}

func (f *fetches) fly(ctx context.Context, key string, fl *flight, pace *rate.Limiter, get func(context.Context) ([]envelope.Chunk, error)) {
	defer fl.cancel()
	err := pace.Wait(ctx)
	if err == nil {
		select {
		case f.slots <- struct{}{}:
			fl.chunks, err = get(ctx)
			<-f.slots
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting--
	if f.flights[key] == fl {
		delete(f.flights, key)
	}
	if fl.err = err; err == nil {
		f.keep(key, fl.chunks)
	}
	close(fl.done)
}

// keep remembers a result, and forgets the oldest. Call with the lock held.
func (f *fetches) keep(key string, chunks []envelope.Chunk) {
	n := &fetched{key: key, chunks: chunks, size: len(key)}
	for _, c := range chunks {
		n.size += len(c.Block) + len(c.Raw)
	}
	if n.size > fetchMemory || f.kept[key] != nil {
		return
	}
	f.kept[key] = f.recent.PushFront(n)
	f.size += n.size
	for f.size > fetchMemory {
		old := f.recent.Remove(f.recent.Back()).(*fetched)
		delete(f.kept, old.key)
		f.size -= old.size
	}
}

// gather returns chunks of one epoch, all of them or an error: from memory, from Blocks, and what is in neither from the
// History. Foreign tells that a page of another origin asks.
func (t *track) gather(ctx context.Context, from, to playlist.ID, foreign bool) ([]envelope.Chunk, error) {
	if from.Epoch != to.Epoch || to.Seq < from.Seq || to.Seq-from.Seq >= fetchChunks {
		return nil, fmt.Errorf("shim: chunks %v to %v: %w", from, to, ErrGone)
	}
	chunks := make([]envelope.Chunk, to.Seq-from.Seq+1)
	first, last := -1, -1 // missing
	for i := range chunks {
		var ok bool
		if chunks[i], ok = t.chunk(playlist.ID{Epoch: from.Epoch, Seq: from.Seq + uint64(i)}); !ok {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return chunks, nil
	}
	if t.info.History == nil {
		return nil, fmt.Errorf("shim: chunks %v to %v: %w", from, to, ErrGone)
	}
	low := playlist.ID{Epoch: from.Epoch, Seq: from.Seq + uint64(first)}
	high := playlist.ID{Epoch: from.Epoch, Seq: from.Seq + uint64(last)}
	key := fmt.Sprintf("%s/%s/%d-%d-%d", t.broadcast.info.ID, t.info.Name, low.Epoch, low.Seq, high.Seq)
	missing, err := t.broadcast.server.fetches.do(ctx, key, foreign, func(ctx context.Context) ([]envelope.Chunk, error) {
		ctx, cancel := t.inTime(ctx)
		defer cancel()
		got, err := t.info.History.Chunks(ctx, low, high)
		if err != nil {
			return nil, err
		}
		if len(got) != last-first+1 {
			return nil, fmt.Errorf("shim: %d chunks in place of %d", len(got), last-first+1)
		}
		for i, c := range got {
			if c.Envelope == nil || len(c.Block) == 0 || c.Epoch != low.Epoch || c.Seq != low.Seq+uint64(i) {
				return nil, fmt.Errorf("shim: another chunk than %d-%d", low.Epoch, low.Seq+uint64(i))
			}
		}
		return got, nil
	})
	if err != nil {
		return nil, err
	}
	copy(chunks[first:], missing)
	return chunks, nil
}

// inTime ends a fetch with the broadcast.
func (t *track) inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(t.broadcast.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// init returns an init segment that a list names or named.
func (t *track) init(ctx context.Context, name string, foreign bool) ([]byte, error) {
	t.mu.Lock()
	b := t.inits[name]
	known := t.list != nil && t.list.Uses(name) || t.late != nil && t.late.Uses(name)
	t.mu.Unlock()
	if b != nil {
		return b, nil
	}
	if !known || t.info.History == nil {
		return nil, fmt.Errorf("shim: init segment %s: %w", name, ErrGone)
	}
	return t.fetchInit(ctx, name, foreign)
}

func (t *track) fetchInit(ctx context.Context, name string, foreign bool) ([]byte, error) {
	got, err := t.broadcast.server.fetches.do(ctx, t.broadcast.info.ID+"/"+t.info.Name+"/"+name, foreign, func(ctx context.Context) ([]envelope.Chunk, error) {
		ctx, cancel := t.inTime(ctx)
		defer cancel()
		b, err := t.info.History.Init(ctx, name)
		if err != nil {
			return nil, err
		}
		// The name is that of the sealed bytes where the broadcast is private: who opened them has held them against it.
		if private, _ := t.broadcast.Private(); !private && envelope.RawCID(b).String() != name {
			return nil, fmt.Errorf("shim: another init segment than %s", name)
		}
		return []envelope.Chunk{{Init: b, Block: b}}, nil
	})
	if err != nil {
		return nil, err
	}
	return got[0].Init, nil
}
