package episub

import "math/bits"

// admit answers a Want of p lane by lane.
func (m *Machine) admit(now int64, p Peer, w *Want) {
	n := &m.n[p]
	n.room = w.Room
	if m.cfg.Origin { // the lanes that fewest have first
		list := w.Lanes[:w.N]
		for i := range list {
			for j := i; j > 0 && m.kidsOf(list[j]) < m.kidsOf(list[j-1]); j-- {
				list[j], list[j-1] = list[j-1], list[j]
			}
		}
	}
	for _, x := range w.Lanes[:w.N] {
		s := int(x.Lane)
		if s >= m.lanes {
			continue
		}
		l := &m.lane[s]
		n.weight[s] = x.Weight
		if n.kidOf&(1<<s) != 0 {
			n.grant |= 1 << s
			m.queue(p, HasGrant)
			continue
		}
		if retry := m.refusal(now, p, s, x.Limit); retry > 0 {
			m.refuse(p, s, retry)
			continue
		}
		m.addChild(s, p)
		n.grant |= 1 << s
		m.queue(p, HasGrant)
		l.wait.mid += m.step(s)
		if n.weight[s] > 0 {
			l.relay.mid += m.step(s)
		}
		m.catchUp(now, s, p, w.From)
	}
}

// priceFor returns the age at which p would be sent fragments of lane s as a further child.
func (m *Machine) priceFor(p Peer, s int) int64 {
	if m.n[p].weight[s] > 0 {
		return m.relayCost(s)
	}
	return m.cost(s)
}

// step is how much later a further child of lane s is served than the last one.
func (m *Machine) step(s int) int64 {
	if m.cfg.Origin && s != m.envelopeLane() {
		return m.slot(s) * int64(m.cfg.Stripes)
	}
	return m.slot(s)
}

// refusal returns how many milliseconds p should wait before it asks for lane s again, or 0 where it is welcome.
func (m *Machine) refusal(now int64, p Peer, s int, limit uint16) int64 {
	l := &m.lane[s]
	if !m.cfg.Origin {
		if !l.fed || l.parent == p {
			return 300 + m.rng.Int64N(300)
		}
		if c := m.priceFor(p, s); limit != 0xffff && toAge(c) > limit {
			return 1500 + m.rng.Int64N(1500)
		}
	} else if limit != 0xffff && toAge(l.wait.mid+m.step(s)) > limit {
		return 1500 + m.rng.Int64N(1500)
	}
	if s == m.envelopeLane() {
		if m.spare() < 0 && l.kids >= 8 {
			return 1000 + m.rng.Int64N(2000)
		}
		return 0
	}
	if m.cfg.Origin {
		return m.rationed(p, s)
	}
	if m.spare() < m.laneRate(s) {
		if m.preempt(s, p, false) {
			return 0
		}
		return 1000 + m.rng.Int64N(2000)
	}
	return 0
}

// originShare is how many stripes the origin pushes to one neighbour: its copies are few, and each should go to
// somebody who spreads it. Where packets are lost it is lossyShare: everybody waits for the windows of these few connections.
const (
	originShare = 3
	lossyShare  = 2
)

// originDrain is how long the origin may take to send an average chunk to all its children, in nanoseconds, beyond four
// copies: more copies would make trees shallower, but the last of them late.
const originDrain = 75e6

// rationed is refusal for a stripe at the origin: no neighbour gets more than its share while others have none, and
// the stripes get the same number of children, but two at least. Without that floor, stripes that nobody got from the
// origin live on repair.
func (m *Machine) rationed(p Peer, s int) int64 {
	stripes := m.cfg.Stripes
	l, n := &m.lane[s], bits.OnesCount64(m.live)
	share := originShare
	if m.lossy >= 1 {
		share = lossyShare
	}
	share = max(share, (2*stripes+n-1)/n)
	most := max(2, share*n/stripes)
	most = min(most, max(4, int(originDrain/(m.slot(0)*int64(stripes)))))
	if fair := int(m.cfg.Budget * m.cfg.Use / (m.laneRate(0) * float64(stripes))); most > fair {
		most = max(fair, 1)
	}
	has := bits.OnesCount32(m.n[p].kidOf &^ (1 << m.envelopeLane()))
	switch {
	case int(l.kids) < most && (has < share || l.kids == 0):
		return 0
	case int(l.kids) >= most && has < share && m.preempt(s, p, true):
		return 0
	case has >= share:
		return 4000 + m.rng.Int64N(4000)
	}
	return 1000 + m.rng.Int64N(2000)
}

