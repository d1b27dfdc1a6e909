package mesh

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// maxMessage holds the largest frame with its envelope and init segment (1.1 MiB) and an RPC's other parts.
	maxMessage = 2 << 20
	// outboundQueue is the messages that may wait for one slow neighbour: 32 s of one track. They share their bytes with
	// the other neighbours' queues. pubsub's default of 32 drops a key frame's burst and its control messages.
	outboundQueue = 128
	// validateQueue is the messages that may wait to be verified; one takes some 0.2 ms.
	validateQueue = 128
	// heartbeat of gossipsub. A newcomer is grafted at the next beat: with the default of 1 s that would be half of
	// the start-up time that we want.
	heartbeat = 300 * time.Millisecond
	// seenFor is how long message ids are remembered: longer than a default window.
	seenFor = 2 * time.Minute
	// maxTopicsPerRPC bounds the subscriptions that one message may announce: a seed of some channels has dozens.
	maxTopicsPerRPC = 512
)

// topicPattern are the topics whose subscribers we keep track of: channels by their names, tracks by their digests.
var topicPattern = regexp.MustCompile(`^/murmur/1/([1-9A-HJ-NP-Za-km-z]{40,60}|[0-9A-Za-z_-]{16})$`)

// newGossip starts gossipsub on the node's host.
func (n *Node) newGossip(ctx context.Context, p preset) (*pubsub.PubSub, error) {
	params := pubsub.DefaultGossipSubParams()
	params.D, params.Dlo, params.Dhi, params.Dout = p.d, p.dLow, p.dHigh, p.dOut
	params.Dscore = p.d - p.dOut - 1
	// No IHAVE gossip: a chunk takes longer to cross the swarm than a heartbeat lasts, so neighbours would ask (IWANT)
	// for chunks that are on their way to them, most of all from the origin. The log fills what is really missing.
	params.Dlazy, params.GossipFactor = 0, 0
	params.HeartbeatInterval = heartbeat
	params.HeartbeatInitialDelay = 50 * time.Millisecond
	// What is counted in beats keeps about its usual time.
	params.HistoryLength, params.HistoryGossip = 16, 6
	params.OpportunisticGraftTicks = 100
	params.IDontWantMessageTTL = 10
	params.DirectConnectTicks = 1000
	params.PruneBackoff = 20 * time.Second // the default of a minute is long for an audience that comes and goes
	params.UnsubscribeBackoff = 5 * time.Second
	params.MaxPendingConnections = 64
	params.ConnectionTimeout = 10 * time.Second
	params.SlowHeartbeatWarning = 0.5

	topics := pubsub.NewRegexpSubscriptionFilter(topicPattern)
	library := slog.New(demoted{n.log.Handler()}).With("library", "pubsub")
	opts := []pubsub.Option{
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), // the channel signs, not the relaying peers
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID),
		pubsub.WithMaxMessageSize(maxMessage),
		pubsub.WithPeerOutboundQueueSize(outboundQueue),
		pubsub.WithValidateQueueSize(validateQueue),
		pubsub.WithSeenMessagesTTL(seenFor),
		pubsub.WithGossipSubParams(params),
		pubsub.WithFloodPublish(false), // the origin's uplink is the scarcest: D copies, not one for each neighbour
		// No peer exchange: whoever is pruned would dial sixteen peers, and has more neighbours than it wants after a minute.
		// The channel protocol names as many as are asked for.
		pubsub.WithPeerExchange(false),
		pubsub.WithPeerScore(n.scoreParams(), scoreThresholds),
		pubsub.WithPeerScoreInspect(n.inspectScores, 2*time.Second),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(topics, maxTopicsPerRPC)),
		pubsub.WithRawTracer(&tracer{n: n}),
		pubsub.WithLogger(library),
		pubsub.WithRPCLogger(library),
	}
	if !n.cfg.Whole {
		opts = append(opts, pubsub.WithPartialMessagesExtension(n.newPartial(library)))
	}
	ps, err := pubsub.NewGossipSub(ctx, n.host, opts...)
	if err != nil {
		return nil, fmt.Errorf("mesh: gossipsub: %w", err)
	}
	return ps, nil
}

// messageID binds a message's id to its content and its topic. It cannot be shorter (the hash of the envelope, say, or
// epoch and seq): pubsub marks an id as seen before the validator has judged the message, so whoever can make another
// message with the id of the next chunk keeps that chunk from everyone who hears the false one first.
func messageID(m *pb.Message) string {
	h := sha256.New()
	h.Write([]byte(m.GetTopic()))
	h.Write([]byte{0})
	h.Write(m.GetData())
	return string(h.Sum(nil)[:20]) // 160 bits: collisions are nobody's gain, second preimages out of reach
}

// scoreThresholds: three messages that do not verify within half a minute, and the peer is disconnected.
var scoreThresholds = &pubsub.PeerScoreThresholds{
	GossipThreshold:             -100,
	PublishThreshold:            -200,
	GraylistThreshold:           -400,
	AcceptPXThreshold:           0,
	OpportunisticGraftThreshold: 1,
}

func (n *Node) scoreParams() *pubsub.PeerScoreParams {
	return &pubsub.PeerScoreParams{
		Topics:            map[string]*pubsub.TopicScoreParams{},
		TopicScoreCap:     50,
		AppSpecificScore:  n.gate.score,
		AppSpecificWeight: 1,
		// No penalty for peers that share an IP address: that is what a hall full of viewers looks like.
		IPColocationFactorWeight:  0,
		BehaviourPenaltyWeight:    -1,
		BehaviourPenaltyThreshold: 10,
		BehaviourPenaltyDecay:     0.9,
		DecayInterval:             time.Second,
		DecayToZero:               0.01,
		RetainScore:               10 * time.Minute,
		SeenMsgTTL:                seenFor,
	}
}

// topicScore: who brings chunks first and stays is worth keeping; who brings what does not verify is not.
func topicScore() *pubsub.TopicScoreParams {
	return &pubsub.TopicScoreParams{
		TopicWeight:       1,
		TimeInMeshWeight:  0.02,
		TimeInMeshQuantum: time.Second,
		TimeInMeshCap:     300,

		FirstMessageDeliveriesWeight: 0.5,
		FirstMessageDeliveriesDecay:  0.97, // half-life 23 s
		FirstMessageDeliveriesCap:    40,

		// Whoever brings little may sit behind a thin uplink: not a fault, so no weight on mesh deliveries. The other
		// numbers are there because pubsub insists.
		MeshMessageDeliveriesDecay:      0.9,
		MeshMessageDeliveriesCap:        1,
		MeshMessageDeliveriesThreshold:  1,
		MeshMessageDeliveriesWindow:     10 * time.Millisecond,
		MeshMessageDeliveriesActivation: time.Minute,
		MeshFailurePenaltyDecay:         0.9,

		InvalidMessageDeliveriesWeight: -50, // times the square of their number
		InvalidMessageDeliveriesDecay:  0.98,
	}
}

// inspectScores disconnects peers that are graylisted, for pubsub itself would only ignore them.
func (n *Node) inspectScores(scores map[peer.ID]float64) {
	for p, s := range scores {
		if s > scoreThresholds.GraylistThreshold {
			continue
		}
		n.log.Warn("peer misbehaves, disconnecting it", "peer", p, "score", s)
		n.metrics.banned.Inc()
		n.gate.ban(p)
		if err := n.host.Network().ClosePeer(p); err != nil {
			n.log.Debug("disconnecting failed", "peer", p, "err", err)
		}
	}
}
