package mesh

import (
	"cmp"
	"context"
	"math/rand/v2"
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
// asks its nearest for theirs, again and again, tries one or two at a time, and lets the farthest go of those that carry
// nothing.
const (
	exploreSoon  = time.Second
	exploreEvery = 10 * time.Second
	exploreNames = 8               // peers asked for at a time; each is some 200 bytes
	exploreTries = 2               // of these, tried
	exploreFew   = 6               // the nearest, who are asked, and by whose round trips the search is judged
	triedFor     = 5 * time.Minute // before the same peer is tried again
	keptAtRandom = 8
	heardOfMax   = 512
	dialSettle   = time.Second // from a dial until it is known what has become of it
)

// acquaintance is a neighbour that the node might let go.
type acquaintance struct {
	id     peer.ID
	rtt    time.Duration // zero: not measured yet
	inUse  bool          // it carries something for us, we for it, or a link names it
	random uint64        // its place in this node's own random order of all peers
}

// leaving returns whom to let go so that about most remain: the farthest, but none in use, none that was not measured
// yet, and not the first of the random order, whom the node keeps wherever they are.
func leaving(all []acquaintance, most int) []peer.ID {
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

// search is how the search for nearer neighbours goes.
type search struct {
	nearest time.Duration // mean round trip of the nearest few at the last look
	pause   time.Duration // until the next
	tried   map[peer.ID]time.Time
}

// fresh reports whether a peer was not tried lately, and notes that it is tried now.
func (s *search) fresh(now time.Time, p peer.ID) bool {
	if at, ok := s.tried[p]; ok && now.Sub(at) < triedFor {
		return false
	}
	if s.tried == nil {
		s.tried = map[peer.ID]time.Time{}
	}
	for q, at := range s.tried {
		if now.Sub(at) >= triedFor || len(s.tried) >= heardOfMax {
			delete(s.tried, q)
		}
	}
	s.tried[p] = now
	return true
}

// next returns when to look again: the sooner the more the last look brought. At worst it is after twice the pause before.
func (s *search) next(all []acquaintance) time.Duration {
	var sum time.Duration
	few := min(len(all), exploreFew)
	for _, a := range all[:few] {
		sum += a.rtt
	}
	nearest := sum / time.Duration(max(few, 1))
	switch {
	case s.pause == 0:
		s.pause = exploreSoon
	case nearest < s.nearest-s.nearest/20:
		s.pause = max(s.pause/2, exploreSoon)
	default:
		s.pause = min(2*s.pause, exploreEvery)
	}
	s.nearest = nearest
	return s.pause - rand.N(s.pause/4)
}

// explore looks for nearer neighbours of a channel while there are enough, and lets the farthest go where there are too
// many. It returns when to look again.
func (f *Feed) explore(s *search) time.Duration {
	n := f.node
	if n.cfg.NoExchange || n.cfg.Whole || n.preset.neighboursMost == 0 {
		return exploreEvery
	}
	peers := f.topic.ListPeers()
	if len(peers) < n.preset.neighbours/2 {
		return exploreSoon // question asks
	}
	all := n.acquaintances(peers)
	for _, p := range leaving(all, n.preset.neighboursMost) {
		n.log.Debug("letting a far neighbour go", "peer", p)
		if err := n.host.Network().ClosePeer(p); err != nil {
			n.log.Debug("disconnecting failed", "peer", p, "err", err)
		}
	}
	measured := slices.DeleteFunc(slices.Clone(all), func(a acquaintance) bool { return a.rtt == 0 })
	slices.SortFunc(measured, func(a, b acquaintance) int { return cmp.Compare(a.rtt, b.rtt) })
	// The nearest know others near us; now and then anyone, or two clusters never hear of each other.
	ask, near := all[rand.IntN(len(all))], false
	if rand.IntN(4) > 0 && len(measured) > 0 {
		ask, near = measured[rand.IntN(min(len(measured), exploreFew))], true
	}
	ctx, cancel := context.WithTimeout(f.ctx, requestTimeout)
	defer cancel()
	now := n.now()
	w := wish{names: exploreNames, dials: exploreTries, near: near, fresh: func(p peer.ID) bool { return s.fresh(now, p) }}
	if _, err := n.askChannel(ctx, ask.id, f, w); err != nil {
		n.log.Debug("channel request failed", "peer", ask.id, "err", err)
	}
	return s.next(measured)
}

// byDistance sorts peers by their round trips, those without a measured one last.
func (n *Node) byDistance(peers []peer.ID) {
	rtts := make(map[peer.ID]time.Duration, len(peers))
	for _, p := range peers {
		if rtt, ok := n.roundTrip(p); ok {
			rtts[p] = rtt
		} else {
			rtts[p] = time.Hour
		}
	}
	slices.SortStableFunc(peers, func(a, b peer.ID) int { return cmp.Compare(rtts[a], rtts[b]) })
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
	for _, p := range peers {
		rtt, _ := n.roundTrip(p)
		all = append(all, acquaintance{
			id: p, rtt: rtt, inUse: used[p] || n.host.ConnManager().IsProtected(p, keepTag),
			random: (shortID(p) ^ own) * 0x9E3779B97F4A7C15, // each node orders them differently, and always the same
		})
	}
	return all
}
