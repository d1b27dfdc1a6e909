package exchange

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	bsnet "github.com/ipfs/boxo/bitswap/network"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	lnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	linkIdle    = time.Minute      // after which the stream to a peer is closed
	linkTimeout = 10 * time.Second // to open a stream, dialling included, and to send a message
	linkEntries = 1024             // in a message
)

// client is the asking side of bitswap: it carries the orders of sessions to peers, and answers to sessions.
type client struct {
	x   *Exchange
	net bsnet.BitSwapNetwork

	mu       sync.Mutex
	sessions map[*Session]struct{}
	links    map[peer.ID]*link
	closed   bool
}

// link is the way to one peer: what is to be told gathers while a message is on its way.
type link struct {
	entries map[cid.Cid]order
	wake    chan struct{}
}

func newClient(x *Exchange, net bsnet.BitSwapNetwork) *client {
	return &client{x: x, net: net, sessions: map[*Session]struct{}{}, links: map[peer.ID]*link{}}
}

// close lets no new link begin. Those that are there end with the exchange.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

func (c *client) join(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[s] = struct{}{}
}

func (c *client) leave(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s)
}

func (c *client) all() []*Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*Session, 0, len(c.sessions))
	for s := range c.sessions {
		all = append(all, s)
	}
	return all
}

// received hands a message's answers to the sessions.
func (c *client) received(p peer.ID, got []blocks.Block, haves, dontHaves []cid.Cid) {
	if len(got)+len(haves)+len(dontHaves) == 0 {
		return
	}
	for _, s := range c.all() {
		s.received(p, got, haves, dontHaves)
	}
}

// wrong says that p sent what nobody asked for: sessions ask others for a while.
func (c *client) wrong(p peer.ID) {
	for _, s := range c.all() {
		s.with(func(state *scheduler, now time.Time) { c.send(state.fail(p, wrongRest, now)) })
	}
}

func (c *client) disconnected(p peer.ID) {
	for _, s := range c.all() {
		s.with(func(state *scheduler, now time.Time) { state.gone(p, now) })
	}
}

func (c *client) connected() {
	for _, s := range c.all() {
		s.rouse()
	}
}

// neighbours returns some of the connected peers that speak bitswap.
func (c *client) neighbours(most int) []peer.ID {
	h := c.x.cfg.Host
	var found []peer.ID
	peers := h.Network().Peers()
	rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	for _, p := range peers {
		if len(found) >= most {
			break
		}
		if h.Network().Connectedness(p) != lnet.Connected { // over a relay there is no bitswap
			continue
		}
		if spoken, err := h.Peerstore().SupportsProtocols(p, bitswapProtocols...); err == nil && len(spoken) > 0 {
			found = append(found, p)
		}
	}
	return found
}

// send passes orders on. It does not wait for the network.
func (c *client) send(orders []order) {
	if len(orders) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	for _, o := range orders {
		l := c.links[o.to]
		if l == nil {
			if o.kind == cancelWant {
				continue // it was never told, or has left
			}
			l = &link{entries: map[cid.Cid]order{}, wake: make(chan struct{}, 1)}
			c.links[o.to] = l
			c.x.running.Go(func() { c.carry(o.to, l) })
		}
		l.entries[o.c] = o
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// carry sends what gathers in l until there was nothing for a while, or p cannot be reached.
func (c *client) carry(p peer.ID, l *link) {
	var sender bsnet.MessageSender
	defer func() {
		if sender != nil {
			_ = sender.Reset()
		}
	}()
	idle := time.NewTimer(linkIdle)
	defer idle.Stop()
	for {
		m := c.gather(l)
		if m.Empty() {
			idle.Reset(linkIdle)
			select {
			case <-l.wake:
				continue
			case <-idle.C:
				if c.retire(p, l) {
					return
				}
				continue
			case <-c.x.ctx.Done():
				c.retire(p, l)
				return
			}
		}
		var err error
		if sender == nil {
			ctx, cancel := context.WithTimeout(c.x.ctx, linkTimeout)
			sender, err = c.net.NewMessageSender(ctx, p, &bsnet.MessageSenderOpts{MaxRetries: 1, SendTimeout: linkTimeout})
			cancel()
		}
		if err == nil {
			err = sender.SendMsg(c.x.ctx, m)
		}
		if err != nil {
			c.x.cfg.Log.Debug("a peer cannot be asked", "peer", p, "err", err)
			c.mu.Lock()
			delete(c.links, p)
			c.mu.Unlock()
			c.disconnected(p)
			return
		}
	}
}

func (c *client) gather(l *link) message.BitSwapMessage {
	m := message.New(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for k, o := range l.entries {
		if n++; n > linkEntries {
			break
		}
		switch o.kind {
		case cancelWant:
			m.Cancel(k)
		case wantHave:
			m.AddEntry(k, o.priority, pb.Message_Wantlist_Have, true)
		default:
			m.AddEntry(k, o.priority, pb.Message_Wantlist_Block, true)
		}
		delete(l.entries, k)
	}
	return m
}

// retire takes l out of use unless something came in the meantime.
func (c *client) retire(p peer.ID, l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(l.entries) > 0 && c.x.ctx.Err() == nil {
		return false
	}
	delete(c.links, p)
	return true
}
