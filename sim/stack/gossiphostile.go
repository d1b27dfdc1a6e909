package stack

import (
	"bytes"
	"context"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/sim"
)

// newGossipHostile starts a stock pubsub node that does not play by the rules: it grafts, takes what comes and never
// passes on a chunk (mute, free: for whole messages these are the same), or that passes on a damaged copy of each
// (garbage). It can do so on any system's topic, since mesh nodes serve stock gossipsub peers.
func newGossipHostile(at *place, how sim.Behaviour) (participant, error) {
	g, ps, err := newGossip(at)
	if err != nil {
		return nil, err
	}
	take := func(_ context.Context, _ peer.ID, m *pubsub.Message) pubsub.ValidationResult {
		if m.ReceivedFrom == g.host.ID() {
			return pubsub.ValidationAccept
		}
		if how != sim.Garbage {
			if e, err := readFrame(m.Data); err == nil {
				g.chunks.Add(1)
				at.complete(e.Seq, bringer{from: m.ReceivedFrom})
			}
			return pubsub.ValidationIgnore
		}
		bad := bytes.Clone(m.Data)
		if len(bad) > 0 {
			bad[len(bad)/2] ^= 1
		}
		go func() { // publishing waits for the loop that this validator runs in
			_ = g.topic.Publish(g.ctx, bad)
		}()
		return pubsub.ValidationIgnore
	}
	if err := g.open(ps, take); err != nil {
		return nil, err
	}
	return g, nil
}
