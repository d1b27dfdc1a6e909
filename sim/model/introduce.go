package model

import "slices"

// How peers ask for neighbours through whom their stripes come sooner, as real nodes do (mesh/introduce.go).
const (
	namesAsked  = 4
	namesTried  = 2
	askPause    = int64(1e9)
	askPauseMax = int64(10e9)
)

// inquiry is how a node's search goes.
type inquiry struct {
	at, pause int64 // not before; until the next
	tried     map[int32]bool
}

// inquire asks any neighbour of a node for those of its neighbours through whom the node's stripes should come sooner, and opens
// connections to the first that it has not tried.
func (w *world) inquire(now int64, id int32) {
	n := &w.nodes[id]
	q := &n.inquiry
	if id == 0 || now < q.at || len(n.conns) == 0 {
		return
	}
	p := w.across(n.conns[w.rng.IntN(len(n.conns))], id)
	other := &w.nodes[p]
	if !other.online {
		return
	}
	q.pause = min(2*max(q.pause, askPause/2), askPauseMax)
	ages := n.machine.Ages()
	names := other.machine.Sooner(dur(now), 2*w.plan.Delay(int(p), int(id)), &ages)
	tried := 0
	for _, slot := range names[:min(len(names), namesAsked)] {
		if tried == namesTried {
			break
		}
		c := other.slotConn(w, slot)
		if c < 0 {
			continue
		}
		named := w.across(c, p)
		if named == id || q.tried[named] || w.nodes[named].nat || w.knows(id, named) {
			continue
		}
		if q.tried == nil {
			q.tried = map[int32]bool{}
		}
		q.tried[named] = true
		w.lighten(now, id, w.plan.Mesh.Kept)
		w.lighten(now, named, w.most(named))
		w.connect(now, id, named)
		tried++
	}
	if tried > 0 {
		q.pause = max(q.pause/4, askPause)
	}
	q.at = now + q.pause - w.rng.Int64N(q.pause/4)
}

// across returns the node at the other end of a connection.
func (w *world) across(c, id int32) int32 { return w.conns[c].ends[1-w.side(c, id)].node }

// knows reports whether a connection between two nodes is open, or being opened.
func (w *world) knows(a, b int32) bool {
	return slices.ContainsFunc(w.nodes[a].conns, func(c int32) bool { return w.across(c, a) == b })
}

// lighten lets the farthest neighbour go over whom nothing flows, where a node has as many as given.
func (w *world) lighten(now int64, id int32, most int) {
	n := &w.nodes[id]
	if len(n.conns) < most {
		return
	}
	farthest, away := int32(-1), int64(-1)
	for _, c := range n.conns {
		x := &w.conns[c]
		if x.open && x.owd > away && w.across(c, id) != 0 && w.idle(x) {
			farthest, away = c, x.owd
		}
	}
	if farthest >= 0 {
		w.hangUp(now, farthest, w.side(farthest, id))
	}
}

// idle reports whether nothing flows over an established connection.
func (w *world) idle(c *conn) bool {
	for _, e := range c.ends {
		n := &w.nodes[e.node]
		if e.slot < 0 || !n.online {
			return false
		}
		if from, to := n.machine.Carries(e.slot); from|to != 0 {
			return false
		}
	}
	return true
}
