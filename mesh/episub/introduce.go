package episub

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"time"
)

// Ages are the usual times from publish to a peer, by stripe; negative where none comes.
type Ages [MaxStripes]time.Duration

// Ages returns those of this peer. The origin's are all zero.
func (m *Machine) Ages() Ages {
	var a Ages
	for s := range a {
		a[s] = -1
		if s < m.cfg.Stripes {
			a[s] = m.LaneAge(s)
		}
	}
	return a
}

// sooner is by how much sooner a stripe must be expected through a neighbour for it to count, in nanoseconds: what the load
// of who would push it, the opening of a tree and a change of parents weigh together.
const sooner = 50e6

// Sooner returns the neighbours through which a peer that is rtt from here, and has its stripes at the given ages, should
// have some of them sooner; those that promise most first, summed over the stripes. How far they are from that peer is
// not known here: they are taken to lie at a right angle to it. The origin is never among them: it has few places, and who
// is to have them is its own affair.
func (m *Machine) Sooner(now, rtt time.Duration, ages *Ages) []Peer {
	type offer struct {
		p     Peer
		gains int64
	}
	var offers []offer
	for live := m.live; live != 0; live &= live - 1 {
		p := Peer(bits.TrailingZeros64(live))
		n := &m.n[p]
		if n.banned || n.room == 0 || n.stated == 0 || int64(now)-n.heard > stateLife {
			continue
		}
		away := int64(math.Hypot(float64(n.owd()), float64(rtt/2))) + sooner
		gains := int64(0)
		for s := range m.cfg.Stripes {
			if n.shows(s) && n.age[s] > 0 {
				gains += max(int64(ages[s])-int64(n.relay[s])*1e3-away, 0)
			}
		}
		if gains > 0 {
			offers = append(offers, offer{p, gains})
		}
	}
	slices.SortFunc(offers, func(a, b offer) int { return cmp.Compare(b.gains, a.gains) })
	peers := make([]Peer, len(offers))
	for i, o := range offers {
		peers[i] = o.p
	}
	return peers
}
