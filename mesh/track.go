package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

var (
	// ErrClosed is returned by what was closed, or belongs to a node that was.
	ErrClosed = errors.New("mesh: closed")
	// ErrJoined is returned by Join for a track that the node is on already.
	ErrJoined = errors.New("mesh: already on this track")
	// ErrPublish is wrapped by what Publish returns for a chunk that other nodes would refuse.
	ErrPublish = errors.New("mesh: chunk not publishable")
)

const (
	defaultBacklog = 6 * time.Second
	maxQueue       = 8192 // ids that wait for Next: more than any window of 250 ms chunks holds
)

// JoinConfig says how to be on a track. The zero value suits a viewer.
type JoinConfig struct {
	// Window is the length of the track that is kept in memory. The default is a minute.
	Window time.Duration

	// WindowBytes bounds what is kept in memory. The default is 48 MiB.
	WindowBytes int

	// Backlog is how much of the track before now is fetched on joining at least, rounded up to an independent chunk. The
	// default is what a player needs to begin: two independent chunks and all between, or 7 s of the track. Negative means
	// none.
	Backlog time.Duration

	// Publish tells that this node is the track's origin: it fetches no backlog and fills no gaps.
	Publish bool

	// Log is what the log protocol serves for this track. The default is the Window.
	Log ChunkLog

	// Arrived, if not nil, is told of each chunk that fragments completed, before Next returns it: who sent the last of
	// them, and how many hops from the origin the farthest travelled one came over. It is called from within the track:
	// it must neither wait nor call it.
	Arrived func(id envelope.ID, from peer.ID, hops int)

	// Block, if not nil, may return the bytes of a block whose CID the channel has signed, or nil. They are then kept in
	// the place of a copy of what comes, which is verified all the same: a process that runs hundreds of nodes, as a
	// simulation does, need not keep the same chunks hundreds of times. Nobody may change them. It is called from within
	// the track: it must neither wait nor call it.
	Block func(c cid.Cid) []byte
}

// Track is a node's place on a track: it publishes chunks there, or takes and relays them.
type Track struct {
	node      *Node
	id        TrackID
	cfg       JoinConfig
	log       *slog.Logger
	serves    ChunkLog
	topic     *pubsub.Topic
	events    *pubsub.TopicEventHandler
	stopRelay pubsub.RelayCancelFunc
	window    *Window
	count     *topicCount
	driver    *driver // nil where the node spreads whole messages only

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	arrivals chan struct{} // one token: Next has something to look at
	poke     chan struct{} // one token: run has something to look at

	published, received, fetched, replayed, conflicts, overrun atomic.Uint64

	mu      sync.Mutex
	queue   []envelope.ID // chunks that Next has not returned
	gaps    *gaps
	delays  delays
	pushing bool // this node publishes

	told indexBook // what peers said is there
}

// arrival says how a chunk came.
type arrival int

const (
	byTopic   arrival = iota
	byBacklog         // in the answer to the request on joining
	byGap             // in the answer to a later request
	byPublish
	byStripes // fragment by fragment
)

// Join puts the node on a track: it takes part in the track's topic, relays what comes, and fills gaps by the log
// protocol until Close.
func (n *Node) Join(id TrackID, cfg JoinConfig) (*Track, error) {
	if err := id.Check(); err != nil {
		return nil, fmt.Errorf("mesh: join: %w", err)
	}
	p := presets[n.cfg.Role]
	if cfg.Window <= 0 {
		cfg.Window = p.windowSpan
	}
	if cfg.WindowBytes <= 0 {
		cfg.WindowBytes = p.windowBytes
	}
	name := id.Topic()
	grace := gapGrace
	if !n.cfg.Whole {
		grace = stripesGrace
	}
	t := &Track{
		node: n, id: id, cfg: cfg, window: newWindow(cfg.Window, cfg.WindowBytes),
		log:      n.log.With("track", id.Broadcast+"/"+id.Track),
		count:    &topicCount{mesh: map[peer.ID]bool{}},
		arrivals: make(chan struct{}, 1), poke: make(chan struct{}, 1),
		gaps:    newGaps(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), grace),
		pushing: cfg.Publish,
	}
	if !n.cfg.Whole { // the first chunks of a broadcast come in any order
		t.gaps.fresh = 8
	}
	if t.serves = cfg.Log; t.serves == nil {
		t.serves = t.window
	}
	t.ctx, t.cancel = context.WithCancel(n.ctx)

	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	if n.tracks[id] != nil {
		return nil, fmt.Errorf("%w: %v", ErrJoined, id)
	}
	n.counts.Store(name, t.count)
	if !n.cfg.Whole {
		n.budget.join(1)
		t.driver = newDriver(t, name, cfg.Publish)
		n.drivers.Store(name, t.driver)
	}
	if err := t.open(name); err != nil {
		t.cancel()
		t.forget(name)
		return nil, fmt.Errorf("mesh: join %v: %w", id, err)
	}
	n.tracks[id] = t
	t.wg.Add(2)
	go t.watch()
	go t.run()
	if t.driver != nil {
		t.wg.Add(2)
		go t.driver.run()
		go t.driver.ship()
	}
	return t, nil
}

