package mesh

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
)

const (
	republishEvery = 10 * time.Second
	askEvery       = 5 * time.Second // between rounds of questions, while they are needed

	// A newcomer asks at once, and then in rounds of a few dials: where many come together, each is also dialled by as
	// many as it dials, and who dialled all at once would end up with twice the neighbours it wants.
	roundEvery = 500 * time.Millisecond
	roundDials = 4

	recordOld = 25 * time.Second // two republications did not come: ask
)

// ErrNotOwner means that a record was to be published with another channel's key.
var ErrNotOwner = errors.New("mesh: not the channel's key")

// Feed follows a channel: what its record says, now and whenever it changes.
type Feed struct {
	node      *Node
	channel   envelope.Channel
	topic     *pubsub.Topic
	events    *pubsub.TopicEventHandler
	stopRelay pubsub.RelayCancelFunc

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	change chan struct{} // one token: Next has something to look at
	poke   chan struct{} // one token: a peer came

	mu     sync.Mutex
	have   bool
	latest Record
	raw    []byte
	heard  time.Time // when latest came
	told   bool      // Next has returned what latest says
	key    ed25519.PrivateKey
}

// Follow puts the node on a channel's topic until the Feed is closed. A channel has one Feed in a node: whoever asks for
// it again gets the same one, shares what Next returns, and Close ends it for all.
func (n *Node) Follow(channel envelope.Channel) (*Feed, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, ErrClosed
	}
	if f := n.feeds[channel]; f != nil {
		return f, nil
	}
	f := &Feed{
		node: n, channel: channel, told: true,
		change: make(chan struct{}, 1), poke: make(chan struct{}, 1),
	}
	f.ctx, f.cancel = context.WithCancel(n.ctx)
	if err := f.open(ChannelTopic(channel)); err != nil {
		f.cancel()
		return nil, fmt.Errorf("mesh: follow %s: %w", ChannelName(channel), err)
	}
	n.feeds[channel] = f
	f.wg.Add(2)
	go f.watch()
	go f.run()
	return f, nil
}

func (f *Feed) open(name string) (err error) {
	ps := f.node.pubsub
	f.node.counts.Store(name, &topicCount{mesh: map[peer.ID]bool{}})
	if err = ps.RegisterTopicValidator(name, f.validate, pubsub.WithValidatorInline(true)); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.shut(name)
		}
	}()
	if f.topic, err = ps.Join(name); err != nil {
		return err
	}
	if err = f.topic.SetScoreParams(topicScore()); err != nil {
		return err
	}
	if f.events, err = f.topic.EventHandler(); err != nil {
		return err
	}
	f.stopRelay, err = f.topic.Relay()
	return err
}

func (f *Feed) shut(name string) {
	if f.stopRelay != nil {
		f.stopRelay()
	}
	if f.events != nil {
		f.events.Cancel()
	}
	if f.topic != nil {
		if err := f.topic.Close(); err != nil && f.node.ctx.Err() == nil {
			f.node.log.Warn("leaving the topic failed", "topic", name, "err", err)
		}
	}
	_ = f.node.pubsub.UnregisterTopicValidator(name) // it is there, or the node is closed
	f.node.counts.Delete(name)
}

// Close leaves the channel.
func (f *Feed) Close() error {
	n := f.node
	n.mu.Lock()
	if n.feeds[f.channel] != f {
		n.mu.Unlock()
		return nil
	}
	delete(n.feeds, f.channel)
	f.cancel()
	f.shut(ChannelTopic(f.channel))
	n.mu.Unlock()
	f.wg.Wait()
	return nil
}

// Channel returns the channel that the feed follows.
func (f *Feed) Channel() envelope.Channel { return f.channel }

// Latest returns the newest record known.
func (f *Feed) Latest() (Record, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest, f.have
}

// Next returns the newest record once it says something that Next has not returned before; at first, the one that is
// there.
func (f *Feed) Next(ctx context.Context) (Record, error) {
	for {
		f.mu.Lock()
		if f.have && !f.told {
			f.told = true
			r := f.latest
			f.mu.Unlock()
			return r, nil
		}
		f.mu.Unlock()
		select {
		case <-f.change:
		case <-ctx.Done():
			return Record{}, ctx.Err()
		case <-f.ctx.Done():
			return Record{}, ErrClosed
		}
	}
}

// Publish makes r the channel's record: it gets a version above the last one, the time and the signature, goes out at
// once, and again every ten seconds until another is published or the feed is closed.
func (f *Feed) Publish(ctx context.Context, key ed25519.PrivateKey, r Record) error {
	if len(key) != ed25519.PrivateKeySize || ChannelOf(key) != f.channel {
		return ErrNotOwner
	}
	if f.ctx.Err() != nil {
		return ErrClosed
	}
	raw, err := f.sign(key, &r)
	if err != nil {
		return err
	}
	return f.send(ctx, raw)
}

// sign gives a record its version, signs and keeps it. Without a record it renews the latest, and without a key it uses
// the last one; with neither there is nothing to do.
func (f *Feed) sign(key ed25519.PrivateKey, content *Record) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if key == nil {
		key = f.key
	}
	if key == nil {
		return nil, nil
	}
	r := f.latest
	if content != nil {
		r = *content
	}
	now := f.node.now()
	r.Version = max(uint64(now.UnixMilli()), f.latest.Version+1)
	r.Issued = now
	if err := r.Sign(key); err != nil {
		return nil, err
	}
	raw, err := r.Encode()
	if err != nil {
		return nil, err
	}
	f.key = key
	f.keep(r, raw, now)
	return raw, nil
}

