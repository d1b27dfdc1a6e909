package mesh

import (
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestLeavingKeepsTheNearAndSomeAtRandom(t *testing.T) {
	var all []acquaintance
	for i := range 40 {
		all = append(all, acquaintance{
			id: peer.ID(rune('a' + i)), rtt: time.Duration(i+1) * time.Millisecond, random: uint64(i*7919) % 40,
			inUse: i == 39,
		})
	}
	all[38].rtt = 0 // not measured
	newcomer := acquaintance{id: "newcomer", rtt: time.Second, random: 41, fresh: true}
	if with := leaving(append(slices.Clone(all), newcomer), 30); slices.Contains(with, newcomer.id) || len(with) != len(all)-30 {
		t.Errorf("with one that has just come, %v leave", with)
	}
	gone := leaving(all, 30)
	if len(gone) != 10 {
		t.Fatalf("%d leave", len(gone))
	}
	for _, a := range all {
		left := slices.Contains(gone, a.id)
		if left && (a.inUse || a.rtt == 0 || a.random < keptAtRandom) {
			t.Errorf("%+v was let go", a)
		}
		if left && a.rtt < 15*time.Millisecond {
			t.Errorf("a near one was let go: %+v", a)
		}
	}
	if len(leaving(all[:30], 30)) != 0 {
		t.Error("someone leaves although nobody has to")
	}
}
