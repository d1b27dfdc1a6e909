package stack

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/sim"
)

// attend is one viewer's life.
func (r *run) attend(node int, live <-chan struct{}) {
	n := &r.plan.Nodes[node]
	if !pause(live, time.Until(r.zero.Add(n.Join))) || !r.arrive(node) {
		return
	}
	if !pause(live, time.Until(r.zero.Add(n.Leave))) {
		return
	}
	r.depart(node, n.Graceful)
}

func pause(live <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-live:
		return false
	}
}

// arrive starts a node and tells it of some others.
func (r *run) arrive(node int) bool {
	at := &place{
		node: node, measured: r.cfg.Measured, net: r.net, reel: r.reel, log: r.cfg.Log.With("node", node),
		complete: func(seq uint64, by bringer) {
			r.ledger.complete(node, seq, time.Since(r.zero), r.bringer(node, seq, by.from), by.hops)
		},
		friends: func() []peer.AddrInfo { return r.acquaintances(node) },
		key:     func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed(r.plan.Seed, uint64(node))) },
	}
	who, err := r.start(at)
	if err != nil {
		r.fail(fmt.Errorf("node %d: %w", node, err))
		return false
	}
	info := who.info()
	friends := r.acquaintances(node)
	r.mu.Lock()
	r.present[node], r.infos[node], r.ids[info.ID] = who, info, node
	r.mu.Unlock()
	if len(friends) > 0 {
		who.meet(friends)
	}
	return true
}

// start starts a participant that runs the run's system, as its class behaves.
func (r *run) start(at *place) (participant, error) {
	how, gossip := r.plan.Nodes[at.node].Class.Behaviour, r.cfg.System == Gossipsub
	switch {
	case (at.node == 0 || how == sim.Honest) && gossip:
		return newGossipPeer(at)
	case at.node == 0 || how == sim.Honest:
		return newMeshPeer(at)
	case gossip:
		return newGossipHostile(at, how)
	}
	return newHostile(at, how)
}

// bringer returns the node that brings a chunk: the one that the participant names, or one whose packet is being
// handled.
func (r *run) bringer(node int, seq uint64, from peer.ID) int {
	seen := -1
	if e := r.net.ends[node].Load(); e != nil {
		seen = r.ledger.bringer(seq, e.bringers())
	}
	if from == "" {
		return seen
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	told, ok := r.ids[from]
	if !ok {
		return -1
	}
	if r.named++; told == seen {
		r.agreed++
	}
	return told
}

// acquaintances are the peers that a newcomer is told of. A mesh node has the origin and some others from the link, and
// hears of more from these; a stock gossipsub node has as many as a mesh node looks for.
func (r *run) acquaintances(node int) []peer.AddrInfo {
	want := linkPeers
	if r.cfg.System == Gossipsub {
		want = r.plan.Mesh.Near + r.plan.Mesh.Random
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []peer.AddrInfo
	if info, ok := r.infos[0]; ok && node != 0 {
		list = append(list, info)
	}
	var others []int
	for i := range r.plan.Nodes { // in order, for the sake of the seed
		if _, ok := r.infos[i]; ok && i != node && i > 0 && !r.plan.Nodes[i].Class.NAT {
			others = append(others, i)
		}
	}
	r.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	for _, i := range others[:min(want, len(others))] {
		list = append(list, r.infos[i])
	}
	return list
}

// depart takes a node away. Without grace it falls silent; what runs on in it reaches nobody.
func (r *run) depart(node int, graceful bool) {
	r.count(node, true)
	r.mu.Lock()
	who := r.present[node]
	delete(r.present, node)
	delete(r.infos, node)
	r.mu.Unlock()
	if !graceful {
		r.net.vanish(node)
	}
	who.leave()
	r.net.release(node)
}
