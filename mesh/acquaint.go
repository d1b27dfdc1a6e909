package mesh

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

// A viewer keeps some 24 to 30 neighbours: most of them near, for short hops, and some at random, so that no cluster of
// near peers cuts itself off (0 near and 12 random neighbours cost a third more delay in a model of 200 peers; near ones
// alone leave islands, and could be anyone's friends). Which peers are near is known only once they are connected. So it
// tries more of them, one or two at a time (Feed.explore, Feed.seekSooner), and lets the farthest go of those that carry
// nothing.
const (
	keptAtRandom = 8
	heardOfMax   = 512
	dialSettle   = time.Second // from a dial until it is known what has become of it

	// proving is how long a new neighbour is kept beside the others: to be heard of its stripes and chosen for one takes a
	// few looks.
	proving = 3 * time.Second
)

// acquaintance is a neighbour that the node might let go.
type acquaintance struct {
	id     peer.ID
	rtt    time.Duration // zero: not measured yet
	inUse  bool          // it carries something for us, we for it, or a link names it
	fresh  bool          // it has come just now
	random uint64        // its place in this node's own random order of all peers
}

// leaving returns whom to let go so that about most remain beside those that have come just now: the farthest, but none in
// use, none that was not measured yet, and not the first of the random order, whom the node keeps wherever they are.
func leaving(all []acquaintance, most int) []peer.ID {
	all = slices.DeleteFunc(slices.Clone(all), func(a acquaintance) bool { return a.fresh })
	over := len(all) - most
	if over <= 0 {
		return nil
	}
	byChance := slices.SortedFunc(slices.Values(all), func(a, b acquaintance) int { return cmp.Compare(a.random, b.random) })
	rest := byChance[min(keptAtRandom, len(byChance)):]
	slices.SortFunc(rest, func(a, b acquaintance) int { return cmp.Compare(b.rtt, a.rtt) })
	var gone []peer.ID
	for _, a := range rest {
		if over > 0 && !a.inUse && a.rtt > 0 {
			gone = append(gone, a.id)
			over--
		}
	}
	return gone
}

// heardOf are peers that others told of, with their addresses, by the short names that full neighbours use for them.
type heardOf struct {
	mu    sync.Mutex
	peers map[uint64]peer.AddrInfo
}

func (h *heardOf) add(info peer.AddrInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.peers == nil {
		h.peers = map[uint64]peer.AddrInfo{}
	}
	for id := range h.peers {
		if len(h.peers) < heardOfMax {
			break
		}
		delete(h.peers, id) // any one
	}
	h.peers[shortID(info.ID)] = info
}

func (h *heardOf) find(short uint64) (peer.AddrInfo, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	info, ok := h.peers[short]
	return info, ok
}

// suggest takes note of a peer that a full neighbour named, where this node has heard of it: it is worth a connection.
func (n *Node) suggest(short uint64) {
	info, ok := n.heard.find(short)
	if !ok || n.cfg.NoExchange || len(n.host.Network().Peers())+int(n.dialling.Load()) >= n.preset.neighboursMost {
		return
	}
	n.spawn(func() { n.dial(n.ctx, info) })
}

// dial connects to a peer that another told of.
func (n *Node) dial(ctx context.Context, info peer.AddrInfo) {
	if info.ID == n.ID() || !n.gate.allowed(info.ID) || n.host.Network().Connectedness(info.ID) == network.Connected {
		return
	}
	// It counts as a neighbour from now on, and until its subscriptions are here: who asks for as many as are missing,
	// each time that somebody comes, else dials many times as many.
	n.dialling.Add(1)
	defer func() { time.AfterFunc(dialSettle, func() { n.dialling.Add(-1) }) }()
	n.host.Peerstore().AddAddrs(info.ID, info.Addrs, peerstore.TempAddrTTL)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := n.host.Connect(ctx, peer.AddrInfo{ID: info.ID}); err != nil && ctx.Err() == nil {
		n.log.Debug("peer from exchange not reached", "peer", info.ID, "err", err)
	}
}

// acquaintances describes neighbours.
func (n *Node) acquaintances(peers []peer.ID) []acquaintance {
	used := map[peer.ID]bool{}
	n.drivers.Range(func(_, v any) bool {
		for p := range v.(*driver).carrying() {
			used[p] = true
		}
		return true
	})
	all := make([]acquaintance, 0, len(peers))
	own := shortID(n.ID())
	now := time.Now()
	isNew := func(c network.Conn) bool { return now.Sub(c.Stat().Opened) < proving }
	for _, p := range peers {
		rtt, _ := n.roundTrip(p)
		all = append(all, acquaintance{
			id: p, rtt: rtt, fresh: slices.ContainsFunc(n.host.Network().ConnsToPeer(p), isNew), inUse: used[p] || n.host.ConnManager().IsProtected(p, keepTag),
			random: (shortID(p) ^ own) * 0x9E3779B97F4A7C15, // each node orders them differently, and always the same
		})
	}
	return all
}
