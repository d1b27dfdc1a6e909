package gossip

import "time"

// Heartbeat is to be called every HeartbeatInterval, and HeartbeatInitialDelay after the start: it looks after the mesh,
// advertises, and lets the message cache move on.
func (r *Router) Heartbeat(now time.Duration) []Action {
	r.begin(now)
	r.beats++
	if r.beats%sweep == 0 {
		for p, until := range r.backoff {
			if until+slack < now {
				delete(r.backoff, p)
			}
		}
	}
	for _, l := range r.links {
		l.haves, l.asked, l.dontwants = 0, 0, 0
		for id, ttl := range l.unwanted {
			if l.unwanted[id] = ttl - 1; ttl <= 1 {
				delete(l.unwanted, id)
			}
		}
	}
	grafted, pruned := r.tend()
	r.advertise()
	for _, l := range grafted {
		r.send(l, &RPC{Graft: true, control: true}, false)
	}
	for _, l := range pruned {
		r.send(l, &RPC{Prune: true, control: true}, false)
	}
	for _, l := range r.links { // what went with none of these
		if len(l.gossip) > 0 {
			out := &RPC{IHave: l.gossip, control: true}
			l.gossip = nil
			r.send(l, out, false)
		}
	}
	for _, l := range r.links {
		if l.graft || l.prune {
			out := &RPC{Graft: l.graft, Prune: l.prune, control: true}
			l.graft, l.prune = false, false
			r.push(l, out, false)
		}
	}
	r.cache.shift()
	return r.acts
}

// tend brings the mesh back to its size. Those grafted and those pruned are to be told.
func (r *Router) tend() (grafted, pruned []*link) {
	graft := func(need int, outbound bool) {
		for _, l := range r.candidates(need, outbound) {
			l.mesh = true
			grafted = append(grafted, l)
		}
	}
	if n := r.degree(); n < r.p.Dlo {
		graft(r.p.D-n, false)
	}
	if r.degree() >= r.p.Dhi {
		for _, l := range r.excess() {
			l.mesh = false
			r.backOff(l)
			pruned = append(pruned, l)
		}
	}
	if r.degree() >= r.p.Dlo {
		if n := r.outbound(); n < r.p.Dout {
			graft(r.p.Dout-n, true)
		}
	}
	return grafted, pruned
}

// candidates returns some neighbours that could be grafted.
func (r *Router) candidates(most int, outbound bool) []*link {
	r.scratch = r.scratch[:0]
	for _, l := range r.links {
		_, away := r.backoff[l.peer] // until it is swept
		if l.subscribed && !l.mesh && !away && (l.outbound || !outbound) {
			r.scratch = append(r.scratch, l)
		}
	}
	r.mix(r.scratch)
	return r.scratch[:min(most, len(r.scratch))]
}

// excess returns who is to leave a mesh that is too large: without scores, all but D at random, of whom Dout should be
// outbound.
func (r *Router) excess() []*link {
	var mesh []*link
	for _, l := range r.links {
		if l.mesh {
			mesh = append(mesh, l)
		}
	}
	r.mix(mesh)
	outbound := 0
	for _, l := range mesh[:r.p.D] {
		if l.outbound {
			outbound++
		}
	}
	last := r.p.D - 1 // of those who stay, from the end, inbound ones give way
	for i := r.p.D; i < len(mesh) && outbound < r.p.Dout; i++ {
		if !mesh[i].outbound {
			continue
		}
		for mesh[last].outbound {
			last--
		}
		mesh[i], mesh[last] = mesh[last], mesh[i]
		outbound++
	}
	return mesh[r.p.D:]
}

// outbound returns how many neighbours in the mesh we dialled.
func (r *Router) outbound() int {
	n := 0
	for _, l := range r.links {
		if l.mesh && l.outbound {
			n++
		}
	}
	return n
}

// advertise lines up IHAVE for some of the neighbours outside of the mesh.
func (r *Router) advertise() {
	ids := r.cache.advertised()
	if len(ids) == 0 {
		return
	}
	r.scratch = r.scratch[:0]
	for _, l := range r.links {
		if l.subscribed && !l.mesh {
			r.scratch = append(r.scratch, l)
		}
	}
	most := max(r.p.Dlazy, int(r.p.GossipFactor*float64(len(r.scratch))))
	if most < len(r.scratch) {
		r.mix(r.scratch)
		r.scratch = r.scratch[:most]
	}
	r.shuffle(ids)
	for _, l := range r.scratch {
		l.gossip = ids[:min(len(ids), r.p.MaxIHaveLength)]
	}
}

func (r *Router) mix(links []*link) {
	r.rng.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
}
