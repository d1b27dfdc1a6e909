package mesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/quic-go/quic-go"

	"murmuration/mesh/episub"
)

const (
	dialTimeout = 10 * time.Second
	redialFirst = 500 * time.Millisecond
	redialMax   = 30 * time.Second
	tendEvery   = time.Second
	pingEvery   = 10 * time.Second
	pingsAtOnce = 16
	keepTag     = "murmur-link" // connection manager: never trimmed
)

// ErrUnreachable means that none of the peers could be reached yet; the node goes on trying.
var ErrUnreachable = errors.New("mesh: no peer could be reached")

// keeper redials one peer that a link named, for ever.
type keeper struct {
	info peer.AddrInfo
	lost chan struct{} // one token: a connection closed
}

// Connect makes the node keep connections with the peers of a link: it dials them now and again whenever they are lost,
// with growing pauses, until the node is closed. It returns when the first is connected, when all were tried once in
// vain (ErrUnreachable), or with the context.
func (n *Node) Connect(ctx context.Context, peers []peer.AddrInfo) error {
	if len(peers) == 0 {
		return nil
	}
	results := make(chan error, len(peers))
	waiting := 0
	for _, info := range peers {
		if info.ID == n.ID() {
			continue
		}
		n.mu.Lock()
		if n.closed {
			n.mu.Unlock()
			return ErrClosed
		}
		k := n.kept[info.ID]
		switch {
		case k == nil:
			k = &keeper{info: info, lost: make(chan struct{}, 1)}
			n.kept[info.ID] = k
			n.wg.Add(1)
			go n.keep(k, results)
			waiting++
		case n.host.Network().Connectedness(info.ID) == network.Connected:
			n.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL) // it may have moved, and this be its old self
			results <- nil
			waiting++
		default: // its keeper is in a pause
			waiting++
			n.wg.Add(1)
			go func() {
				defer n.wg.Done()
				n.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
				dctx, cancel := context.WithTimeout(n.ctx, dialTimeout)
				defer cancel()
				results <- n.host.Connect(dctx, peer.AddrInfo{ID: info.ID})
			}()
		}
		n.mu.Unlock()
	}
	if waiting == 0 {
		return nil
	}
	var errs []error
	for range waiting {
		select {
		case err := <-results:
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		case <-ctx.Done():
			return ctx.Err()
		case <-n.ctx.Done():
			return ErrClosed
		}
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, errors.Join(errs...))
}

// keep dials a peer until the node is closed; the result of the first try goes to results.
func (n *Node) keep(k *keeper, results chan<- error) {
	defer n.wg.Done()
	id := k.info.ID
	n.host.Peerstore().AddAddrs(id, k.info.Addrs, peerstore.PermanentAddrTTL)
	n.host.ConnManager().Protect(id, keepTag)
	notify := &network.NotifyBundle{DisconnectedF: func(_ network.Network, c network.Conn) {
		if c.RemotePeer() == id {
			wake(k.lost)
		}
	}}
	n.host.Network().Notify(notify)
	defer n.host.Network().StopNotify(notify)
	pause := redialFirst
	for first := true; ; first = false {
		ctx, cancel := context.WithTimeout(n.ctx, dialTimeout)
		err := n.host.Connect(ctx, peer.AddrInfo{ID: id})
		cancel()
		if first {
			results <- err
		}
		if n.ctx.Err() != nil {
			return
		}
		if err == nil || n.host.Network().Connectedness(id) == network.Connected {
			pause = redialFirst
			select {
			case <-k.lost:
				if n.host.Network().Connectedness(id) == network.Connected {
					continue // one of several
				}
			case <-n.ctx.Done():
				return
			}
		} else {
			n.log.Debug("peer not reached", "peer", id, "err", err, "again_in", pause)
		}
		// Half of the pause is random: a hall full of viewers loses its peer at one moment.
		wait := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-wait.C:
		case <-n.ctx.Done():
			wait.Stop()
			return
		}
		pause = min(2*pause, redialMax)
		if sw, ok := n.host.Network().(*swarm.Swarm); ok {
			sw.Backoff().Clear(id) // ours are the pauses that count
		}
	}
}

// vouch keeps the signed address records of connected peers, to hand on to newcomers (identify does not keep them).
func (n *Node) vouch(identified event.Subscription) {
	defer n.wg.Done()
	defer identified.Close()
	for {
		select {
		case <-n.ctx.Done():
			return
		case ev, open := <-identified.Out():
			if !open {
				return
			}
			done, ok := ev.(event.EvtPeerIdentificationCompleted)
			if !ok || done.SignedPeerRecord == nil || n.host.Network().Connectedness(done.Peer) != network.Connected {
				continue
			}
			if raw, err := done.SignedPeerRecord.Marshal(); err == nil && len(raw) <= maxSignedAddresses {
				n.vouched.Store(done.Peer, raw)
			}
		}
	}
}

// tend samples the traffic, and measures round trips that QUIC does not measure for us.
func (n *Node) tend() {
	defer n.wg.Done()
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	budget := time.NewTicker(budgetEvery / budgetPolls)
	defer budget.Stop()
	look := time.NewTicker(staleEvery)
	defer look.Stop()
	stale := stale{probed: map[string]bool{}}
	last, polls := n.now(), 0
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-budget.C:
			polls++
			n.measure(n.now(), polls%budgetPolls == 0)
			continue
		case <-look.C:
			stale.look(n)
			continue
		case <-tick.C:
		}
		now := n.now()
		n.traffic.sample(now)
		if now.Sub(last) >= pingEvery {
			last = now
			n.pingAll()
		}
	}
}

// pingAll pings some of the peers that are not connected by QUIC; the result is in the peerstore.
func (n *Node) pingAll() {
	left := pingsAtOnce
	for _, p := range n.host.Network().Peers() {
		if _, ok := n.quicStats(p); ok {
			continue
		}
		if left--; left < 0 {
			return
		}
		n.wg.Add(1)
		go func() {
			defer n.wg.Done()
			ctx, cancel := context.WithTimeout(n.ctx, requestTimeout)
			defer cancel()
			<-ping.Ping(ctx, n.host, p)
		}()
	}
}

// quicStats returns what QUIC knows of the connection with a peer.
func (n *Node) quicStats(p peer.ID) (quic.ConnectionStats, bool) {
	for _, c := range n.host.Network().ConnsToPeer(p) {
		var q *quic.Conn
		if c.As(&q) {
			return q.ConnectionStats(), true
		}
	}
	return quic.ConnectionStats{}, false
}

// lost returns the share of the packets sent to peers that was lost on the way, so far.
func (n *Node) lost(peers map[peer.ID]episub.Peer) float64 {
	var sent, lost uint64
	for p := range peers {
		if q, ok := n.quicStats(p); ok {
			sent, lost = sent+q.PacketsSent, lost+q.PacketsLost
		}
	}
	return float64(lost) / float64(max(sent, 1))
}

// roundTrip returns the round trip to a connected peer, where it is known.
func (n *Node) roundTrip(p peer.ID) (time.Duration, bool) {
	if q, ok := n.quicStats(p); ok && q.SmoothedRTT > 0 {
		return (q.MinRTT + q.SmoothedRTT) / 2, true
	}
	if rtt := n.host.Peerstore().LatencyEWMA(p); rtt > 0 {
		return rtt, true
	}
	return 0, false
}
