package mesh

import (
	"bytes"
	"context"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// published marks a message that Track.Publish made and checked itself.
type published struct{}

// validate is the track's pubsub validator: it runs once for each message id. What it accepts is in the window and on its
// way to Next before pubsub forwards it; nothing that it did not accept is delivered or forwarded.
func (t *Track) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if _, own := m.ValidatorData.(published); own {
		return pubsub.ValidationAccept
	}
	c, err := decodeFrame(m.Data)
	if err != nil {
		t.log.Debug("message refused", "from", from, "err", err)
		return pubsub.ValidationReject
	}
	have, there, gossiped, old := t.window.look(c.ID(), c.Captured)
	if there && bytes.Equal(have.Raw, c.Raw) && bytes.Equal(have.Block, c.Block) && bytes.Equal(initOf(have), c.Init) {
		// The log brought it before the topic did: it is verified, and neighbours may need it.
		if gossiped {
			return pubsub.ValidationIgnore
		}
		t.window.add(c, true, t.node.now())
		return pubsub.ValidationAccept
	}
	if err := verifyChunk(t.id, c); err != nil {
		t.log.Debug("message refused", "from", from, "err", err)
		return pubsub.ValidationReject
	}
	if old {
		t.replayed.Add(1)
		return pubsub.ValidationIgnore
	}
	switch t.accept(c, byTopic) {
	case added:
		return pubsub.ValidationAccept
	case conflict:
		// Signed twice by the channel's key: an origin that lost its state and kept its epoch. The first one heard
		// stands; the neighbour is not to blame.
		if t.conflicts.Add(1) == 1 {
			t.log.Warn("the channel signed two different chunks with one id", "id", c.ID(), "from", from)
		}
	}
	return pubsub.ValidationIgnore
}
