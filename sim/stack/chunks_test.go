package stack

import (
	"testing"
	"time"

	"murmuration/sim"
)

// TestEveryStripeHasItsShare: chunks of any size are cut as an origin cuts them, so that each of the sixteen stripes carries
// some of nearly all. A stripe that carried independent chunks only would be a tree that nobody tends.
func TestEveryStripeHasItsShare(t *testing.T) {
	s := parse(t, hall)
	p, err := sim.NewPlan(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := newReel(p, time.Unix(1e9, 0))
	chunks := 4 * s.Track.Group
	var carries [16]int // chunks by stripe
	for seq := range chunks {
		c, err := r.next(seq)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Fragments) == 0 || len(c.Block) != p.Chunks[seq] {
			t.Errorf("chunk %d: %d bytes in %d fragments", seq, len(c.Block), len(c.Fragments))
		}
		for i := range min(len(c.Fragments), len(carries)) {
			carries[i]++
		}
	}
	for stripe, n := range carries {
		if n < chunks*2/3 {
			t.Errorf("stripe %d carries some of %d of %d chunks", stripe, n, chunks)
		}
	}
}
