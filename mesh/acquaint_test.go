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
