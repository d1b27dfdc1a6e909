package mesh

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/marcopolo/simnet"
)

// TestNearOnesAreFound: of many nodes on a ring, who each know some anywhere on it, most soon have the nearest of all among
// few neighbours.
func TestNearOnesAreFound(t *testing.T) {
	const nodes, around = 60, 2
	place := map[string]int{}
	for i := range nodes {
		place[simnet.IntToPublicIPv4(i+1).String()] = i
	}
	at := func(a net.Addr) int { return place[a.(*net.UDPAddr).IP.String()] }
	apart := func(i, j int) int { return min((i-j+nodes)%nodes, (j-i+nodes)%nodes) }
	latency := func(p *simnet.Packet) time.Duration {
		return time.Duration(2+2*apart(at(p.From), at(p.To))) * time.Millisecond
	}
	atDistances(t, latency, func(t *testing.T, w *internet) {
		var all []*Node
		for i := range nodes {
			n := w.node(Config{}, 100, 100)
			n.preset.neighbours, n.preset.neighboursMost = 12, 16
			mustFollow(t, n)
			for _, k := range []int{7, 23} {
				if i > 0 {
					w.connect(n, all[(i*k+k)%i])
				}
			}
			all = append(all, n)
		}
		time.Sleep(12 * time.Second)
		missing := 0
		for i, n := range all {
			for j := range nodes {
				if d := apart(i, j); d > 0 && d <= around && !slices.Contains(n.host.Network().Peers(), all[j].ID()) {
					missing++
				}
			}
		}
		t.Logf("%d of %d are missing", missing, 2*around*nodes)
		if missing > 2*around*nodes/6 { // one in twenty usually; nearly a quarter where the first look is after 10 s
			t.Errorf("of the %d nearest of each node, more than a sixth are not its neighbours", 2*around)
		}
	})
}

func TestSearchPauses(t *testing.T) {
	var s search
	at := func(rtt time.Duration) []acquaintance { return slices.Repeat([]acquaintance{{rtt: rtt}}, 2*exploreFew) }
	near := 100 * time.Millisecond
	for i := range 8 { // as long as it brings something it goes on
		if p := s.next(at(near)); p > exploreSoon {
			t.Errorf("after %d finds it pauses for %v", i, p)
		}
		near -= near / 15
	}
	near = s.nearest
	for want := 2 * exploreSoon; want < 4*exploreEvery; want *= 2 {
		if p := s.next(at(near)); p > min(want, exploreEvery) || p < min(want, exploreEvery)*3/4 {
			t.Errorf("it pauses for %v, not some %v", p, min(want, exploreEvery))
		}
	}
	for want := exploreEvery / 2; want > exploreSoon/2; want /= 2 {
		near /= 2
		if p := s.next(at(near)); p > max(want, exploreSoon) || p < max(want, exploreSoon)*3/4 {
			t.Errorf("after another find it pauses for %v, not some %v", p, want)
		}
	}
	var blind search // where no round trip is known
	for range 4 {
		blind.next(nil)
	}
	if p := blind.next(nil); p < exploreEvery*3/4 {
		t.Errorf("of nobody it learns to pause for %v", p)
	}
}

func TestNobodyIsTriedTwice(t *testing.T) {
	var s search
	now := time.Unix(0, 0)
	p := func(i int) peer.ID { return peer.ID(fmt.Sprint(i)) }
	if !s.fresh(now, p(0)) || s.fresh(now.Add(triedFor-1), p(0)) || !s.fresh(now.Add(triedFor), p(0)) {
		t.Errorf("a peer is not tried once in %v", triedFor)
	}
	for i := range 3 * heardOfMax {
		s.fresh(now, p(i))
	}
	if len(s.tried) > heardOfMax {
		t.Errorf("%d peers are kept in mind", len(s.tried))
	}
}
