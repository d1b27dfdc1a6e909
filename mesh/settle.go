package mesh

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// quietAfter is how long no chunk was heard of when nobody can be blamed any more for not delivering: the broadcast has
// ended, or its feed was lost. Blaming the parents then would have every node prune the origin from all topics, for the
// 20 s of gossipsub's backoff, just when the channel tells what is on next.
const quietAfter = time.Second

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
	quiet := d.ended || d.now()-d.fresh > quietAfter
	d.mu.Unlock()
	for _, r := range reports {
		if r.what == episub.NoDelivery && quiet {
			continue
		}
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
		n.gate.mute(r.from)
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