func (f *Feed) send(ctx context.Context, raw []byte) error {
	if err := f.topic.Publish(ctx, raw, withPublished); err != nil {
		if f.ctx.Err() != nil {
			return ErrClosed
		}
		return fmt.Errorf("mesh: publish record: %w", err)
	}
	return nil
}

// keep makes a record the latest. Call with the lock held.
func (f *Feed) keep(r Record, raw []byte, now time.Time) {
	news := !f.have || !f.latest.sameContent(r)
	f.have, f.latest, f.raw, f.heard = true, r, raw, now
	if news {
		f.told = false
		wake(f.change)
	}
}

// take verifies an encoded record and keeps it where it is newer. The verdict is for whoever sent it.
func (f *Feed) take(raw []byte) (newer bool, err error) {
	f.mu.Lock()
	same := bytes.Equal(raw, f.raw)
	f.mu.Unlock()
	if same {
		return false, nil
	}
	r, err := DecodeRecord(raw)
	if err != nil {
		return false, err
	}
	if r.Channel != f.channel {
		return false, fmt.Errorf("%w: of another channel", ErrRecord)
	}
	if err := r.Verify(); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.have && r.Version <= f.latest.Version {
		return false, nil
	}
	f.keep(r, bytes.Clone(raw), f.node.now())
	return true, nil
}

// validate is the pubsub validator of the channel's topic.
func (f *Feed) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if _, own := m.ValidatorData.(published); own {
		return pubsub.ValidationAccept
	}
	newer, err := f.take(m.Data)
	switch {
	case err != nil:
		f.node.log.Debug("record refused", "from", from, "err", err)
		return pubsub.ValidationReject
	case newer:
		return pubsub.ValidationAccept
	}
	return pubsub.ValidationIgnore
}

// watch wakes run when a peer comes to the channel.
func (f *Feed) watch() {
	defer f.wg.Done()
	for {
		ev, err := f.events.NextPeerEvent(f.ctx)
		if err != nil {
			return
		}
		if ev.Type == pubsub.PeerJoin {
			wake(f.poke)
		}
	}
}

// run publishes the record again (the owner's node), asks for it (all others) and keeps up the number of neighbours.
func (f *Feed) run() {
	defer f.wg.Done()
	again := time.NewTicker(republishEvery)
	defer again.Stop()
	ask := time.NewTicker(askEvery)
	defer ask.Stop()
	var nearer, sooner search
	look := time.NewTimer(exploreSoon)
	defer look.Stop()
	seek := time.NewTimer(exploreSoon)
	defer seek.Stop()
	asked := map[peer.ID]time.Time{}
	round := time.NewTimer(roundEvery)
	round.Stop()
	defer round.Stop()
	var last time.Time
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-again.C:
			f.republish()
		case <-look.C:
			look.Reset(f.explore(&nearer))
		case <-seek.C:
			seek.Reset(f.seekSooner(&sooner))
		case <-f.poke:
			round.Reset(roundEvery - f.node.now().Sub(last))
		case <-round.C:
			last = f.node.now()
			if f.question(asked) {
				round.Reset(roundEvery)
			}
		case <-ask.C:
			f.question(asked)
		}
	}
}

func (f *Feed) republish() {
	raw, err := f.sign(nil, nil)
	if err == nil && raw != nil {
		err = f.send(f.ctx, raw)
	}
	if err != nil && f.ctx.Err() == nil {
		f.node.log.Warn("publishing the channel record again failed", "err", err)
	}
}

// question asks a neighbour on the channel what it knows, when the record is missing or old or neighbours are few. It
// reports whether one answered.
func (f *Feed) question(asked map[peer.ID]time.Time) bool {
	now := f.node.now()
	f.mu.Lock()
	stale := f.key == nil && (!f.have || now.Sub(f.heard) > recordOld)
	f.mu.Unlock()
	peers := f.topic.ListPeers()
	want := min(max(f.node.preset.neighbours-len(peers)-int(f.node.dialling.Load()), 0), roundDials)
	if f.node.cfg.NoExchange {
		want = 0
	}
	if !stale && want == 0 {
		return false
	}
	for p, at := range asked {
		if now.Sub(at) > 2*askEvery {
			delete(asked, p)
		}
	}
	rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	near := len(peers) >= f.node.preset.neighbours/2 // half come as they come
	if near {
		f.node.byDistance(peers)
	}
	tries := 2 // a round: each may take as long as its timeout
	for _, p := range peers {
		if _, lately := asked[p]; lately {
			continue
		}
		if tries--; tries < 0 {
			return false
		}
		asked[p] = now
		ctx, cancel := context.WithTimeout(f.ctx, requestTimeout)
		w := wish{dials: want, near: near}
		if want > 0 {
			w.names = maxExchanged
		}
		_, err := f.node.askChannel(ctx, p, f, w)
		cancel()
		if err == nil {
			return true
		}
		f.node.log.Debug("channel request failed", "peer", p, "err", err)
	}
	return false
}
