package mesh

import (
	"context"
	"slices"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	mss "github.com/multiformats/go-multistream"
)

const (
	// staleEvery is how often connections are looked at.
	staleEvery = 2 * time.Second
	// staleProbe is how long a connection may take to answer, where the peer has opened another one since.
	staleProbe = 3 * time.Second
	// estrangedAfter is for how many looks in a row a connected peer may be unknown to pubsub.
	estrangedAfter = 3
)

// meshsub are the protocols of those whom pubsub ought to know.
var meshsub = []protocol.ID{pubsub.GossipSubID_v13, pubsub.GossipSubID_v12, pubsub.GossipSubID_v11}

// stale finds connections that are of no use any more, after a peer was killed and has come back.
//
// QUIC takes 30 s to notice that a peer is gone. Where it is back before, at another port, pubsub goes on talking to the
// dead connection for that long, and the peer hears nothing. So where a peer has several connections, those that do not
// answer are closed.
//
// And pubsub gives a peer up for ten minutes whose streams broke four times while it was connected (MaxBackoffAttempts),
// as those of one do that comes back quickly. Nothing but a new connection makes it look again.
type stale struct {
	probed    map[string]bool // connections, by their IDs
	estranged map[peer.ID]int // for how many looks pubsub has not known them
}

// look takes one look at all connections.
func (s *stale) look(n *Node) {
	conns := map[string]bool{}
	known := n.pubsub.ListPeers("")
	estranged := map[peer.ID]int{}
	for _, p := range n.host.Network().Peers() {
		list := n.host.Network().ConnsToPeer(p)
		for _, c := range list {
			conns[c.ID()] = true
		}
		s.probe(n, list)
		if slices.Contains(known, p) || !n.speaksPubsub(p) {
			continue
		}
		if estranged[p] = s.estranged[p] + 1; estranged[p] >= estrangedAfter {
			n.log.Info("pubsub has lost a connected peer: connecting anew", "peer", p)
			delete(estranged, p)
			n.host.Network().ClosePeer(p) //nolint:errcheck // it is gone, then
		}
	}
	for id := range s.probed {
		if !conns[id] {
			delete(s.probed, id)
		}
	}
	s.estranged = estranged
}

func (n *Node) speaksPubsub(p peer.ID) bool {
	found, err := n.host.Peerstore().SupportsProtocols(p, meshsub...)
	return err == nil && len(found) > 0
}

// probe closes those of a peer's connections that do not answer, where there are several.
func (s *stale) probe(n *Node, list []network.Conn) {
	if len(list) < 2 || !slices.ContainsFunc(list, func(c network.Conn) bool { return !s.probed[c.ID()] }) {
		return
	}
	for _, c := range list {
		s.probed[c.ID()] = true
		n.wg.Add(1)
		go func() {
			defer n.wg.Done()
			if err := answers(n.ctx, c); err != nil && n.ctx.Err() == nil {
				n.log.Info("connection closed: its peer has another and does not answer on this one", "peer", c.RemotePeer(), "err", err)
				c.Close() //nolint:errcheck // it is dead
			}
		}()
	}
}

// answers reports an error where a connection's other end does not answer.
func answers(ctx context.Context, c network.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, staleProbe)
	defer cancel()
	s, err := c.NewStream(ctx)
	if err != nil {
		return err
	}
	defer s.Reset() //nolint:errcheck // nothing more is to be said
	if err := s.SetDeadline(time.Now().Add(staleProbe)); err != nil {
		return err
	}
	return mss.SelectProtoOrFail(protocol.ID(ping.ID), s)
}
