package gossip

import "time"

// control handles an RPC's control part.
func (r *Router) control(l *link, rpc *RPC) {
	out := &RPC{control: true}
	out.IWant = r.handleIHave(l, rpc.IHave)
	out.Publish = r.handleIWant(l, rpc.IWant)
	out.Prune = rpc.Graft && !r.handleGraft(l)
	if rpc.Prune {
		l.mesh = false
		r.backOff(l)
	}
	r.handleIDontWant(l, rpc.IDontWant)
	if len(out.IWant) > 0 || len(out.Publish) > 0 || out.Prune {
		r.send(l, out, false)
	}
}

// handleIHave returns what to ask for of what a neighbour has.
func (r *Router) handleIHave(l *link, ids []ID) []ID {
	l.haves++ // of any control part, as the library counts
	if l.haves > r.p.MaxIHaveMessages || l.asked >= r.p.MaxIHaveLength {
		return nil
	}
	var want []ID
	for i, id := range ids {
		if i >= r.p.MaxIHaveLength {
			break
		}
		if _, seen := r.seen[id]; !seen {
			want = append(want, id)
		}
	}
	r.shuffle(want)
	want = want[:min(len(want), r.p.MaxIHaveLength-l.asked)]
	l.asked += len(want)
	r.stats.Asked += uint64(len(want))
	return want
}

// handleIWant returns the messages that a neighbour asks for.
func (r *Router) handleIWant(l *link, ids []ID) []Message {
	var out []Message
	for _, id := range ids {
		if _, unwanted := l.unwanted[id]; unwanted {
			continue
		}
		m, times := r.cache.get(id, l.peer)
		if m == nil || times > r.p.GossipRetransmission {
			continue
		}
		answer := m.Message
		answer.Hops++
		answer.Answer = true
		out = append(out, answer)
	}
	r.stats.Answered += uint64(len(out))
	return out
}

// handleGraft takes a neighbour into the mesh, or reports that it is to be pruned.
func (r *Router) handleGraft(l *link) bool {
	if l.mesh {
		return true
	}
	if until, ok := r.backoff[l.peer]; ok && r.now < until {
		r.backOff(l)
		return false
	}
	if r.degree() >= r.p.Dhi && !l.outbound {
		r.backOff(l)
		return false
	}
	l.mesh = true
	return true
}

// handleIDontWant remembers what a neighbour need not be sent.
func (r *Router) handleIDontWant(l *link, ids []ID) {
	if len(ids) == 0 || l.dontwants >= r.p.MaxIDontWantMessages {
		return
	}
	l.dontwants++
	if l.unwanted == nil {
		l.unwanted = map[ID]int{}
	}
	for _, id := range ids[:min(len(ids), r.p.MaxIDontWantLength)] {
		l.unwanted[id] = r.p.IDontWantMessageTTL
	}
}

// degree returns the number of neighbours in the mesh.
func (r *Router) degree() int {
	n := 0
	for _, l := range r.links {
		if l.mesh {
			n++
		}
	}
	return n
}

// backOff keeps a neighbour out of the mesh for a while.
func (r *Router) backOff(l *link) {
	r.backoff[l.peer] = max(r.backoff[l.peer], r.now+r.p.PruneBackoff)
}

// slack is for how long a backoff is kept beyond its end, and sweep the heartbeats between looks for such.
const (
	slack = 2 * time.Second
	sweep = 15
)
