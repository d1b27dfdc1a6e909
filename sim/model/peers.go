package model

import (
	"time"

	"murmuration/mesh/episub"
	"murmuration/sim"
)

// join brings a node online: it makes its machine and opens its first connections.
func (w *world) join(now int64, id int32) {
	n, x := &w.nodes[id], &w.plan.Nodes[id]
	believes := x.Up
	if x.Class.Claims > 0 {
		believes = float64(x.Class.Claims)
	}
	if x.Class.Behaviour == sim.Free {
		believes = 8e3
	}
	n.machine = episub.New(episub.Config{
		ID: uint64(id) + 1, Origin: id == 0, Seed: w.plan.Seed, Budget: believes / 8 * 0.95,
		Neighbours: w.most(id), Window: 24,
	}, w)
	for i := range n.slots {
		n.slots[i] = -1
	}
	n.online = true
	w.where[id] = int32(len(w.online))
	w.online = append(w.online, id)
	w.of(id).push(now+w.rng.Int64N(tick)+1, evTick, id, 0)
	if id != 0 {
		w.queue.push(now+int64(w.plan.Links.Connect), evTend, id, 0)
	} else {
		w.queue.push(now+2e9, evTend, id, 0)
	}
}

// leave takes a node offline. Its neighbours notice at once if it says goodbye, else when their connections time out.
func (w *world) leave(now int64, id int32) {
	n := &w.nodes[id]
	if !n.online {
		return
	}
	n.online = false
	last := w.online[len(w.online)-1]
	w.online[w.where[id]] = last
	w.where[last] = w.where[id]
	w.where[id] = -1
	w.online = w.online[:len(w.online)-1]
	for _, c := range append([]int32(nil), n.conns...) {
		other := 1 - w.side(c, id)
		w.conns[c].open = false
		at := now + int64(w.plan.Links.Detect)
		if w.plan.Nodes[id].Graceful {
			at = now + w.conns[c].owd
		}
		w.conns[c].ends[1-other].down = true
		w.queue.push(at, evUnlink, int32(w.conns[c].gen<<1)|int32(other), c)
	}
	n.conns = nil
	w.retire(now, id)
}

// hangUp closes a connection from one side.
func (w *world) hangUp(now int64, c int32, side uint8) {
	x := &w.conns[c]
	if !x.open {
		return
	}
	x.open = false
	w.drop(now, c, int(side))
	w.queue.push(now+x.owd, evUnlink, int32(x.gen<<1)|int32(1-side), c)
}

// unlink lets one side notice that a connection is gone.
func (w *world) unlink(now int64, c int32, side int) {
	w.drop(now, c, side)
	x := &w.conns[c]
	if x.ends[0].down && x.ends[1].down && !x.free {
		x.free = true
		x.gen++
		w.unused = append(w.unused, c)
	}
}

// drop takes a connection off one side's books.
func (w *world) drop(now int64, c int32, side int) {
	e := &w.conns[c].ends[side]
	if e.down {
		return
	}
	e.down = true
	n := &w.nodes[e.node]
	for i, k := range n.conns {
		if k == c {
			n.conns[i] = n.conns[len(n.conns)-1]
			n.conns = n.conns[:len(n.conns)-1]
			break
		}
	}
	if side == 0 {
		n.opened--
	}
	if e.slot >= 0 && n.online {
		n.slots[e.slot] = -1
		w.of(e.node).perform(now, e.node, n.machine.Down(dur(now), e.slot))
	}
}