// open joins the topic. It relays instead of subscribing: the validator has delivered a chunk before pubsub would, and
// a subscription's queue drops what a slow reader does not take.
func (t *Track) open(name string) (err error) {
	ps := t.node.pubsub
	if err = ps.RegisterTopicValidator(name, t.validate, pubsub.WithValidatorInline(true)); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			t.shut(name)
		}
	}()
	var opts []pubsub.TopicOpt
	if t.driver != nil {
		opts = append(opts, pubsub.RequestPartialMessages())
	}
	if t.topic, err = ps.Join(name, opts...); err != nil {
		return err
	}
	if err = t.topic.SetScoreParams(topicScore()); err != nil {
		return err
	}
	if t.events, err = t.topic.EventHandler(); err != nil {
		return err
	}
	t.stopRelay, err = t.topic.Relay()
	return err
}

func (t *Track) shut(name string) {
	if t.stopRelay != nil {
		t.stopRelay()
	}
	if t.events != nil {
		t.events.Cancel()
	}
	if t.topic != nil {
		if err := t.topic.Close(); err != nil && t.node.ctx.Err() == nil {
			t.log.Warn("leaving the topic failed", "err", err)
		}
	}
	if err := t.node.pubsub.UnregisterTopicValidator(name); err != nil && t.node.ctx.Err() == nil {
		t.log.Warn("unregistering the validator failed", "err", err)
	}
}

// forget takes the track off the node's tables.
func (t *Track) forget(name string) {
	t.node.counts.Delete(name)
	if t.driver != nil {
		t.node.drivers.Delete(name)
		t.node.budget.join(-1)
	}
}

// Close leaves the track. Chunks that wait for Next are dropped.
func (t *Track) Close() error {
	n := t.node
	n.mu.Lock()
	if n.tracks[t.id] != t {
		n.mu.Unlock()
		return nil
	}
	delete(n.tracks, t.id)
	t.cancel()
	t.shut(t.id.Topic())
	t.forget(t.id.Topic())
	n.mu.Unlock()
	t.wg.Wait()
	return nil
}

// ID returns the name of the track.
func (t *Track) ID() TrackID { return t.id }

// Window returns the chunks that are in memory.
func (t *Track) Window() *Window { return t.window }

