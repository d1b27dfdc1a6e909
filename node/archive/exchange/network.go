package exchange

import (
	"context"
	"sync"
	"time"

	"github.com/ipfs/boxo/bitswap/message"
	bsnet "github.com/ipfs/boxo/bitswap/network"
	blocks "github.com/ipfs/go-block-format"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
)

// burst is what may be sent at once when an upload limit was not used for a while. A message can be one block.
const burst = maxBlock + 64<<10

// guardedNetwork is bitswap's network with a say on what is sent (blocks leave when the live push lets them) and on what comes
// in (peers that send what nobody asked for are cut off).
type guardedNetwork struct {
	bsnet.BitSwapNetwork
	x *Exchange
}

// SendMessage sends what the server side answers; requests go by message senders and are small.
func (n guardedNetwork) SendMessage(ctx context.Context, p peer.ID, m message.BitSwapMessage) error {
	size := 0
	for _, b := range m.Blocks() {
		size += len(b.RawData())
	}
	if size > 0 {
		if err := n.x.limit.WaitN(ctx, min(size, burst)); err != nil {
			return err
		}
		if n.x.cfg.Admit != nil {
			if err := n.x.cfg.Admit(ctx, p, size); err != nil {
				return err
			}
		}
	}
	if err := n.BitSwapNetwork.SendMessage(ctx, p, m); err != nil {
		return err
	}
	n.x.metrics.sent(len(m.Blocks()), size)
	return nil
}

// guard sees every message first, and hands it to the asking side and to the answering side.
type guard struct{ x *Exchange }

// ReceiveMessage counts the blocks that no session asked for: they cost bandwidth and hashing. A wrong block is one of
// them: blocks come without names, and its bytes hash to a CID that nobody asked for.
func (g guard) ReceiveMessage(ctx context.Context, p peer.ID, m message.BitSwapMessage) {
	got := m.Blocks()
	wanted := make([]blocks.Block, 0, len(got))
	bytes := 0
	for _, b := range got {
		bytes += len(b.RawData())
		if g.x.asked.has(b.Cid()) {
			wanted = append(wanted, b)
		}
	}
	unasked := len(got) - len(wanted)
	g.x.metrics.received(len(got), bytes, unasked)
	if unasked > 0 {
		if g.x.misuse.add(p, unasked, time.Now()) {
			g.x.cfg.Log.Warn("a peer sends blocks that were not asked for; cut off", "peer", p)
			g.x.metrics.cutOff()
			_ = g.x.cfg.Host.Network().ClosePeer(p)
			return
		}
		g.x.client.wrong(p)
	}
	g.x.client.received(p, wanted, m.Haves(), m.DontHaves())
	if g.x.server != nil {
		g.x.server.ReceivedBlocks(p, wanted)
		g.x.server.ReceiveMessage(ctx, p, m)
	}
}

// ReceiveError is of no use: it does not say whose message was broken. The stream is gone.
func (g guard) ReceiveError(err error) { g.x.cfg.Log.Debug("broken message", "err", err) }

// PeerConnected is told of every direct connection.
func (g guard) PeerConnected(p peer.ID) {
	if g.x.server != nil {
		g.x.server.PeerConnected(p)
	}
	g.x.client.connected()
}

// PeerDisconnected is told when the last direct connection ends.
func (g guard) PeerDisconnected(p peer.ID) {
	if g.x.server != nil {
		g.x.server.PeerDisconnected(p)
	}
	g.x.client.disconnected(p)
}

// misuse remembers who sent what was not asked for. Some is normal: blocks cross with cancels.
type misuse struct {
	mu    sync.Mutex
	peers map[peer.ID]*offence
}

type offence struct {
	blocks int
	since  time.Time
}

// The most unasked blocks a peer may send within a while, and the most peers that are remembered.
const (
	misuseBlocks = 256
	misuseSpan   = 10 * time.Minute
	misusePeers  = 4096
)

// add counts n unasked blocks of p and reports whether that is too much.
func (m *misuse) add(p peer.ID, n int, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.peers[p]
	if o == nil || now.Sub(o.since) > misuseSpan {
		if len(m.peers) >= misusePeers {
			for other := range m.peers { // any: an attacker with 4096 identities gains little by being forgotten
				delete(m.peers, other)
				break
			}
		}
		o = &offence{since: now}
		if m.peers == nil {
			m.peers = map[peer.ID]*offence{}
		}
		m.peers[p] = o
	}
	o.blocks += n
	return o.blocks > misuseBlocks
}

// newLimit returns the limiter for an upload limit in bits a second; none is no limit.
func newLimit(bitsPerSecond int64) *rate.Limiter {
	l := rate.NewLimiter(rate.Inf, burst)
	setLimit(l, bitsPerSecond)
	return l
}

func setLimit(l *rate.Limiter, bitsPerSecond int64) {
	if bitsPerSecond <= 0 {
		l.SetLimit(rate.Inf)
		return
	}
	l.SetLimit(rate.Limit(float64(bitsPerSecond) / 8))
}
