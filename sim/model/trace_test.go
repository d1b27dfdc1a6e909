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
			o := w.nodes[0].machine
			oc := ""
			for k := 0; k < 17; k++ {
				oc += fmt.Sprint(o.Children(k), " ")
			}
			t.Logf("%ds peers %d fed %d/%d %+v origin %s", e.at/1e9, n, fed, tot, sum, oc)
		}
	}
}
