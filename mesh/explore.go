package mesh

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// A viewer asks its nearest neighbours for theirs: often as long as that brings nearer ones, then seldom.
const (
	exploreSoon  = time.Second
	exploreEvery = 10 * time.Second
	exploreNames = 8               // peers asked for at a time
	exploreTries = 2               // of these, tried
	exploreFew   = 6               // the nearest, who are asked, and by whose round trips the search is judged
	triedFor     = 5 * time.Minute // before the same peer is tried again
)

// search is how the search for nearer neighbours goes, or for sooner ones (introduce.go).
type search struct {
	nearest time.Duration // mean round trip of the nearest few at the last look for those
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

// next returns when to look again, from the neighbours, the nearest first: the sooner the more the last look brought. At
// worst it is after twice the pause before.
func (s *search) next(all []acquaintance) time.Duration {
	var sum time.Duration
	few := min(len(all), exploreFew)
	for _, a := range all[:few] {
		sum += a.rtt
	}
	nearest := sum / time.Duration(max(few, 1))
	helped := nearest < s.nearest-s.nearest/20
	s.nearest = nearest
	return s.wait(helped)
}

// wait returns when to look again, after a look that helped or did not.
func (s *search) wait(helped bool) time.Duration {
	switch {
	case s.pause == 0:
		s.pause = exploreSoon
	case helped:
		s.pause = max(s.pause/2, exploreSoon)
	default:
		s.pause = min(2*s.pause, exploreEvery)
	}
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
	n.byDistance(peers)
	all := n.acquaintances(peers)
	gone := leaving(all, n.preset.neighboursMost)
	for _, p := range gone {
		n.log.Debug("letting a far neighbour go", "peer", p)
		if err := n.host.Network().ClosePeer(p); err != nil {
			n.log.Debug("disconnecting failed", "peer", p, "err", err)
		}
	}
	all = slices.DeleteFunc(all, func(a acquaintance) bool { return slices.Contains(gone, a.id) }) // to ask one would dial it
	measured := all
	if i := slices.IndexFunc(all, func(a acquaintance) bool { return a.rtt == 0 }); i >= 0 {
		measured = all[:i]
	}
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
