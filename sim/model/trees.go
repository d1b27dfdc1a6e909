package model

import (
	"murmuration/mesh/episub"
	"murmuration/sim"
)

// trees is what the machines counted of their trees.
type trees struct {
	before []episub.Stats // when the measurement began
	after  []episub.Stats // when it ended or they left
}

// count notes a message that a node sends.
func (w *world) count(now int64, id int32, m *message) {
	if !w.counts(now) {
		return
	}
	if m.control {
		w.pages[id].control++
	} else if m.index >= 0 {
		w.pages[id].sent += int64(m.size)
	}
}

// retire notes the counts of a machine that leaves.
func (w *world) retire(now int64, id int32) {
	if now < w.to {
		w.after[id] = w.nodes[id].machine.Stats()
	}
}

// snapshot notes the counts of all machines when the measurement begins and when it ends.
func (w *world) snapshot(into []episub.Stats) {
	for _, id := range w.online {
		into[id] = w.nodes[id].machine.Stats()
	}
}

// stop ends the measurement of a run that was stopped.
func (w *world) stop() {
	now := w.now * w.span
	if now >= w.to {
		return
	}
	if now < w.from {
		w.snapshot(w.before)
	}
	w.curtail(now)
	w.snapshot(w.after)
	w.feeds = w.edges()
}

// result sums up, with what the trees cost.
func (w *world) result() sim.Result {
	r := w.book.result(murmuration)
	var t episub.Stats
	present := 0.0 // seconds of peers
	for id := 1; id < len(w.nodes); id++ {
		here := w.here(id)
		if here <= 0 {
			continue
		}
		present += here
		s, b := &w.after[id], &w.before[id]
		t.Fragments += s.Fragments - b.Fragments
		t.Duplicates += s.Duplicates - b.Duplicates
		t.Repaired += s.Repaired - b.Repaired
		t.Changes += s.Changes - b.Changes
		t.Lost += s.Lost - b.Lost
	}
	r.Repair = ratio(float64(t.Repaired), float64(t.Fragments))
	r.Duplicate = ratio(float64(t.Duplicates), float64(t.Fragments))
	r.Changes, r.FeedsLost = ratio(float64(t.Changes)*60, present), ratio(float64(t.Lost)*60, present)
	return r
}
