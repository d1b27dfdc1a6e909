package episub

import "time"

// Publish takes in a chunk that this peer, the origin, has just made, and sends it off: the envelope first, then every
// fragment to the first child of its lane, then every fragment to the second, and so on, so that all lanes are on
// their way before any child is served twice.
func (m *Machine) Publish(now time.Duration, d Chunk) []Action {
	m.begin()
	t := int64(now)
	if d.ID.Epoch > m.epoch {
		m.restart(d.ID.Epoch)
	}
	if !d.valid() || d.ID.Epoch != m.epoch || m.started && d.ID.Seq <= m.newest {
		return m.end(t)
	}
	c := m.openVerified(d.ID.Seq)
	m.describe(c, d)
	m.based = 0 // ours is the clock that all others follow
	m.clock(c, t)
	m.joined = true
	c.have, c.done, c.given = fill(d.Fragments), true, true
	m.completed(c)
	m.forwardEnvelope(t, c, nobody)
	var last [lanes]int64
	for rank, more := 0, true; more; rank++ {
		more = false
		for i := range d.Fragments {
			s := m.laneOf(i)
			if l := &m.lane[s]; rank < len(l.order) {
				more = true
				m.push(t, c, i, l.order[rank], 0, 0)
				last[s] = m.busy - t
			}
		}
	}
	for s := range m.cfg.Stripes {
		m.lane[s].wait.add(last[s])
	}
	return m.end(t)
}

// Envelope takes in the envelope of a chunk, whose signature the host has checked, that came from p.
func (m *Machine) Envelope(now time.Duration, p Peer, h Header, d Chunk) []Action {
	m.begin()
	t := int64(now)
	if !m.up(p) || m.n[p].banned || m.cfg.Origin || !d.valid() {
		return m.out
	}
	m.n[p].heard = t
	if d.ID.Epoch > m.epoch || !m.started && d.ID.Epoch != m.epoch {
		m.restart(d.ID.Epoch)
	}
	if d.ID.Epoch != m.epoch {
		return m.out
	}
	c := m.openVerified(d.ID.Seq)
	if c == nil || c.known {
		m.stats.Duplicates++
		if c != nil {
			m.arrived(t, c, p, EnvelopeIndex) // it was asked for, and another was faster
		}
		return m.out
	}
	age := h.Age + m.n[p].owd()
	m.describe(c, d)
	if !m.arrived(t, c, p, EnvelopeIndex) {
		if abs(t-age-m.published(c)) > jump {
			m.resume(d.ID.Seq)
		}
		m.clock(c, t-age)
		m.feed(t, m.envelopeLane(), p, d.ID.Seq, t-m.published(c))
	}
	m.start(d.ID.Seq)
	c.hops = h.Hops + 1
	m.forwardEnvelope(t, c, p)
	m.idle(t, c)
	m.release(t, c)
	if m.floor > 0 && m.floor <= c.ID.Seq && m.fetches(c) && !c.given { // not only at the next tick
		m.check(t, c, m.published(c))
	}
	return m.end(t)
}

// jump is by how much the origin's clock may be off the track's timeline before it counts as a pause, in nanoseconds.
const jump = 2e9

// release takes in the fragments of c that were held for its envelope.
func (m *Machine) release(now int64, c *chunk) {
	kept := m.held[:0]
	m.freed = m.freed[:0]
	for _, x := range m.held {
		switch {
		case x.epoch == c.ID.Epoch && x.seq == c.ID.Seq:
			m.freed = append(m.freed, x)
		case x.epoch == c.ID.Epoch && x.seq+uint64(len(m.ring)) > c.ID.Seq, x.epoch > c.ID.Epoch && now-x.at < int64(m.cfg.Deadline):
			kept = append(kept, x)
		}
	}
	clear(m.held[len(kept):])
	m.held = kept
	for _, x := range m.freed {
		if int(x.index) < c.Fragments && m.up(x.from) && !m.n[x.from].banned {
			m.accept(now, c, x.from, int(x.index), x.at-x.age, x.hops, x.data)
		}
	}
	clear(m.freed)
}

// Fragment takes in a fragment that came from p. data is opaque: it goes to the host's Keep, now or when the envelope
// is here.
func (m *Machine) Fragment(now time.Duration, p Peer, h Header, data []byte) []Action {
	m.begin()
	t := int64(now)
	if !m.up(p) || m.n[p].banned || m.cfg.Origin || h.Index < 0 || h.Index >= MaxFragments || h.ID.Epoch < m.epoch {
		return m.out
	}
	n := &m.n[p]
	n.heard = t
	age := max(h.Age, 0) + n.owd()
	if h.ID.Epoch > m.epoch {
		// The first chunk of a new epoch, on its way down the trees; its envelope has a tree of its own, and may be behind.
		// Who feeds us nothing has no reason to send it.
		if n.feeds != 0 && len(m.held) < maxHeld/2 {
			m.held = append(m.held, held{epoch: h.ID.Epoch, seq: h.ID.Seq, from: p, index: int16(h.Index), hops: h.Hops + 1, age: age, at: t, data: data})
		}
		return m.end(t)
	}
	c := m.open(h.ID.Seq)
	switch {
	case c == nil:
		m.stats.Duplicates++
	case c.known:
		if h.Index < c.Fragments {
			m.accept(t, c, p, h.Index, t-age, h.Hops+1, data)
		}
	case len(m.held) < maxHeld:
		m.held = append(m.held, held{epoch: m.epoch, seq: h.ID.Seq, from: p, index: int16(h.Index), hops: h.Hops + 1, age: age, at: t, data: data})
		if c.heldAt == 0 {
			c.heldAt = t
		}
	}
	return m.end(t)
}