// tend opens connections where a node has too few: the nearest of the peers it has discovered, and some at random.
func (w *world) tend(now int64, id int32) {
	n, mesh := &w.nodes[id], &w.plan.Mesh
	want := mesh.Near + mesh.Random
	if id == 0 {
		want = mesh.Origin
	}
	if len(n.conns) >= want && n.opened >= mesh.Near || len(n.conns) >= w.most(id) || len(w.online) < 2 {
		return
	}
	near, random := 0, 0
	missing := want - n.opened
	if n.opened > 0 {
		missing = min(missing, want-len(n.conns)+mesh.Near/2)
	}
	if id == 0 {
		missing = want - len(n.conns)
	}
	random = missing * mesh.Random / (mesh.Near + mesh.Random)
	near = missing - random
	for range random * 4 {
		if random == 0 {
			break
		}
		if w.connect(now, id, w.online[w.rng.IntN(len(w.online))]) {
			random--
		}
	}
	w.sample = w.sample[:0]
	for range min(mesh.Sample, 4*len(w.online)) {
		w.sample = append(w.sample, w.online[w.rng.IntN(len(w.online))])
	}
	for range near {
		best, least := int32(-1), time.Duration(1)<<62
		for _, o := range w.sample {
			if d := w.plan.Delay(int(id), int(o)); d < least && w.may(id, o) {
				best, least = o, d
			}
		}
		if best < 0 || !w.connect(now, id, best) {
			break
		}
	}
}

// most returns how many neighbours a node holds.
func (w *world) most(id int32) int {
	if id == 0 {
		return w.plan.Mesh.Origin + 8
	}
	return w.plan.Mesh.Most
}

// may reports whether a can open a connection to b.
func (w *world) may(a, b int32) bool {
	x, y := &w.nodes[a], &w.nodes[b]
	if a == b || !y.online || y.nat || len(y.conns) >= w.most(b) || len(x.conns) >= w.most(a) {
		return false
	}
	for i, cut := range w.plan.Cuts {
		if w.cuts[i] && cut.Inside[a] != cut.Inside[b] {
			return false
		}
	}
	return !w.knows(a, b)
}

// connect starts a handshake: one round trip for QUIC, one for the streams and the topic.
func (w *world) connect(now int64, a, b int32) bool {
	if !w.may(a, b) {
		return false
	}
	var id int32
	if n := len(w.unused); n > 0 {
		id = w.unused[n-1]
		w.unused = w.unused[:n-1]
	} else {
		w.conns = append(w.conns, conn{})
		id = int32(len(w.conns) - 1)
	}
	gen := w.conns[id].gen + 1
	w.conns[id] = conn{
		ends: [2]end{{node: a, slot: -1}, {node: b, slot: -1}}, gen: gen, open: true,
		owd:  int64(w.plan.Delay(int(a), int(b))),
		loss: max(w.plan.Nodes[a].Class.Loss, w.plan.Nodes[b].Class.Loss),
	}
	w.nodes[a].conns = append(w.nodes[a].conns, id)
	w.nodes[b].conns = append(w.nodes[b].conns, id)
	w.nodes[a].opened++
	w.queue.push(now+4*w.conns[id].owd, evLink, int32(gen), id)
	return true
}

// linked makes two nodes neighbours.
func (w *world) linked(now int64, id int32) {
	c := &w.conns[id]
	if !c.open || c.ends[0].slot >= 0 {
		return
	}
	for side := range c.ends {
		e := &c.ends[side]
		n := &w.nodes[e.node]
		slot, acts, ok := n.machine.Up(dur(now), uint64(c.ends[1-side].node)+1, dur(2*c.owd+int64(n.jitter)))
		if !ok {
			continue
		}
		e.slot = slot
		n.slots[slot] = id
		c = &w.conns[id]
		if w.reno {
			n.machine.SetLoss(c.loss) // most have the same on all links
		}
		w.of(e.node).perform(now, e.node, acts)
	}
}

// cut parts or heals a partition.
func (w *world) cut(i int, parted bool) {
	w.cuts[i] = parted
	w.parted--
	if parted {
		w.parted += 2
	}
	inside := w.plan.Cuts[i].Inside
	for k := range w.conns {
		if c := &w.conns[k]; !c.free && inside[c.ends[0].node] != inside[c.ends[1].node] {
			c.cut = parted
		}
	}
}
