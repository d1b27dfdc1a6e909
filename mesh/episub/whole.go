package episub

import "time"

// Whole takes in a chunk, verified by the host, that came complete by a way beside this protocol: as one ordinary
// message of a peer without it, or from a log. Nothing more of it is requested, and children get what they lack.
func (m *Machine) Whole(now time.Duration, d Chunk) []Action {
	m.begin()
	t := int64(now)
	if m.cfg.Origin || !d.valid() || m.started && d.ID.Epoch < m.epoch {
		return m.out
	}
	if d.ID.Epoch > m.epoch || !m.started && d.ID.Epoch != m.epoch {
		m.restart(d.ID.Epoch)
	}
	c := m.open(d.ID.Seq)
	if c == nil || c.done {
		return m.out
	}
	if !c.known {
		m.describe(c, d)
		if m.based == 0 {
			m.clock(c, t)
		}
	}
	m.start(d.ID.Seq)
	for k := len(m.requests) - 1; k >= 0; k-- {
		if k < len(m.requests) && m.requests[k].seq == c.ID.Seq {
			m.strike(k, true, m.requests[k].set)
		}
	}
	c.have, c.done, c.given = fill(c.Fragments), true, true
	m.completed(c)
	m.forwardEnvelope(t, c, nobody)
	age := t - m.published(c)
	for i := range c.Fragments {
		for _, k := range m.lane[m.laneOf(i)].order {
			m.push(t, c, i, k, age, c.maxHops)
		}
	}
	return m.end(t)
}

// idle takes note that chunk c, whose envelope has come, has no fragment in the lanes past its last one: small chunks
// have fewer fragments than there are stripes. What was promised there counts as delivered, or the honest parents of
// a quiet track would all be taken for mute.
func (m *Machine) idle(now int64, c *chunk) {
	for s := c.Fragments; s < m.cfg.Stripes; s++ {
		l := &m.lane[s]
		if l.next != nobody && l.granted {
			m.adopt(now, s, l.next)
		}
		if l.parent == nobody || c.ID.Seq <= l.fedSeq {
			continue
		}
		if !l.fed {
			l.fed, l.fails = true, 0
			m.stale(s)
		}
		l.fedSeq, l.late = c.ID.Seq, 0
		if l.age.n == 0 {
			l.age.add(max(now-m.published(c), 0))
			l.bound = l.age.mid
		}
	}
}

// Carries returns the lanes, as masks, that p pushes to us or was asked to, and that we push to p.
func (m *Machine) Carries(p Peer) (from, to uint32) {
	if !m.up(p) {
		return 0, 0
	}
	return m.n[p].feeds, m.n[p].kidOf
}
