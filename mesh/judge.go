package mesh

import (
	"bytes"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// verdict is what judge found of an envelope.
type verdict uint8

const (
	envelopeGood    verdict = iota
	envelopeBad             // it is not the channel's, or contradicts itself
	envelopeIgnored         // it is of no use, and nobody is to blame
	envelopeEnd             // the end mark
)

// judge verifies an envelope, once for each chunk, in the order of the validator of whole messages, and makes room for
// its block. Call with the lock held.
func (d *driver) judge(from peer.ID, p piece) (*assembly, verdict) {
	t, id := d.t, p.header.ID
	if d.origin {
		return nil, envelopeIgnored
	}
	if a := d.chunks[id]; a != nil && bytes.Equal(a.chunk.Raw, p.envelope) && bytes.Equal(a.init, p.init) {
		if a.chunk.Flags.Has(envelope.End) {
			return nil, envelopeIgnored
		}
		return a, envelopeGood
	}
	e, err := verifyEnvelope(t.id, envelope.ID(id), p.envelope, p.init)
	if err != nil {
		t.log.Debug("envelope refused", "from", from, "err", err)
		return nil, envelopeBad
	}
	if d.chunks[id] != nil { // the channel signed two: the first one heard stands
		d.conflict(e, from)
		return nil, envelopeIgnored
	}
	have, there, _, old := t.window.look(e.ID(), e.Captured)
	switch {
	case old:
		t.replayed.Add(1)
		return nil, envelopeIgnored
	case there && !bytes.Equal(have.Raw, p.envelope):
		d.conflict(e, from)
		return nil, envelopeIgnored
	case e.Flags.Has(envelope.End):
		if there {
			return nil, envelopeIgnored
		}
		return newAssembly(e, p.envelope, nil, nil), envelopeEnd
	case !carried(e):
		return nil, envelopeIgnored // the log has it
	}
	var a *assembly
	if there {
		a = wholeAssembly(have)
		a.init = p.init
	} else {
		a = newAssembly(e, p.envelope, p.init, t.common(e))
	}
	d.keep(id, a)
	return a, envelopeGood
}

// conflict notes that the channel's key signed two chunks with one id: an origin that lost its state and kept its epoch.
// The neighbour is not to blame.
func (d *driver) conflict(e *envelope.Envelope, from peer.ID) {
	if d.t.conflicts.Add(1) == 1 {
		d.t.log.Warn("the channel signed two different chunks with one id", "id", e.ID(), "from", from)
	}
}

// end takes in the end mark, which has no block, and so no place in the machine: everybody tells all neighbours, once.
func (d *driver) end(c envelope.Chunk, from peer.ID, how arrival) {
	id := episub.ID(c.ID())
	if a := d.chunks[id]; a != nil && a.chunk.Flags.Has(envelope.End) {
		return
	}
	if how == byStripes && d.t.accept(c, byStripes) == staleItem {
		return
	}
	d.keep(id, wholeAssembly(c))
	d.ended, d.endedAt = d.newest == id, d.now()
	if how == byStripes {
		d.whole = append(d.whole, c)
	}
	now := d.now()
	for p := range d.slots {
		if p != from {
			d.uplink.put(parcel{
				to: p, id: id, class: episub.ClassControl, index: episub.EnvelopeIndex, queued: now, body: c.Raw,
				size: len(c.Raw) + d.overhead,
			})
		}
	}
	wake(d.uplink.ready)
}
