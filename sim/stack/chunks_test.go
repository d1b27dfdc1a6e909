package stack

import (
	"testing"
	"time"

	"murmuration/sim"
)

// TestEveryStripeHasItsShare: chunks of any size are cut as an origin cuts them, into the same number of fragments for each
// of the sixteen stripes. A stripe that carried independent chunks only would be a tree that nobody tends.
func TestEveryStripeHasItsShare(t *testing.T) {
	s := parse(t, hall)
	p, err := sim.NewPlan(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := newReel(p, time.Unix(1e9, 0))
	for seq := range 2 * s.Track.Group {
		c, err := r.next(seq)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Fragments) == 0 || len(c.Fragments)%16 != 0 || len(c.Block) != p.Chunks[seq] {
			t.Errorf("chunk %d: %d bytes in %d fragments", seq, len(c.Block), len(c.Fragments))
		}
	}
}
