package mesh

import (
	"iter"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p-pubsub/partialmessages"
	"github.com/libp2p/go-libp2p/core/peer"

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

// comingFor is how long a peer is looked for at every tick that is said to have come to the topic. pubsub tells of it when
// it has heard from it, and lists it when its own stream to it is open, which may be a round trip later.
const comingFor = 2 * time.Second

// comes notes that a peer came to the topic.
func (d *driver) comes(p peer.ID) {
	d.mu.Lock()
	d.coming[p] = d.now()
	d.mu.Unlock()
	wake(d.roll)
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
	for p, since := range d.coming {
		if _, listed := with[p]; listed || d.now()-since > comingFor {
			delete(d.coming, p)
		}
	}
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
	d.machine.SetLoss(n.lost(d.slots))
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

// pushing returns the neighbours that we push a stripe to.
func (d *driver) pushing() map[peer.ID]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[peer.ID]bool{}
	for p, slot := range d.slots {
		if _, to := d.machine.Carries(slot); to != 0 {
			all[p] = true
		}
	}
	return all
}

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
