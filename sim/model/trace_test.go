package model

import (
	"fmt"
	"testing"
	"time"

	"murmuration/sim"
)

func TestTrace(t *testing.T) {
	if *flagScenario == "" {
		t.Skip()
	}
	s, _ := sim.Load(*flagScenario)
	s.Duration = *flagFor
	if *flagPeers > 0 {
		s.Peers = *flagPeers
	}
	plan, _ := sim.NewPlan(s, *flagSeed)
	w := newWorld(plan)
	next := int64(1e9)
	for len(w.queue.heap) > 0 {
		e := w.queue.pop()
		if e.at > w.end {
			break
		}
		if e.kind == evSecond {
			continue
		}
		w.handle(&e)
		if e.at > next {
			next += int64(time.Second)
			fed, n, tot := 0, 0, 0
			var sum struct{ asked, refused, lost, chg, req, rep, dup, shed, pre, frames uint64 }
			for i := 1; i < len(w.nodes); i++ {
				m := w.nodes[i].machine
				if m == nil {
					continue
				}
				n++
				for k := 0; k < 17; k++ {
					tot++
					if _, ok := m.Parent(k); ok {
						fed++
					}
				}
				x := m.Stats()
				sum.asked += x.Asked
				sum.refused += x.Refused
				sum.lost += x.Lost
				sum.chg += x.Changes
				sum.req += x.Requested
				sum.rep += x.Repaired
				sum.dup += x.Duplicates
				sum.shed += x.Shed
				sum.pre += x.Preempted
				sum.frames += x.Frames
			}
			inner, kids, top := 0, 0, 0
			var hist [20]int
			var capk, capn [4]int
			for i := 1; i < len(w.nodes); i++ {
				m := w.nodes[i].machine
				if m == nil {
					continue
				}
				in := 0
				q := 0
				for _, lim := range []float64{5e6, 15e6, 40e6} {
					if w.plan.Nodes[i].Up > lim {
						q++
					}
				}
				capn[q]++
				for k := 0; k < 16; k++ {
					if c := m.Children(k); c > 0 {
						in++
						kids += c
						capk[q] += c
						top = max(top, c)
					}
				}
				inner += in
				hist[in]++
			}
			t.Logf("   inner lanes/node %.1f fanout %.2f top %d hist %v kids by capacity %v of %v", float64(inner)/float64(n), float64(kids)/float64(inner), top, hist, capk, capn)
			o := w.nodes[0].machine
			oc := ""
			for k := 0; k < 17; k++ {
				oc += fmt.Sprint(o.Children(k), " ")
			}
			t.Logf("%ds peers %d fed %d/%d %+v origin %s", e.at/1e9, n, fed, tot, sum, oc)
		}
	}
}
