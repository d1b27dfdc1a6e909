package mesh

import (
	"time"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// Keep implements episub.Host: it checks a fragment and keeps it.
func (d *driver) Keep(id episub.ID, index int, data []byte) bool {
	a := d.chunks[id]
	if a == nil {
		d.t.log.Error("a fragment of a chunk that is not kept", "id", envelope.ID(id))
		return false
	}
	if err := a.take(index, data); err != nil {
		d.t.count.rejected.Add(1)
		d.t.node.metrics.rejected.Inc()
		d.t.log.Debug("fragment refused", "err", err)
		return false
	}
	d.taken += uint64(len(data))
	return true
}

// keep adds an assembly, and lets old ones go.
func (d *driver) keep(id episub.ID, a *assembly) {
	d.chunks[id] = a
	if id.Epoch < d.newest.Epoch || id.Epoch == d.newest.Epoch && id.Seq <= d.newest.Seq {
		return
	}
	d.newest, d.ended, d.fresh = id, false, d.now()
	if len(d.chunks) <= assembliesKept {
		return
	}
	for old := range d.chunks {
		if old.Epoch != id.Epoch || old.Seq+assembliesKept <= id.Seq {
			delete(d.chunks, old)
		}
	}
}

// deliver hands a complete chunk to the track.
func (d *driver) deliver(act *episub.Action) {
	id := act.ID
	a := d.chunks[id]
	if a == nil {
		return
	}
	c, err := a.finish()
	if err != nil { // each fragment was the channel's: so is the contradiction, and no neighbour is to blame
		d.t.log.Warn("the channel signed fragments that do not make the block", "id", envelope.ID(id), "err", err)
		return
	}
	if arrived := d.t.cfg.Arrived; arrived != nil {
		arrived(c.ID(), d.peers[act.Peer], int(act.Hops))
	}
	if d.t.accept(c, byStripes) == added {
		d.whole = append(d.whole, c)
	}
}

// perform carries out what the machine wants done.
func (d *driver) perform(acts []episub.Action) {
	now := d.now()
	for i := range acts {
		a := &acts[i]
		switch a.Kind {
		case episub.SendControl:
			d.uplink.put(parcel{
				to: d.peers[a.Peer], id: a.ID, class: a.Class, queued: now,
				control: append([]byte(nil), a.Data...), size: len(a.Data) + d.overhead,
			})
		case episub.SendFragment:
			d.send(a, now)
		case episub.Deliver:
			d.deliver(a)
		case episub.Report:
			d.reports = append(d.reports, report{d.peers[a.Peer], a.What, a.Count})
		case episub.Suggest:
			d.t.node.suggest(a.Short)
		}
	}
	if len(acts) > 0 {
		wake(d.uplink.ready)
	}
}

// send queues a fragment or an envelope.
func (d *driver) send(a *episub.Action, now time.Duration) {
	x := d.chunks[a.ID]
	if x == nil {
		return
	}
	p := parcel{to: d.peers[a.Peer], id: a.ID, class: a.Class, index: a.Index, hops: a.Hops, age: a.Age, queued: now}
	if a.Index == episub.EnvelopeIndex {
		p.body, p.init = x.chunk.Raw, x.init
	} else if p.body = x.fragment(int(a.Index)); p.body != nil {
		d.copies += 1 / float64(len(x.chunk.Fragments))
		d.given += uint64(len(p.body))
	} else {
		return
	}
	p.size = len(p.body) + len(p.init) + d.overhead
	d.uplink.put(p)
}
