package mesh

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

const (
	mdnsService = "_murmur._udp"
	maxPassed   = 256             // peers on the LAN that shared no channel, remembered
	passedFor   = 5 * time.Minute // then they may have come to one
)

// lan takes the peers that mDNS finds. mDNS does not say which channels a peer is on, so the node asks it, and stays
// connected only with those on a channel of its own.
type lan struct {
	n *Node

	mu     sync.Mutex
	passed map[peer.ID]time.Time // shared no channel: not asked again until then
	asking map[peer.ID]bool
}

// startMDNS announces the node on the local network and looks for others there.
func (n *Node) startMDNS() (interface{ Close() error }, error) {
	s := mdns.NewMdnsService(n.host, mdnsService, newLAN(n))
	if err := s.Start(); err != nil {
		return nil, fmt.Errorf("mesh: mdns: %w", err)
	}
	return s, nil
}

func newLAN(n *Node) *lan {
	return &lan{n: n, passed: map[peer.ID]time.Time{}, asking: map[peer.ID]bool{}}
}

// HandlePeerFound implements mdns.Notifee.
func (l *lan) HandlePeerFound(info peer.AddrInfo) {
	n := l.n
	if info.ID == n.ID() || n.host.Network().Connectedness(info.ID) == network.Connected || !n.gate.allowed(info.ID) {
		return
	}
	if !l.begin(info.ID) {
		return
	}
	n.spawn(func() { l.end(info.ID, l.visit(info)) })
}

// begin reports whether a peer should be asked now.
func (l *lan) begin(p peer.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.n.now()
	if until, ok := l.passed[p]; ok && until.After(now) || l.asking[p] || len(l.asking) >= maxPassed {
		return false
	}
	if len(l.passed) >= maxPassed {
		clear(l.passed)
	}
	l.asking[p] = true
	return true
}

func (l *lan) end(p peer.ID, shares bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.asking, p)
	delete(l.passed, p)
	if !shares {
		l.passed[p] = l.n.now().Add(passedFor)
	}
}

// visit connects with a peer and reports whether it shares a channel; else it disconnects again, unless the peer has
// come by another way.
func (l *lan) visit(info peer.AddrInfo) bool {
	n := l.n
	ctx, cancel := context.WithTimeout(n.ctx, dialTimeout)
	defer cancel()
	n.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.TempAddrTTL)
	if err := n.host.Connect(ctx, peer.AddrInfo{ID: info.ID}); err != nil {
		n.log.Debug("peer on the LAN not reached", "peer", info.ID, "err", err)
		return false
	}
	for _, f := range n.allFeeds() {
		answer, err := n.askChannel(ctx, info.ID, f, wish{})
		if err != nil {
			n.log.Debug("channel request failed", "peer", info.ID, "err", err)
		}
		if answer.follows {
			n.log.Info("peer on the LAN shares the channel", "peer", info.ID)
			return true
		}
	}
	n.mu.Lock()
	_, kept := n.kept[info.ID]
	n.mu.Unlock()
	if !kept {
		_ = n.host.Network().ClosePeer(info.ID) // it may have gone by itself
	}
	return false
}

func (n *Node) allFeeds() []*Feed {
	n.mu.Lock()
	defer n.mu.Unlock()
	feeds := make([]*Feed, 0, len(n.feeds))
	for _, f := range n.feeds {
		feeds = append(feeds, f)
	}
	return feeds
}