// accept takes in fragment i of c, whose envelope is here, and forwards it. pub is when it was published by its account.
func (m *Machine) accept(now int64, c *chunk, p Peer, i int, pub int64, hops uint8, data []byte) {
	n, s := &m.n[p], m.laneOf(i)
	if c.have.has(i) {
		m.stats.Duplicates++
		if !m.arrived(now, c, p, i) && p == m.lane[s].next {
			m.beaten(now, s, c.ID.Seq)
		}
		m.unasked(now, s, p)
		return
	}
	if !m.host.Keep(c.ID, i, data) {
		m.stats.Bad++
		m.arrived(now, c, p, i)
		m.condemn(now, p, BadFragment)
		return
	}
	c.have.set(i)
	c.maxHops = max(c.maxHops, hops)
	m.stats.Fragments++
	n.useful++
	n.strikes = 0
	if m.arrived(now, c, p, i) {
		m.stats.Repaired++
	} else {
		if n.fetching > 0 {
			m.prolong(now, p)
		}
		m.clock(c, pub)
		m.feed(now, s, p, c.ID.Seq, now-m.published(c))
		m.unasked(now, s, p)
	}
	l, age := &m.lane[s], now-m.published(c)
	for _, k := range l.order {
		if k != p {
			m.push(now, c, i, k, age, hops)
		}
	}
	l.wait.add(max(m.busy-now, 0))
	l.relay.add(max(m.urgent-now, 0))
	if have := c.have; have == fill(c.Fragments) {
		c.done = true
		if !c.given {
			c.given = true
			m.act(Action{Kind: Deliver, ID: c.ID, Hops: c.maxHops, Peer: p})
		}
		m.completed(c)
	}
}

// completed notes that c is complete here.
func (m *Machine) completed(c *chunk) {
	if c.Independent && (!m.hasInd || c.ID.Seq > m.lastInd) {
		m.lastInd, m.hasInd = c.ID.Seq, true
	}
}

// push sends fragment i of c to child k, once, if the budget and its age allow.
func (m *Machine) push(now int64, c *chunk, i int, k Peer, age int64, hops uint8) {
	sent := m.sentTo(c, k)
	if sent.has(i) || age > int64(m.cfg.Deadline) || now-m.n[k].heard > quiet {
		return
	}
	if m.busy-now > int64(m.cfg.Backlog) {
		m.stats.Shed++
		return
	}
	sent.set(i)
	class := ClassData
	if m.n[k].weight[m.laneOf(i)] > 0 {
		class = ClassRelay
	}
	m.spend(now, c.bytes(i)+m.cfg.Overhead, class)
	m.act(Action{Kind: SendFragment, Class: class, Peer: k, ID: c.ID, Index: int16(i), Hops: hops, Age: time.Duration(age)})
}

// quiet is how long a child may say nothing before it is pushed nothing, in nanoseconds. A child adverts more often.
const quiet = 5e9

// forwardEnvelope sends the envelope of c down its lane.
func (m *Machine) forwardEnvelope(now int64, c *chunk, from Peer) {
	for _, k := range m.lane[m.envelopeLane()].order {
		if k != from && now-m.n[k].heard <= quiet {
			m.sendEnvelope(now, c, k)
		}
	}
	m.lane[m.envelopeLane()].wait.add(0)
}

// sendEnvelope sends the envelope of c to k, once. It goes ahead of fragments: everything waits for it.
func (m *Machine) sendEnvelope(now int64, c *chunk, k Peer) {
	if sent := m.sentEnvelope(c); *sent&(1<<k) == 0 {
		*sent |= 1 << k
		m.spend(now, c.EnvelopeSize+m.cfg.Overhead, ClassControl)
		age := now - m.published(c)
		m.act(Action{Kind: SendFragment, Class: ClassControl, Peer: k, ID: c.ID, Index: EnvelopeIndex, Hops: c.hops, Age: time.Duration(age)})
	}
}

// feed notes that p pushed us lane s of chunk seq at the given age.
func (m *Machine) feed(now int64, s int, p Peer, seq uint64, age int64) {
	l := &m.lane[s]
	if p == l.next || l.parent == nobody && l.next == nobody {
		m.adopt(now, s, p)
	}
	if p != l.parent {
		return
	}
	if !l.fed {
		l.fed, l.fails = true, 0
		m.stale(s)
	}
	if seq > l.fedSeq {
		l.fedSeq, l.late = seq, 0
	}
	if now-age >= l.asked || l.age.n == 0 { // what was published before we asked came late for that reason
		if now-age < l.asked {
			age = min(age, m.usual())
		}
		l.age.add(max(age, 0))
	}
	l.bound = l.age.mid
}

// unasked tells a neighbour that pushes us a lane that we do not take from it to stop.
func (m *Machine) unasked(now int64, s int, p Peer) {
	l := &m.lane[s]
	if p == l.parent || p == l.next || p == l.was && now < l.wasUntil {
		return
	}
	n := &m.n[p]
	if !m.flooding(now, p, &n.unasked, 400) {
		n.leave |= 1 << s
		m.queue(p, HasLeave)
	}
}
