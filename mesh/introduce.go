package mesh

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// Near neighbours are not all: of 500 nodes a node knows some thirty, and hardly one of the few to whom the origin pushes a
// stripe. So a viewer also asks any of its neighbours for those of theirs through whom its own stripes should come sooner than
// they do. Trees get flatter: who pushes a stripe early is found by more of those who want it, until its uplink is the
// limit and no longer its acquaintance.
const (
	soonerNames = 4
	soonerTries = 2
)

// seekSooner asks a neighbour for peers through whom a track's stripes should come sooner, and tries some. It returns when to
// ask again.
func (f *Feed) seekSooner(s *search) time.Duration {
	n := f.node
	if n.cfg.NoExchange || n.cfg.Whole || n.preset.neighboursMost == 0 {
		return exploreEvery
	}
	d := n.busiest(f.channel)
	if d == nil || len(f.topic.ListPeers()) < n.preset.neighbours/2 {
		return exploreSoon // question asks
	}
	p, ages, ok := d.advisor()
	if !ok {
		return exploreSoon
	}
	ctx, cancel := context.WithTimeout(f.ctx, requestTimeout)
	defer cancel()
	now := n.now()
	w := wish{
		names: soonerNames, dials: soonerTries, fresh: func(p peer.ID) bool { return s.fresh(now, p) },
		track: trackMark(d.topic), ages: ages,
	}
	answer, err := n.askChannel(ctx, p, f, w)
	if err != nil {
		n.log.Debug("channel request failed", "peer", p, "err", err)
	}
	return s.wait(answer.dialled > 0)
}

// busiest returns the driver of the channel's track that has brought most, or nil. A picture's stripes and its sound's take much the
// same ways.
func (n *Node) busiest(c envelope.Channel) *driver {
	var found *driver
	var most uint64
	n.drivers.Range(func(_, v any) bool {
		d := v.(*driver)
		if d.t.id.Channel != c {
			return true
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.taken > most && !d.ended && !d.origin {
			found, most = d, d.taken
		}
		return true
	})
	return found
}

// advisor returns any neighbour on the track, and the ages at which stripes come here.
func (d *driver) advisor() (peer.ID, episub.Ages, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	skip := rand.IntN(max(len(d.slots), 1))
	for p := range d.slots {
		if skip--; skip < 0 {
			return p, d.machine.Ages(), true
		}
	}
	return "", episub.Ages{}, false
}

// sooner returns the peers to name to one that asks for those through whom its stripes should come sooner: nobody, where the asker is
// no neighbour on that track.
func (n *Node) sooner(req channelRequest, from peer.ID) []peer.ID {
	var peers []peer.ID
	n.drivers.Range(func(topic, v any) bool {
		if trackMark(topic.(string)) != req.Track {
			return true
		}
		d := v.(*driver)
		d.mu.Lock()
		defer d.mu.Unlock()
		if _, ok := d.slots[from]; !ok || d.t.id.Channel != req.Channel {
			return false
		}
		rtt, ok := n.roundTrip(from)
		if !ok {
			rtt = firstRTT
		}
		for _, slot := range d.machine.Sooner(d.now(), rtt, &req.Ages) {
			peers = append(peers, d.peers[slot])
		}
		return false
	})
	return peers
}
