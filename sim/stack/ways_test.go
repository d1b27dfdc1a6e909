package stack

import (
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/mesh/episub"
	"murmuration/sim"
)

// ways looks at which ways the lanes take now.
func (r *run) ways() sim.Ways {
	r.mu.Lock()
	defer r.mu.Unlock()
	parents := map[int][]int{}
	for node, who := range r.present {
		m, ok := who.(*meshPeer)
		if !ok {
			continue
		}
		of := make([]int, episub.MaxStripes)
		for lane, s := range m.track.Status().Stripes {
			of[lane] = -1
			if s.Fed && s.Parent != peer.ID("") {
				if up, known := r.ids[s.Parent]; known {
					of[lane] = up
				}
			}
		}
		parents[node] = of
	}
	var w sim.Ways
	for node := range parents {
		if node != 0 {
			w.Add(r.plan, node, episub.MaxStripes, func(n, lane int) int {
				if of, ok := parents[n]; ok {
					return of[lane]
				}
				return -1
			})
		}
	}
	return w
}
