package stack

// snapshot notes what all nodes have counted when the measurement begins or ends.
func (r *run) snapshot(end bool) {
	for i := range r.plan.Nodes {
		r.count(i, end)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if end {
		r.closed = true
	} else {
		r.opened = true
	}
}

// count notes what a node has counted. What it counted before the measurement, and after it, does not count.
func (r *run) count(node int, end bool) {
	r.mu.Lock()
	who, counting := r.present[node], !end || r.opened && !r.closed
	r.mu.Unlock()
	e := r.net.ends[node].Load()
	if who == nil || e == nil || !counting {
		return
	}
	c := counts{tally: who.tally(), wire: e.received(), packets: e.packets.Load(), by: make([]int64, len(e.from))}
	for i := range e.from {
		c.by[i] = e.from[i].Load()
	}
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	page := &r.ledger.nodes[node]
	if page.after = c; !end {
		page.before = c
	}
}
