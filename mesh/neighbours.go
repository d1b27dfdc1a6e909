package mesh

import (
	"iter"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p-pubsub/partialmessages"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// up gives a neighbour a slot in the machine. Call with the lock held.
func (d *driver) up(p peer.ID) (episub.Peer, bool) {
	n := d.t.node
	if !n.gate.allowed(p) {
		return 0, false
	}
	rtt, ok := n.roundTrip(p)
	if !ok {
		rtt = firstRTT
	}
	slot, acts, ok := d.machine.Up(d.now(), shortID(p), rtt)
	if !ok {
		d.others[p] = true
		return 0, false
	}
	delete(d.others, p)
	d.slots[p], d.peers[slot] = slot, p
	d.perform(acts)
	return slot, true
}

// down takes a neighbour's slot back. Call with the lock held.
func (d *driver) down(p peer.ID) {
	delete(d.others, p)
	slot, ok := d.slots[p]
	if !ok {
		return
	}
	delete(d.slots, p)
	d.uplink.forget(p)
	d.perform(d.machine.Down(d.now(), slot))
	d.peers[slot] = ""
}

// rollCall compares the neighbours with the topic's peers: who has the extension gets a slot, who has not is served
// whole chunks by pubsub, who left is let go.
func (d *driver) rollCall() {
	list := d.t.topic.ListPeers()
	with := make(map[peer.ID]bool, len(list))
	err := pubsub.PublishPartial(d.t.node.pubsub, d.topic, episub.AppendGroup(nil, episub.ID{}),
		func(_ map[peer.ID]struct{}, requests func(peer.ID) bool) iter.Seq2[peer.ID, partialmessages.PublishAction] {
			for _, p := range list {
				with[p] = requests(p)
			}
			return func(func(peer.ID, partialmessages.PublishAction) bool) {}
		})
	if err != nil {
		return // the node is closed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for p := range d.slots {
		if !with[p] {
			d.down(p)
		}
	}
	for p := range d.others {
		if !with[p] {
			delete(d.others, p)
		}
	}
	clear(d.stock)
	for p, extension := range with {
		if !extension {
			d.stock[p] = true
		} else if _, there := d.slots[p]; !there {
			d.up(p)
		}
	}
}

// survey tells the machine what connections have become, and lets those who wait for a slot have one that is of no use.
func (d *driver) survey() {
	n := d.t.node
	budget := n.budget.share()
	d.uplink.pace(budget)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.machine.SetBudget(budget)
	for p, slot := range d.slots {
		if rtt, ok := n.roundTrip(p); ok {
			d.machine.RTT(slot, rtt)
			n.gate.measured(p, rtt)
		}
	}
	if len(d.others) == 0 || n.now().Unix()%slotRotation != 0 {
		return
	}
	for p, slot := range d.slots {
		if from, to := d.machine.Carries(slot); from|to != 0 {
			continue
		}
		d.down(p)
		for q := range d.others {
			d.up(q)
			break
		}
		d.others[p] = true
		return
	}
}

// slotRotation is every how many seconds a neighbour that carries nothing for us, and we nothing for it, gives its slot
// to one that has none.
const slotRotation = 5

// carrying returns the neighbours that push a stripe to us, or we to them.
func (d *driver) carrying() map[peer.ID]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[peer.ID]bool{}
	for p, slot := range d.slots {
		if from, to := d.machine.Carries(slot); from|to != 0 {
			all[p] = true
		}
	}
	return all
}

// report is what the machine says of a neighbour.
type report struct {
	from  peer.ID
	what  episub.What
	count uint32
}

// settle does what must not be done with the lock held: it calls into pubsub.
func (d *driver) settle() {
	d.mu.Lock()
	reports, whole, stock := d.reports, d.whole, len(d.stock) > 0
	d.reports, d.whole = nil, nil
	d.mu.Unlock()
	for _, r := range reports {
		d.judged(r)
	}
	if !stock {
		return
	}
	for _, c := range whole {
		d.publishWhole(c)
	}
}

// judged passes the machine's opinion of a neighbour on to its score.
func (d *driver) judged(r report) {
	n := d.t.node
	switch r.what {
	case episub.Useful:
		_ = n.pubsub.PeerFeedback(d.topic, r.from, pubsub.PeerFeedbackUsefulMessage) // fails when the node is closed
		return
	case episub.BadFragment, episub.BadEnvelope, episub.BadControl:
		// Whoever forwards has checked: this one made it up, or did not look.
		n.gate.offend(r.from, offenceProven)
	case episub.Flood:
		n.gate.offend(r.from, offenceFlood)
	case episub.NoDelivery:
		n.gate.offend(r.from, offenceMute) // it may be in trouble itself
		return
	}
	d.t.log.Info("neighbour misbehaves", "peer", r.from, "what", r.what)
}

// publishWhole gives a chunk to the neighbours without the extension; pubsub leaves out the others.
func (d *driver) publishWhole(c envelope.Chunk) {
	frame, err := encodeFrame(c)
	if err == nil {
		err = d.t.topic.Publish(d.t.ctx, frame, withPublished)
	}
	if err != nil && d.t.ctx.Err() == nil {
		d.t.log.Warn("a whole chunk was not published", "id", c.ID(), "err", err)
	}
}

// roundTrip returns the round trip to a connected peer, where it is known.
func (n *Node) roundTrip(p peer.ID) (time.Duration, bool) {
	if q, ok := n.quicStats(p); ok && q.SmoothedRTT > 0 {
		return (q.MinRTT + q.SmoothedRTT) / 2, true
	}
	if rtt := n.host.Peerstore().LatencyEWMA(p); rtt > 0 {
		return rtt, true
	}
	return 0, false
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
		Lost: m.Lost, Changes: m.Changes, Control: m.ControlBytes,
	}
	total, used := d.t.node.budget.rates()
	s.Upload.Budget, s.Upload.Used = 8*total, 8*used
	s.Upload.Sent, _ = d.uplink.released()
}
