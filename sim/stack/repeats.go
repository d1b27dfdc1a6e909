package stack

import (
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// repeats counts the messages that were there already.
type repeats struct{ n atomic.Uint64 }

var _ pubsub.RawTracer = (*repeats)(nil)

// DuplicateMessage implements pubsub.RawTracer.
func (r *repeats) DuplicateMessage(*pubsub.Message) { r.n.Add(1) }

// The other events of pubsub.RawTracer are not counted.

// OnNewOutboundStream implements pubsub.RawTracer.
func (r *repeats) OnNewOutboundStream(peer.ID, protocol.ID) {}

// OnClosedOutboundStream implements pubsub.RawTracer.
func (r *repeats) OnClosedOutboundStream(peer.ID) {}

// Join implements pubsub.RawTracer.
func (r *repeats) Join(string) {}

// Leave implements pubsub.RawTracer.
func (r *repeats) Leave(string) {}

// Graft implements pubsub.RawTracer.
func (r *repeats) Graft(peer.ID, string) {}

// Prune implements pubsub.RawTracer.
func (r *repeats) Prune(peer.ID, string) {}

// ValidateMessage implements pubsub.RawTracer.
func (r *repeats) ValidateMessage(*pubsub.Message) {}

// DeliverMessage implements pubsub.RawTracer.
func (r *repeats) DeliverMessage(*pubsub.Message) {}

// RejectMessage implements pubsub.RawTracer.
func (r *repeats) RejectMessage(*pubsub.Message, string) {}

// ThrottlePeer implements pubsub.RawTracer.
func (r *repeats) ThrottlePeer(peer.ID) {}

// RecvRPC implements pubsub.RawTracer.
func (r *repeats) RecvRPC(*pubsub.RPC) {}

// SendRPC implements pubsub.RawTracer.
func (r *repeats) SendRPC(*pubsub.RPC, peer.ID) {}

// SendRPCCompleted implements pubsub.RawTracer.
func (r *repeats) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}

// DropRPC implements pubsub.RawTracer.
func (r *repeats) DropRPC(*pubsub.RPC, peer.ID) {}

// UndeliverableMessage implements pubsub.RawTracer.
func (r *repeats) UndeliverableMessage(*pubsub.Message) {}