// kidsOf returns how many children the lane of x has.
func (m *Machine) kidsOf(x WantLane) int {
	if int(x.Lane) >= m.lanes {
		return 0
	}
	return int(m.lane[x.Lane].kids)
}

// value says how much a child of lane s passes on: what hangs below it, and what it could carry.
func (n *neighbour) value(s int) int { return int(n.weight[s])*4 + int(n.room)/16 }

// preempt makes room for p in lane s by dropping the child that gives least, if it gives clearly less: of that lane
// only, or of any stripe.
func (m *Machine) preempt(s int, p Peer, only bool) bool {
	worst, at, least := nobody, s, m.n[p].value(s)/2
	for i := range m.cfg.Stripes {
		if only && i != s {
			continue
		}
		for _, k := range m.lane[i].order {
			if v := m.n[k].value(i); v < least {
				worst, at, least = k, i, v
			}
		}
	}
	if worst == nobody {
		return false
	}
	m.stats.Preempted++
	m.dropChild(at, worst)
	m.refuse(worst, at, 3000+m.rng.Int64N(2000))
	return true
}

// refuse tells p that lane s will not be pushed to it, and whom to ask instead: a child that has room.
func (m *Machine) refuse(p Peer, s int, retry int64) {
	m.stats.Refused++
	n := &m.n[p]
	n.deny.Lanes |= 1 << s
	n.deny.Retry = max(n.deny.Retry, uint16(retry))
	if l := &m.lane[s]; len(l.order) > 0 {
		for range 3 {
			if k := l.order[m.rng.IntN(len(l.order))]; k != p && m.n[k].room > 0 {
				n.deny.Instead = m.n[k].id
				break
			}
		}
	}
	m.queue(p, HasRefuse)
}

// addChild makes p a child of lane s.
func (m *Machine) addChild(s int, p Peer) {
	l := &m.lane[s]
	m.n[p].kidOf |= 1 << s
	l.kidSet |= 1 << p
	l.kids++
	l.order = append(l.order, p)
	m.load += m.laneRate(s)
	m.rank(s)
}

// dropChild ends pushing lane s to p.
func (m *Machine) dropChild(s int, p Peer) {
	l := &m.lane[s]
	if l.kidSet&(1<<p) == 0 {
		return
	}
	m.n[p].kidOf &^= 1 << s
	l.kidSet &^= 1 << p
	l.kids--
	m.load -= m.laneRate(s)
	for i, k := range l.order {
		if k == p {
			l.order = append(l.order[:i], l.order[i+1:]...)
			break
		}
	}
	l.wait.mid = max(l.wait.mid-m.step(s), 0)
	m.rank(s)
}

// rank puts the children of lane s in order, the one with most peers below it first, and counts the peers below us.
func (m *Machine) rank(s int) {
	l := &m.lane[s]
	l.weight = 0
	for i, k := range l.order {
		l.weight += 1 + uint32(m.n[k].weight[s])
		for j := i; j > 0 && m.n[l.order[j-1]].value(s) < m.n[l.order[j]].value(s); j-- {
			l.order[j-1], l.order[j] = l.order[j], l.order[j-1]
		}
	}
}

// reckon adds up what the children take of the budget.
func (m *Machine) reckon() {
	m.load = 0
	for s := range m.lanes {
		m.load += float64(m.lane[s].kids) * m.laneRate(s)
	}
}

// catchUp sends a new child of lane s what is here of chunk from and later.
func (m *Machine) catchUp(now int64, s int, p Peer, from uint64) {
	if !m.started {
		return
	}
	for seq := max(from, m.newest-min(m.newest, 2)); seq <= m.newest; seq++ {
		c := m.find(seq)
		if c == nil || !c.known {
			continue
		}
		age := now - m.published(c)
		if s == m.envelopeLane() {
			m.sendEnvelope(now, c, p)
			continue
		}
		for i := s; i < c.Fragments; i += m.cfg.Stripes {
			if c.have.has(i) {
				m.push(now, c, i, p, age, c.maxHops)
			}
		}
	}
}
