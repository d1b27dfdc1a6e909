package mesh

import (
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// Status is what a node can tell of itself.
type Status struct {
	ID      peer.ID
	Addrs   []string // to dial, with /p2p/ID
	Peers   []PeerStatus
	Tracks  []TrackStatus
	Traffic Traffic
}

// Traffic counts bytes on libp2p streams since the start, and bytes a second over the last few seconds.
type Traffic struct {
	Received, Sent       int64
	ReceivedBps, SentBps float64 // bytes a second
}

// PeerStatus describes a connected peer.
type PeerStatus struct {
	ID             peer.ID
	Addr           string        // multiaddr of the connection
	Inbound        bool          // the peer dialled
	RTT            time.Duration // zero where not known yet
	Mesh           bool          // chunks flow to or from it directly
	Agent          string        // such as murmur/0.1.0; what the peer says
	Received, Sent int64         // bytes on streams
}

// TrackStatus describes a track that the node is on.
type TrackStatus struct {
	ID             TrackID
	Newest         envelope.ID // zero before the first chunk
	NewestCaptured time.Time
	Ended          bool // the newest chunk is the end mark

	Published  uint64 // chunks that this node made
	Received   uint64 // chunks that came, each once, verified
	Fetched    uint64 // of these, by the log protocol
	Relayed    uint64 // copies given to neighbours; on the origin, of its own chunks
	Missed     uint64 // chunks given up on
	Duplicates uint64 // copies that came in vain
	Rejected   uint64 // messages that did not verify
	Replayed   uint64 // messages older than the window
	Conflicts  uint64 // messages signed twice with one id
	Dropped    uint64 // messages that a full queue did not take, here or on the way to a neighbour
	Overrun    uint64 // chunks that Next was too slow for

	DuplicateBytes, RelayedBytes uint64

	Delay      Delays // of what came by the topic, and of filled gaps
	Peers      int    // neighbours on the track
	Mesh       int    // of these, in the mesh
	WindowSize int    // chunks in memory
	WindowMem  int    // bytes in memory

	// Stripes are the trees by which chunks come and go, by stripe: fragment i of a chunk is of stripe i mod 16. There
	// are none where the node spreads whole messages only. Envelopes is the tree of the envelopes.
	Stripes   []StripeStatus
	Envelopes StripeStatus
	Spread    Spread
	Upload    Upload
}

// StripeStatus describes this node's place in one tree.
type StripeStatus struct {
	Parent   peer.ID       // who pushes it to us, or did last; empty: nobody yet
	Fed      bool          // it comes
	Age      time.Duration // from publish to here, usually; on the origin zero
	Children int           // neighbours that we push it to
}

// Spread counts fragments since the node joined the track.
type Spread struct {
	Fragments  uint64 // that came, each once, verified
	Duplicates uint64 // that were here already
	Repaired   uint64 // that came on request
	Requested  uint64
	Shed       uint64 // not sent for want of upload
	Lost       uint64 // times that a tree's feed was lost
	Changes    uint64 // parents left for better ones
	Control    uint64 // bytes of control frames sent
	Frames     uint64 // control frames sent
}

// Upload is the node's upload, in bits a second.
type Upload struct {
	Budget float64 // what may be used, all tracks together
	Used   float64 // over the last seconds, everything on QUIC counted
	Sent   [4]int  // bytes of this track by class: control, fragments to pass on, other fragments, repairs
}

// Status returns the node's state at this moment.
func (n *Node) Status() Status {
	s := Status{ID: n.ID()}
	for _, a := range n.Addrs() {
		s.Addrs = append(s.Addrs, a.String())
	}
	n.mu.Lock()
	tracks := make([]*Track, 0, len(n.tracks))
	for _, t := range n.tracks {
		tracks = append(tracks, t)
	}
	n.mu.Unlock()
	inMesh := map[peer.ID]bool{}
	for _, t := range tracks {
		s.Tracks = append(s.Tracks, t.Status())
		for _, p := range t.count.meshPeers() {
			inMesh[p] = true
		}
		if t.driver != nil {
			for p := range t.driver.carrying() {
				inMesh[p] = true
			}
		}
	}
	slices.SortFunc(s.Tracks, func(a, b TrackStatus) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	for _, p := range n.host.Network().Peers() {
		if ps, ok := n.peerStatus(p); ok {
			ps.Mesh = inMesh[p]
			s.Peers = append(s.Peers, ps)
		}
	}
	slices.SortFunc(s.Peers, func(a, b PeerStatus) int { return strings.Compare(string(a.ID), string(b.ID)) })
	t := n.traffic.GetBandwidthTotals()
	s.Traffic = Traffic{Received: t.TotalIn, Sent: t.TotalOut, ReceivedBps: t.RateIn, SentBps: t.RateOut}
	return s
}

func (n *Node) peerStatus(p peer.ID) (PeerStatus, bool) {
	conns := n.host.Network().ConnsToPeer(p)
	if len(conns) == 0 {
		return PeerStatus{}, false
	}
	c := conns[0]
	s := PeerStatus{ID: p, Addr: c.RemoteMultiaddr().String(), Inbound: c.Stat().Direction == network.DirInbound}
	if q, ok := n.quicStats(p); ok {
		s.RTT = q.SmoothedRTT
	} else {
		s.RTT = n.host.Peerstore().LatencyEWMA(p)
	}
	if agent, err := n.host.Peerstore().Get(p, "AgentVersion"); err == nil {
		if text, ok := agent.(string); ok && checkText(text, 128) == nil {
			s.Agent = text
		}
	}
	b := n.traffic.GetBandwidthForPeer(p)
	s.Received, s.Sent = b.TotalIn, b.TotalOut
	return s, true
}

// Status returns the track's state at this moment.
func (t *Track) Status() TrackStatus {
	s := TrackStatus{
		ID: t.id, Published: t.published.Load(), Received: t.received.Load(), Fetched: t.fetched.Load(),
		Replayed: t.replayed.Load(), Conflicts: t.conflicts.Load(), Overrun: t.overrun.Load(),
		Relayed: t.count.sent.Load(), RelayedBytes: t.count.sentBytes.Load(),
		Duplicates: t.count.duplicates.Load(), DuplicateBytes: t.count.duplicateBytes.Load(),
		Rejected: t.count.rejected.Load(), Dropped: t.count.dropped.Load() + t.count.throttled.Load(),
		Peers: len(t.topic.ListPeers()), Mesh: len(t.count.meshPeers()),
	}
	if t.driver != nil {
		t.driver.status(&s)
	}
	s.WindowSize, s.WindowMem = t.window.Size()
	if id, ok := t.window.Newest(); ok {
		s.Newest = id
		if c, ok := t.window.Chunk(id); ok {
			s.NewestCaptured, s.Ended = c.Captured, c.Flags.Has(envelope.End)
		}
	}
	t.mu.Lock()
	s.Missed, s.Delay = t.gaps.missed, t.delays.summary()
	t.mu.Unlock()
	return s
}

// status fills in what the driver knows.
func (d *driver) status(s *TrackStatus) {
	d.mu.Lock()
	m := d.machine.Stats()
	lanes := make([]StripeStatus, episub.MaxStripes+1)
	for i := range lanes {
		slot, fed := d.machine.Parent(i)
		l := StripeStatus{Fed: fed, Age: max(d.machine.LaneAge(i), 0), Children: d.machine.Children(i)}
		if slot >= 0 {
			l.Parent = d.peers[slot]
		}
		lanes[i] = l
	}
	if m.Fragments > 0 {
		s.Duplicates += m.Duplicates / episub.MaxStripes
		s.DuplicateBytes += m.Duplicates * (d.taken / m.Fragments)
	}
	s.Relayed += uint64(d.copies)
	s.RelayedBytes += d.given
	d.mu.Unlock()
	s.Stripes, s.Envelopes = lanes[:episub.MaxStripes], lanes[episub.MaxStripes]
	s.Spread = Spread{
		Fragments: m.Fragments, Duplicates: m.Duplicates, Repaired: m.Repaired, Requested: m.Requested, Shed: m.Shed,
		Lost: m.Lost, Changes: m.Changes, Control: m.ControlBytes, Frames: m.Frames,
	}
	total, used := d.t.node.budget.rates()
	s.Upload.Budget, s.Upload.Used = 8*total, 8*used
	s.Upload.Sent, _ = d.uplink.released()
}
