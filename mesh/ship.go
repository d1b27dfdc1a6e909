package mesh

import (
	"iter"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p-pubsub/partialmessages"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/mesh/episub"
)

// ship sends what the uplink releases until the track is closed.
func (d *driver) ship() {
	defer d.t.wg.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var batch []parcel
	for {
		var wait time.Duration
		batch, wait = d.uplink.next(d.now(), batch[:0])
		for len(batch) > 0 {
			n := 1
			for n < len(batch) && batch[n].id == batch[0].id {
				n++
			}
			d.hand(batch[:n])
			batch = batch[n:]
			wait = 0
		}
		if d.t.ctx.Err() != nil {
			return
		}
		if wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
			if d.uplink.waiting() {
				continue
			}
		}
		select {
		case <-d.t.ctx.Done():
			return
		case <-d.uplink.ready:
		case <-timer.C:
		}
	}
}

// hand gives parcels of one group to pubsub, which puts them on its neighbours' queues.
func (d *driver) hand(parcels []parcel) {
	group := episub.AppendGroup(nil, parcels[0].id)
	now := d.now()
	messages := make([]partialmessages.PublishAction, len(parcels))
	for i := range parcels {
		p := &parcels[i]
		if p.control != nil {
			messages[i].EncodedPartsMetadata = p.control
			continue
		}
		h := episub.Header{ID: p.id, Index: int(p.index), Age: int64(p.age + now - p.queued), Hops: p.hops}
		b := make([]byte, 0, episub.HeaderSize+2+len(p.body)+len(p.init))
		if p.index == episub.EnvelopeIndex {
			b = appendEnvelope(b, h, p.body, p.init)
		} else {
			b = appendFragment(b, h, p.body)
		}
		messages[i].EncodedPartialMessage = b
	}
	err := pubsub.PublishPartial(d.t.node.pubsub, d.topic, group,
		func(_ map[peer.ID]struct{}, requests func(peer.ID) bool) iter.Seq2[peer.ID, partialmessages.PublishAction] {
			return func(yield func(peer.ID, partialmessages.PublishAction) bool) {
				for i := range parcels {
					p := &parcels[i]
					if p.control == nil && !requests(p.to) {
						d.uplink.done(p.to, p.size)
						continue
					}
					if !yield(p.to, messages[i]) {
						return
					}
				}
			}
		})
	if err != nil && d.t.ctx.Err() == nil {
		d.t.log.Debug("sending failed", "err", err)
	}
}

// written notes that a partial message was written to its neighbour's stream, or was dropped before that.
func (n *Node) written(p peer.ID, m *pb.PartialMessagesExtension) {
	if m == nil {
		return
	}
	if v, ok := n.drivers.Load(m.GetTopicID()); ok {
		d := v.(*driver)
		d.uplink.done(p, len(m.PartialMessage)+len(m.PartsMetadata)+d.overhead)
	}
}
