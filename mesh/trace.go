package mesh

import (
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// topicCount is what pubsub tells of one topic.
type topicCount struct {
	duplicates, duplicateBytes atomic.Uint64 // copies of messages that were here already
	rejected                   atomic.Uint64 // messages that did not verify
	throttled                  atomic.Uint64 // messages dropped before they were verified: the queue was full
	sent, sentBytes            atomic.Uint64 // copies of messages put on neighbours' queues
	dropped                    atomic.Uint64 // copies that a full queue did not take

	mu   sync.Mutex
	mesh map[peer.ID]bool
}

func (c *topicCount) meshPeers() []peer.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]peer.ID, 0, len(c.mesh))
	for p := range c.mesh {
		list = append(list, p)
	}
	return list
}

// count returns the counters of a topic that this node is on, else nil.
func (n *Node) count(topic string) *topicCount {
	if v, ok := n.counts.Load(topic); ok {
		return v.(*topicCount)
	}
	return nil
}

// tracer follows what pubsub does. Its methods are called from within pubsub and never block.
type tracer struct{ n *Node }

var _ pubsub.RawTracer = (*tracer)(nil)

// Graft implements pubsub.RawTracer.
func (t *tracer) Graft(p peer.ID, topic string) {
	if c := t.n.count(topic); c != nil {
		c.mu.Lock()
		c.mesh[p] = true
		c.mu.Unlock()
	}
}

// Prune implements pubsub.RawTracer.
func (t *tracer) Prune(p peer.ID, topic string) {
	if c := t.n.count(topic); c != nil {
		c.mu.Lock()
		delete(c.mesh, p)
		c.mu.Unlock()
	}
}

// OnClosedOutboundStream implements pubsub.RawTracer: pubsub drops the peer from its meshes without a Prune.
func (t *tracer) OnClosedOutboundStream(p peer.ID) {
	t.n.drivers.Range(func(_, v any) bool {
		v.(*driver).inbox.put(input{kind: evGone, from: p})
		return true
	})
	t.n.counts.Range(func(_, v any) bool {
		c := v.(*topicCount)
		c.mu.Lock()
		delete(c.mesh, p)
		c.mu.Unlock()
		return true
	})
}

// DuplicateMessage implements pubsub.RawTracer.
func (t *tracer) DuplicateMessage(m *pubsub.Message) {
	c := t.n.count(m.GetTopic())
	if c == nil || m.ReceivedFrom == t.n.ID() {
		return
	}
	c.duplicates.Add(1)
	c.duplicateBytes.Add(uint64(len(m.Data)))
	t.n.metrics.duplicate.Inc()
}

// RejectMessage implements pubsub.RawTracer.
func (t *tracer) RejectMessage(m *pubsub.Message, reason string) {
	c := t.n.count(m.GetTopic())
	if c == nil || m.ReceivedFrom == t.n.ID() {
		return
	}
	switch reason {
	case pubsub.RejectValidationIgnored:
	case pubsub.RejectValidationQueueFull, pubsub.RejectValidationThrottled:
		c.throttled.Add(1)
		t.n.metrics.dropped.Inc()
	default:
		c.rejected.Add(1)
		t.n.metrics.rejected.Inc()
	}
}

// SendRPC implements pubsub.RawTracer.
func (t *tracer) SendRPC(rpc *pubsub.RPC, _ peer.ID) {
	t.n.queued.Add(1)
	for _, m := range rpc.GetPublish() {
		if c := t.n.count(m.GetTopic()); c != nil {
			c.sent.Add(1)
			c.sentBytes.Add(uint64(len(m.Data)))
			t.n.metrics.sent.Inc()
		}
	}
}

// DropRPC implements pubsub.RawTracer.
func (t *tracer) DropRPC(rpc *pubsub.RPC, p peer.ID) {
	if m := rpc.GetPartial(); m != nil {
		t.n.written(p, m)
		if c := t.n.count(m.GetTopicID()); c != nil {
			c.dropped.Add(1)
			t.n.metrics.dropped.Inc()
		}
	}
	for _, m := range rpc.GetPublish() {
		if c := t.n.count(m.GetTopic()); c != nil {
			c.dropped.Add(1)
			t.n.metrics.dropped.Inc()
		}
	}
}

// OnNewOutboundStream implements pubsub.RawTracer.
func (t *tracer) OnNewOutboundStream(peer.ID, protocol.ID) {}

// Join implements pubsub.RawTracer.
func (t *tracer) Join(string) {}

// Leave implements pubsub.RawTracer.
func (t *tracer) Leave(topic string) {
	if c := t.n.count(topic); c != nil {
		c.mu.Lock()
		clear(c.mesh)
		c.mu.Unlock()
	}
}

// ValidateMessage implements pubsub.RawTracer.
func (t *tracer) ValidateMessage(*pubsub.Message) {}

// DeliverMessage implements pubsub.RawTracer.
func (t *tracer) DeliverMessage(*pubsub.Message) {}

// ThrottlePeer implements pubsub.RawTracer.
func (t *tracer) ThrottlePeer(peer.ID) {}

// RecvRPC implements pubsub.RawTracer.
func (t *tracer) RecvRPC(*pubsub.RPC) {}

// SendRPCCompleted implements pubsub.RawTracer.
func (t *tracer) SendRPCCompleted(rpc *pubsub.RPC, p peer.ID, _ time.Duration) {
	t.n.queued.Add(-1)
	t.n.written(p, rpc.GetPartial())
}

// UndeliverableMessage implements pubsub.RawTracer.
func (t *tracer) UndeliverableMessage(*pubsub.Message) {}