// Publish sends a chunk that the channel's key signed. It returns once the chunk is on the neighbours' queues; with no
// neighbours yet, those that come get it from the log. Next does not return it.
func (t *Track) Publish(ctx context.Context, c envelope.Chunk) error {
	if t.ctx.Err() != nil {
		return ErrClosed
	}
	if c.Envelope == nil {
		return fmt.Errorf("%w: no envelope", ErrPublish)
	}
	if carriesInit(c.Envelope) && c.Init == nil {
		c.Init, _ = t.window.Init(c.Envelope.Init)
	}
	if t.driver != nil && !c.Flags.Has(envelope.End) && !carried(c.Envelope) {
		return fmt.Errorf("%w: %d fragments of %d bytes, at most %d of %d can be carried", ErrPublish,
			len(c.Fragments), c.FragmentSize, episub.MaxFragments, maxFragment)
	}
	frame, err := encodeFrame(c)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPublish, err)
	}
	// What goes out must pass at everybody's validator, or they would take this node for an attacker.
	if again, err := decodeFrame(frame); err != nil {
		return fmt.Errorf("%w: %w", ErrPublish, err)
	} else if err := verifyChunk(t.id, again); err != nil {
		return fmt.Errorf("%w: %w", ErrPublish, err)
	}
	switch t.accept(c, byPublish) {
	case known:
		return nil
	case conflict:
		return fmt.Errorf("%w: another chunk %v went out before", ErrPublish, c.ID())
	case staleItem:
		return fmt.Errorf("%w: chunk %v is older than the window", ErrPublish, c.ID())
	}
	t.node.lastPublish.Store(t.node.now().UnixNano())
	if t.driver != nil {
		t.driver.publish(c)
		return nil
	}
	if err := t.topic.Publish(ctx, frame, withPublished); err != nil {
		if t.ctx.Err() != nil {
			return ErrClosed
		}
		return fmt.Errorf("mesh: publish %v: %w", c.ID(), err)
	}
	return nil
}

var withPublished = pubsub.WithValidatorData(published{})

// Next returns the next chunk in order of arrival: each chunk that came by the topic or the log exactly once. A chunk
// that has left the window before it was asked for is skipped.
func (t *Track) Next(ctx context.Context) (envelope.Chunk, error) {
	for {
		t.mu.Lock()
		for len(t.queue) > 0 {
			id := t.queue[0]
			t.queue = t.queue[1:]
			c, ok := t.window.Chunk(id)
			if !ok {
				t.overrun.Add(1)
				continue
			}
			if len(t.queue) > 0 {
				wake(t.arrivals) // for another caller
			}
			t.mu.Unlock()
			return c, nil
		}
		t.mu.Unlock()
		select {
		case <-t.arrivals:
		case <-ctx.Done():
			return envelope.Chunk{}, ctx.Err()
		case <-t.ctx.Done():
			return envelope.Chunk{}, ErrClosed
		}
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// common returns the bytes that stand for a block of all nodes in this process, or nil.
func (t *Track) common(e *envelope.Envelope) []byte {
	if t.cfg.Block == nil || !e.Block.Defined() {
		return nil
	}
	if b := t.cfg.Block(e.Block); len(b) == int(e.BlockSize) {
		return b
	}
	return nil
}

// accept takes a verified chunk in.
func (t *Track) accept(c envelope.Chunk, how arrival) addResult {
	now := t.node.now()
	if how != byPublish && how != byStripes {
		if b := t.common(c.Envelope); b != nil {
			c.Block, c.Raw, c.Init = b, bytes.Clone(c.Raw), bytes.Clone(c.Init) // they shared the frame with the block
		}
	}
	c, result, _ := t.window.add(c, how == byTopic || how == byStripes || how == byPublish, now)
	if result != added {
		return result
	}
	m := t.node.metrics
	end := c.Flags.Has(envelope.End)
	t.mu.Lock()
	t.gaps.arrived(c.ID(), end, how == byBacklog, now)
	if how != byPublish {
		if len(t.queue) >= maxQueue { // nobody asks: keep the newest
			t.queue = append(t.queue[:0], t.queue[maxQueue/2:]...)
			t.overrun.Add(maxQueue / 2)
		}
		t.queue = append(t.queue, c.ID())
		if how != byBacklog && !end {
			d := now.Sub(c.Captured)
			t.delays.add(d)
			m.delay.Observe(d.Seconds())
		}
	} else {
		t.pushing = true
	}
	t.mu.Unlock()
	switch how {
	case byPublish:
		t.published.Add(1)
		m.published.Inc()
		return added
	case byBacklog, byGap:
		t.fetched.Add(1)
		m.fetched.Inc()
	}
	t.received.Add(1)
	m.received.Inc()
	if t.driver != nil && how != byStripes {
		t.driver.inbox.put(input{kind: evWhole, chunk: c, late: how == byBacklog})
	}
	wake(t.arrivals)
	wake(t.poke)
	return added
}

// initOf returns the init segment that a chunk's frame carries.
func initOf(c envelope.Chunk) []byte {
	if !carriesInit(c.Envelope) {
		return nil
	}
	return c.Init
}
