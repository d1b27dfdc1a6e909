package model

import (
	"slices"

	"murmuration/mesh/episub"
	"murmuration/sim"
)

// feedLeast is the share of a peer's stripes from which on a parent is drawn as feeding it.
const feedLeast = 0.05

// detail reads off the book what a report draws, and shows players what each peer received. present says who is there at
// the end.
func (b *book) detail(players *sim.Players, present func(id int) bool) *sim.Detail {
	p := b.plan
	d := &sim.Detail{Seed: p.Seed, Feeds: b.feeds}
	measured, published := b.measured()
	for id := range b.pages {
		n := &b.pages[id]
		x, y, onGlobe := p.Position(id)
		d.Globe = onGlobe
		dot := sim.Dot{X: x, Y: y, Class: p.Nodes[id].Class.Name, Present: present(id)}
		if here := b.here(id); here > 0 && published > 0 {
			dot.Copies = float64(n.sent) / (float64(published) * here / measured)
		}
		if id > 0 {
			dot.Direct = float64(p.Delay(0, id).Microseconds()) / 1e3
			if n.honest {
				b.watch(id, d, &dot, players)
				if b.start[id] > 0 && (p.Join.Crowd == nil || n.join >= b.from) {
					d.Startup = append(d.Startup, float64(b.start[id]-n.join)/1e6)
				}
			}
		}
		d.Peers = append(d.Peers, dot)
	}
	slices.Sort(d.Startup)
	return d
}

// watch adds the chunks that were due at a node.
func (b *book) watch(id int, d *sim.Detail, dot *sim.Dot, players *sim.Players) {
	var own, late []float64
	lost, hops := 0, 0
	for seq := b.first; seq < b.last; seq++ {
		if !b.due(id, seq) {
			continue
		}
		ms := -1.0
		if b.latency[id] != nil && b.latency[id][seq] > 0 {
			ms = float64(b.latency[id][seq]) / 1e3
			own = append(own, ms)
			hops += int(b.depth[id][seq])
			d.Bin(ms)
		} else {
			d.Missing++
		}
		if ms < 0 || ms > float64(b.plan.Late.Milliseconds()) {
			lost++
		}
		late = append(late, ms)
	}
	players.Watch(late, float64(b.plan.Track.Chunk.Microseconds())/1e3)
	if len(own) > 0 {
		q := sim.QuantilesOf(own)
		dot.P50, dot.P99, dot.Lost, dot.Hops = q.P50, q.P99, float64(lost)/float64(len(late)), float64(hops)/float64(len(own))
	}
}

// edges returns the trees' edges: whom each node's stripes come from.
func (w *world) edges() []sim.Feed {
	var feeds []sim.Feed
	for id := range w.nodes {
		n := &w.nodes[id]
		if id == 0 || !n.online || n.machine == nil {
			continue
		}
		stripes := map[int]int{}
		var order []int
		for s := range episub.MaxStripes {
			peer, fed := n.machine.Parent(s)
			if !fed {
				continue
			}
			c := n.slotConn(w, peer)
			if c < 0 {
				continue
			}
			parent := int(w.conns[c].ends[1-w.side(c, int32(id))].node)
			if stripes[parent]++; stripes[parent] == 1 {
				order = append(order, parent)
			}
		}
		for _, parent := range order {
			if share := float64(stripes[parent]) / episub.MaxStripes; share >= feedLeast {
				feeds = append(feeds, sim.Feed{From: parent, To: id, Share: share})
			}
		}
	}
	return feeds
}
