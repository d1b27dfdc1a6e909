package mesh

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/marcopolo/simnet"

	"murmuration/mesh/episub"
)

// TestSoonerOnesAreFound: a node hangs far behind a far neighbour, whose own stripes come from one that is near to both the
// origin and the node. Asked, the neighbour names that one, and the stripes come straight from it.
func TestSoonerOnesAreFound(t *testing.T) {
	const origin, hub, far, node = 1, 2, 3, 4
	apart := map[[2]int]time.Duration{ // in milliseconds
		{origin, hub}: 10, {hub, far}: 100, {far, node}: 150, {hub, node}: 60, {origin, far}: 110, {origin, node}: 70,
	}
	place := map[string]int{}
	for i := origin; i <= node; i++ {
		place[simnet.IntToPublicIPv4(i).String()] = i
	}
	at := func(a net.Addr) int { return place[a.(*net.UDPAddr).IP.String()] }
	latency := func(p *simnet.Packet) time.Duration {
		a, b := at(p.From), at(p.To)
		return apart[[2]int{min(a, b), max(a, b)}] * time.Millisecond
	}
	atDistances(t, latency, func(t *testing.T, w *internet) {
		var nodes []*Node
		var tracks []*Track
		for i := range 4 {
			cfg, join := Config{}, JoinConfig{}
			if i == 0 {
				cfg.Role, join.Publish = Origin, true
			}
			n := w.node(cfg, 100, 100)
			n.preset.neighbours, n.preset.neighboursMost = 1, 0 // each is content, and searches only when told to
			mustFollow(t, n)
			nodes, tracks = append(nodes, n), append(tracks, mustJoin(t, n, join))
			if i > 0 {
				w.connect(n, nodes[i-1])
			}
		}
		time.Sleep(2 * time.Second)
		s := newStream(time.Now())
		s.size = 94_000
		publish(t.Context(), t, tracks[0], s, 20)
		last := tracks[3]
		before := last.Status()
		if before.Stripes[0].Parent != nodes[2].ID() || before.Stripes[0].Age < 200*time.Millisecond {
			t.Fatalf("stripes come from %v at %v before anything is asked", before.Stripes[0].Parent, before.Stripes[0].Age)
		}
		f := nodes[3].feed(testTrack.Channel)
		var turns search
		seek := func() time.Duration {
			nodes[3].preset.neighboursMost = 30
			defer func() { nodes[3].preset.neighboursMost = 0 }()
			return f.seekSooner(&turns)
		}
		if pause := seek(); pause > exploreSoon {
			t.Errorf("after a find it pauses for %v", pause)
		}
		publish(t.Context(), t, tracks[0], s, 40)
		known := nodes[3].host.Network().Peers()
		if !slices.Contains(known, nodes[1].ID()) || slices.Contains(known, nodes[0].ID()) {
			t.Fatalf("it knows %v; it should have been told of %v, and not of the origin, %v", known, nodes[1].ID(), nodes[0].ID())
		}
		straight := 0
		for _, stripe := range last.Status().Stripes {
			if stripe.Parent == nodes[1].ID() && stripe.Age < before.Stripes[0].Age {
				straight++
			}
		}
		if straight < 6 { // usually 12 to 14: more would be paced on that one connection for as long as they take from afar
			t.Errorf("of the stripes, %d come straight from there: %+v", straight, last.Status().Stripes)
		}
		if pause := seek(); pause < exploreSoon {
			t.Errorf("when nobody is sooner it pauses for %v", pause)
		}
		if n := len(nodes[3].host.Network().Peers()); n != 2 {
			t.Errorf("it has %d neighbours", n)
		}
		// Who is no neighbour on the track learns nothing of it.
		req := channelRequest{Channel: testTrack.Channel, Peers: 4, Track: trackMark(last.driver.topic), Ages: last.driver.machine.Ages()}
		for i := range req.Ages {
			req.Ages[i] = time.Second
		}
		if got := nodes[2].sooner(req, peer.ID("stranger")); len(got) != 0 {
			t.Errorf("a stranger is told of %v", got)
		}
		if got := nodes[2].sooner(req, nodes[3].ID()); len(got) == 0 {
			t.Error("a neighbour is told of nobody")
		}
		req.Track++
		if got := nodes[2].sooner(req, nodes[3].ID()); len(got) != 0 {
			t.Errorf("of a track that is not there, %v are named", got)
		}
		var none episub.Ages
		req.Track, req.Ages = trackMark(last.driver.topic), none
		if got := nodes[2].sooner(req, nodes[3].ID()); len(got) != 0 {
			t.Errorf("to who has everything at once, %v are named", got)
		}
	})
}
