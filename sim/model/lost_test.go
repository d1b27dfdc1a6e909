package model

import (
	"testing"
	"time"

	"murmuration/sim"
)

func TestLostPeers(t *testing.T) {
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
	for len(w.queue.heap) > 0 {
		e := w.queue.pop()
		if e.at > w.to-int64(time.Second) {
			break
		}
		if e.kind == evSecond {
			continue
		}
		w.handle(&e)
	}
	shown := 0
	for id := 1; id < len(w.nodes); id++ {
		n := &w.nodes[id]
		if n.mute || n.bad {
			continue
		}
		lost := 0
		for q := w.first; q < w.last-16; q++ {
			if w.due(id, q) && (w.latency[id] == nil || w.latency[id][q] == 0 || w.latency[id][q] > 2e6) {
				lost++
			}
		}
		if lost == 0 || shown > 12 {
			continue
		}
		shown++
		fed := ""
		for k := 0; k < 17; k++ {
			p, ok := n.machine.Parent(k)
			if ok {
				fed += "F"
			} else if p >= 0 {
				fed += "p"
			} else {
				fed += "."
			}
		}
		t.Log(n.machine.Debug(w.to-1e9))
		t.Logf("node %d class %s up %.1fM join %.1f leave %.1f lost %d neighbours %d opened %d fed %s start %.1f stats %+v", id, plan.Nodes[id].Class.Name, plan.Nodes[id].Up/1e6, float64(n.join)/1e9, float64(n.leave)/1e9, lost, len(n.conns), n.opened, fed, float64(w.start[id])/1e9, n.machine.Stats())
	}
}
