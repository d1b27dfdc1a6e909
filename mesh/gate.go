package mesh

import (
	"math"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// Offences count against a peer's score in pubsub (see scoreThresholds); they halve in offenceHalfLife.
const (
	offenceMalformed = 50  // a request or an answer that does not parse
	offenceForged    = 200 // a chunk or a record that does not verify
	offenceProven    = 600 // the same where no honest peer could have done it: the connection ends
	offenceFlood     = 100 // more messages than an honest peer has to send
	offenceMute      = 4   // promised and did not deliver
	offenceMutest    = 16  // all that together, at most
	offenceHalfLife  = time.Minute

	banFor  = 10 * time.Minute
	maxBans = 4096
)

// gate decides which peers this node has connections with. It knows peers by their IDs, never by their IP addresses: a
// hundred honest viewers may share the address of one that is not.
type gate struct {
	avoid map[peer.ID]bool // fixed

	mu       sync.Mutex
	banned   map[peer.ID]time.Time // until when
	offences map[peer.ID]offence
	near     map[peer.ID]float64 // what a short round trip adds to the score
	now      func() time.Time
}

type offence struct {
	weight float64
	at     time.Time
}

var _ connmgr.ConnectionGater = (*gate)(nil)

func newGate(avoid []peer.ID) *gate {
	g := &gate{avoid: map[peer.ID]bool{}, banned: map[peer.ID]time.Time{}, offences: map[peer.ID]offence{}, near: map[peer.ID]float64{}, now: time.Now}
	for _, p := range avoid {
		g.avoid[p] = true
	}
	return g
}

// ban keeps a peer away for banFor.
func (g *gate) ban(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if len(g.banned) >= maxBans {
		for q, until := range g.banned {
			if !until.After(now) {
				delete(g.banned, q)
			}
		}
	}
	if len(g.banned) < maxBans {
		g.banned[p] = now.Add(banFor)
	}
}

// allowed reports whether this node wants connections with a peer.
func (g *gate) allowed(p peer.ID) bool {
	if g.avoid[p] {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.banned[p]
	if ok && !until.After(g.now()) {
		delete(g.banned, p)
		return true
	}
	return !ok
}

// offend notes that a peer misbehaved outside of pubsub.
func (g *gate) offend(p peer.ID, weight float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if len(g.offences) >= maxBans {
		for q, o := range g.offences {
			if now.Sub(o.at) > 8*offenceHalfLife {
				delete(g.offences, q)
			}
		}
		if len(g.offences) >= maxBans {
			return
		}
	}
	g.offences[p] = offence{weight: g.offences[p].decayed(now) + weight, at: now}
}

// mute notes that a peer did not deliver. That alone never comes near a ban: a node whose machine or uplink is busy for
// some seconds fails us on every stripe of every chunk, and it may be the origin, whom nobody can replace. It outweighs
// being near and having come early, not the chunks that the peer brings; the stripes look for another parent anyway.
func (g *gate) mute(p peer.ID) {
	g.mu.Lock()
	now := g.now()
	room := offenceMutest - g.offences[p].decayed(now)
	g.mu.Unlock()
	if room > 0 {
		g.offend(p, min(room, offenceMute))
	}
}

func (o offence) decayed(now time.Time) float64 {
	if o.weight == 0 {
		return 0
	}
	return o.weight * math.Exp2(-now.Sub(o.at).Seconds()/offenceHalfLife.Seconds())
}

// score is the application's part of a peer's pubsub score: a little for one that is near, less than nothing for one that
// misbehaved. (What it brings counts in pubsub's own part: see judged.)
func (g *gate) score(p peer.ID) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.near[p] - g.offences[p].decayed(g.now())
}

// A near neighbour is worth a little more than a far one, so that gossipsub grafts it first: scoreNear at no distance,
// nothing from rttFar on.
const (
	scoreNear = 5
	rttFar    = 300 * time.Millisecond
)

// measured notes the round trip to a neighbour.
func (g *gate) measured(p peer.ID, rtt time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.near[p] = scoreNear * max(1-rtt.Seconds()/rttFar.Seconds(), 0)
}

// forget drops what is known of the way to a peer that is gone.
func (g *gate) forget(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.near, p)
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return g.allowed(p) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gate) InterceptAddrDial(peer.ID, multiaddr.Multiaddr) bool { return true }

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gate) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return g.allowed(p)
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
