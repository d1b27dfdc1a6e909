package mesh

import (
	"crypto/sha256"
	"encoding/binary"
	"log/slog"

	"github.com/libp2p/go-libp2p-pubsub/partialmessages"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
)

// partial is pubsub's partial messages extension. We keep what neighbours have in the state machine, not in pubsub.
type partial = partialmessages.PartialMessagesExtension[struct{}]

// A neighbour may open this many groups in a heartbeat (pubsub forgets, at each, those that nobody put state into). It
// speaks of some 10 chunks at once, or of a window's 32 when much is repaired. pubsub's default is 8.
const (
	groupsPerPeer = 64
	groupsInAll   = 64 * groupsPerPeer
)

// newPartial returns the extension for the node's pubsub. It hands what comes to the track's driver.
func (n *Node) newPartial(log *slog.Logger) *partial {
	return &partial{
		Logger: log,
		OnEmitGossip: func(string, []byte, []peer.ID, map[peer.ID]struct{}) {
			// Adverts go to every neighbour when they say something new; nothing is left for the heartbeat.
		},
		// Runs in pubsub's loop: it must not wait, nor call pubsub.
		OnIncomingRPC: func(from peer.ID, _ map[peer.ID]struct{}, rpc *pb.PartialMessagesExtension) error {
			if v, ok := n.drivers.Load(rpc.GetTopicID()); ok {
				v.(*driver).inbox.put(input{
					kind: evMessage, from: from, group: rpc.GroupID, control: rpc.PartsMetadata, piece: rpc.PartialMessage,
				})
			}
			return nil
		},
		PeerInitiatedGroupLimitPerTopic:        groupsInAll,
		PeerInitiatedGroupLimitPerTopicPerPeer: groupsPerPeer,
	}
}

// shortID is the number by which neighbours name a peer to each other.
func shortID(p peer.ID) uint64 {
	h := sha256.Sum256([]byte(p))
	return binary.BigEndian.Uint64(h[:])
}
