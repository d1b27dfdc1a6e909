package sim

import (
	"fmt"
	"strings"
	"time"
)

// Ways are the ways that lanes take from the origin to peers, in delays on the links alone.
type Ways struct {
	peers, lanes            int
	direct, all, worst, hop float64 // sums: in milliseconds, but hop in hops
	byHop                   []float64
	counts                  []int
}

// maxWay is how many hops a way has at most; a longer one is a loop that is being broken.
const maxWay = 32

// Add takes in the ways of one peer's lanes. parent returns the node that pushes a lane to a node, or -1 where nobody does
// now: such lanes do not count.
func (w *Ways) Add(p *Plan, peer, lanes int, parent func(node, lane int) int) {
	worst := 0.0
	for lane := range lanes {
		var hops []float64
		at, sum := peer, 0.0
		for at != 0 && len(hops) < maxWay {
			up := parent(at, lane)
			if up < 0 {
				break
			}
			d := ms(p.Delay(up, at))
			hops, sum, at = append(hops, d), sum+d, up
		}
		if at != 0 {
			continue
		}
		w.lanes++
		w.all, w.hop, worst = w.all+sum, w.hop+float64(len(hops)), max(worst, sum)
		for i, d := range hops { // the last is the origin's
			w.at(len(hops)-1-i, d)
		}
	}
	w.peers++
	w.direct, w.worst = w.direct+ms(p.Delay(0, peer)), w.worst+worst
}

func (w *Ways) at(hop int, d float64) {
	for len(w.byHop) <= hop {
		w.byHop, w.counts = append(w.byHop, 0), append(w.counts, 0)
	}
	w.byHop[hop] += d
	w.counts[hop]++
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// String gives the means.
func (w Ways) String() string {
	peers, lanes := float64(max(w.peers, 1)), float64(max(w.lanes, 1))
	var hops strings.Builder
	for i, sum := range w.byHop {
		fmt.Fprintf(&hops, " %.0f", sum/float64(w.counts[i]))
	}
	return fmt.Sprintf("one way: direct %.0f ms, a lane %.0f, a peer's slowest lane %.0f; %.2f hops a lane, of%s ms (%d lanes of %d peers)",
		w.direct/peers, w.all/lanes, w.worst/peers, w.hop/lanes, hops.String(), w.lanes, w.peers)
}
