package episub

import "math/bits"

// queue marks sections for p, to be sent at the end of this event.
func (m *Machine) queue(p Peer, sections Sections) {
	m.n[p].pending |= sections
	m.dirty |= 1 << p
}

// tell queues our State for p.
func (m *Machine) tell(p Peer) { m.queue(p, HasState) }

// tellKids queues our State for the children of lane s.
func (m *Machine) tellKids(s int) {
	for _, k := range m.lane[s].order {
		m.tell(k)
	}
}

// stale notes that lane s changed so that neighbours should hear of it soon.
func (m *Machine) stale(s int) {
	m.stateGen++
	m.told[s] = m.cost(s)
}

// drain returns the time our uplink takes to send all children an average chunk.
func (m *Machine) drain() int64 { return int64(m.load / m.cfg.Budget * float64(m.dur)) }

// cost returns the age at which a further child of lane s would be sent a fragment, or -1.
func (m *Machine) cost(s int) int64 {
	l := &m.lane[s]
	switch {
	case m.cfg.Origin:
		return l.wait.mid + m.step(s)
	case !l.fed || l.age.n == 0:
		return -1
	}
	return l.age.mid + l.wait.mid + m.step(s)
}

// relayCost is cost for a child that passes the lane on.
func (m *Machine) relayCost(s int) int64 {
	l := &m.lane[s]
	if c := m.cost(s); c < 0 || m.cfg.Origin {
		return c
	}
	return l.age.mid + l.relay.mid + m.step(s)
}

// adverts sends our State to the neighbours whose turn it is: soon where it changed enough to matter, else seldom.
func (m *Machine) adverts(now int64) {
	if !m.started {
		return
	}
	if now-m.toldAt >= 200e6 {
		m.toldAt = now
		m.reckon()
		for s := range m.lanes {
			c, was := m.cost(s), m.told[s]
			if (c < 0) != (was < 0) || abs(c-was) > max(40e6, was/3) {
				m.stale(s)
			}
		}
	}
	for live := m.live; live != 0; live &= live - 1 {
		p := Peer(bits.TrailingZeros64(live))
		n := &m.n[p]
		since := now - n.toldAt
		if since >= int64(m.cfg.Advert) || n.toldGen != m.stateGen && since >= 600e6 {
			m.tell(p)
		}
		if n.useful >= 256 {
			m.act(Action{Kind: Report, What: Useful, Peer: p, Count: n.useful})
			n.useful = 0
		}
	}
}

// state fills in our State.
func (m *Machine) state(now int64, s *State) {
	*s = State{Newest: m.newest, Independent: 255, Room: toCount(uint32(max(m.spare()/m.laneRate(0), 0))), Drain: toWait(m.drain())}
	if c := m.find(m.newest); c != nil {
		s.Age = toAge(now - m.published(c))
	}
	for i := uint64(0); i < 16 && i <= m.newest; i++ {
		if c := m.find(m.newest - i); c != nil && c.done {
			s.Complete |= 1 << i
		}
	}
	if m.hasInd && m.newest-m.lastInd < 255 {
		s.Independent = uint8(m.newest - m.lastInd)
	}
	for i := range m.lanes {
		cost := m.cost(i)
		if cost < 0 {
			continue
		}
		age := int64(0)
		if !m.cfg.Origin {
			age = m.lane[i].age.mid
		}
		s.Fed |= 1 << i
		s.Lanes[i] = Lane{Age: toAge(age), Wait: toWait(cost - age), Relay: toWait(m.relayCost(i) - age), Weight: toCount(m.lane[i].weight)}
	}
}

// flush sends what was queued in this event, one frame a neighbour.
func (m *Machine) flush(now int64) {
	for ; m.dirty != 0; m.dirty &= m.dirty - 1 {
		p := Peer(bits.TrailingZeros64(m.dirty))
		n := &m.n[p]
		c := &m.made
		c.Epoch, c.Has = m.epoch, n.pending
		if n.pending&HasState != 0 {
			m.state(now, &c.State)
			c.State.Takes = n.feeds
			n.toldAt, n.toldGen = now-m.rng.Int64N(int64(m.cfg.Advert)/8), m.stateGen
		}
		if n.pending&HasWant != 0 {
			c.Want = Want{From: n.wantFrom, Room: toCount(uint32(max(m.spare()/m.laneRate(0), 0)))}
			for s := range m.lanes {
				if n.want&(1<<s) != 0 && m.lane[s].next == p {
					c.Want.Lanes[c.Want.N] = WantLane{Lane: uint8(s), Weight: toCount(m.lane[s].weight), Limit: m.lane[s].limit}
					c.Want.N++
				}
			}
		}
		c.Leave, c.Grant, c.Refuse = n.leave, n.grant, n.deny
		n.pending, n.leave, n.grant, n.deny, n.want = 0, 0, 0, Refuse{}, 0
		m.send(now, p)
	}
}

// send sends the frame in m.made to p.
func (m *Machine) send(now int64, p Peer) {
	if m.n[p].banned {
		return
	}
	start := len(m.buf)
	m.buf = m.made.Append(m.buf)
	data := m.buf[start:len(m.buf):len(m.buf)]
	m.stats.Frames++
	m.stats.ControlBytes += uint64(len(data))
	m.spend(now, len(data)+m.cfg.Overhead, ClassControl)
	m.act(Action{Kind: SendControl, Class: ClassControl, Peer: p, ID: ID{m.epoch, m.newest}, Data: data})
}
