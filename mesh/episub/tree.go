package episub

import "math/bits"

// lane is one tree as seen from here: where it comes from and where it goes.
type lane struct {
	parent   Peer   // pushes it to us, or did last
	next     Peer   // asked, and not delivering yet
	was      Peer   // the parent before, which may still have fragments under way
	wasUntil int64  // and until when
	fed      bool   // parent's fragments come
	granted  bool   // next said yes
	asked    int64  // when next was
	deadline int64  // when next has failed
	limit    uint16 // what we told next
	retry    int64  // not before: next ask
	settle   int64  // not before: next change for a better parent
	moves    uint8  // recent changes: the dwell time doubles with each
	behind   uint8  // chunks in which next came after parent
	raceSeq  uint64 // the last of them
	streak   uint8  // looks in a row that found it better
	fails    uint8  // asks in a row that failed
	late     uint8  // chunks in a row that were late
	fedSeq   uint64 // newest chunk that the parent pushed
	bound    int64  // age when last fed: the feasibility distance
	age      estimate
	wait     estimate // from a fragment's arrival until the last child has it, on our uplink
	relay    estimate // the same for the last child that passes the lane on
	kidSet   uint64
	kids     uint8
	order    []Peer // children, the heaviest first
	weight   uint32 // peers below us
}

// adopt makes p, whose fragments have come, the parent of lane s, and leaves the parent before.
func (m *Machine) adopt(now int64, s int, p Peer) {
	l := &m.lane[s]
	old := l.parent
	l.next = nobody
	if old == p {
		return
	}
	if old != nobody {
		l.was, l.wasUntil = old, now+1e9
		m.n[old].feeds &^= 1 << s
		m.n[old].leave |= 1 << s
		m.queue(old, HasLeave)
	}
	if l.fed {
		m.stats.Changes++
		l.moves = min(l.moves+1, 5)
	}
	l.settle = now + int64(m.cfg.Dwell)<<l.moves + m.rng.Int64N(int64(m.cfg.Dwell))
	l.parent = p
	l.streak = 0
	l.age.reset()
	m.n[p].feeds |= 1 << s
}

// beaten notes that a fragment of chunk seq came from the parent asked for lane s when it was here already. Where that
// happens with a second chunk, the change is off: it was to be for the better. To wait for longer until one chunk is faster
// by chance cost a third of all duplicates, and where there was none the neighbour was taken for one that does not deliver.
func (m *Machine) beaten(now int64, s int, seq uint64) {
	l := &m.lane[s]
	if !l.fed || l.behind > 0 && l.raceSeq == seq {
		return
	}
	l.raceSeq = seq
	if l.behind++; l.behind < 2 {
		return
	}
	p := l.next
	n := &m.n[p]
	m.giveUp(now, s)
	l.fails = 0
	l.was, l.wasUntil = p, now+1e9
	l.settle = max(l.settle, now+int64(m.cfg.Dwell))
	n.refused[s] = now + 4e9
	n.leave |= 1 << s
	m.queue(p, HasLeave)
}

// lose notes that lane s is not fed any more. The parent stays until another delivers: it may recover.
func (m *Machine) lose(now int64, s int) {
	l := &m.lane[s]
	if l.parent != nobody && !m.up(l.parent) {
		l.parent = nobody
	}
	if l.fed {
		m.stats.Lost++
		l.fed = false
		l.retry = now
		m.stale(s)
		m.tellKids(s)
	}
	l.late = 0
}

// seek finds parents: at once for lanes without a feed, and every quarter of a second better ones for the others.
func (m *Machine) seek(now int64) {
	if m.cfg.Origin {
		return
	}
	start := m.rng.IntN(m.lanes)
	for i := range m.lanes {
		s := (start + i) % m.lanes
		l := &m.lane[s]
		if !l.fed && l.next == nobody && now >= l.retry {
			if p, _ := m.best(now, s, false); p != nobody {
				m.ask(now, s, p, 0xffff)
			} else if p, _ := m.best(now, s, true); p != nobody && m.rng.IntN(5) == 0 {
				m.ask(now, s, p, 0xffff)
			} else {
				l.retry = now + 100e6
			}
		}
	}
	if now < m.nextLook {
		return
	}
	m.nextLook = now + 200e6 + m.rng.Int64N(100e6)
	changed := false
	for i := range m.lanes {
		changed = m.improve(now, (start+i)%m.lanes, changed) || changed
	}
}

// improve asks for a better parent of lane s where one has been better twice in a row, and reports whether it did. Of
// all lanes one changes at a look, and changed says that one has: the others then look again at what it has become.
func (m *Machine) improve(now int64, s int, changed bool) bool {
	l := &m.lane[s]
	if !l.fed || l.next != nobody || l.age.n < 3 || now < l.settle {
		return false
	}
	if l.moves > 0 && now > l.settle+10e9 {
		l.moves--
		l.settle = now
	}
	p, cost := m.best(now, s, false)
	have := l.age.mid + m.burden(l.parent, s, m.n[l.parent].feeds&^(1<<s), uint32(m.n[l.parent].weight[s]) <= 1+l.weight)
	margin := int64(m.cfg.Margin) + have/10
	if p == nobody || p == l.parent || cost+margin > have {
		l.streak = 0
		return false
	}
	if l.streak++; l.streak < 2 || changed || m.rng.IntN(2) == 0 {
		return false
	}
	l.streak = 0
	m.ask(now, s, p, toAge(l.age.mid-m.n[p].owd()-margin/2))
	return true
}

// best returns the neighbour through which lane s is expected to come soonest, and when. It never returns one that
// hangs below us as far as can be known: while we have children in the lane, only one whose age is below the last
// that we told them, or one that has been fed since we were not. With desperate, neighbours that failed us lately count
// too: where there is no other, a bad one is better than none.
func (m *Machine) best(now int64, s int, desperate bool) (Peer, int64) {
	l := &m.lane[s]
	found, least := nobody, int64(1)<<62
	for live := m.live; live != 0; live &= live - 1 {
		p := Peer(bits.TrailingZeros64(live))
		n := &m.n[p]
		if !n.shows(s) || n.kidOf&(1<<s) != 0 || n.banned || !desperate && m.avoided(now, p, s) || now < n.refused[s] ||
			p == l.parent && l.fed || now-n.heard > stateLife {
			continue
		}
		age := int64(n.age[s]) * 1e3
		if !l.fed && l.kids > 0 && age >= l.bound && n.epoch == m.epoch && n.newest <= l.fedSeq+1 {
			continue
		}
		cost := m.price(p, s, n.feeds)
		if n.room == 0 {
			if l.fed {
				continue
			}
			cost += 300e6
		}
		if cost < least {
			found, least = p, cost
		}
	}
	return found, least
}

// stateLife is how long a neighbour's State counts, in nanoseconds.
const stateLife = 6e9

// price returns when lane s is expected here through p, plus its burden.
func (m *Machine) price(p Peer, s int, feeds uint32) int64 {
	n := &m.n[p]
	sent := n.cost[s]
	if m.lane[s].weight > 0 || s == m.envelopeLane() {
		sent = n.relay[s]
	}
	return int64(sent)*1e3 + n.owd() + m.burden(p, s, feeds, n.weight[s] == 0)
}

// burden is what is added to the expected arrival of lane s through p for what it would do to others, and to us at
// the next large chunk: the load of p, the lanes that p carries for us already, and whether p would have to become an
// inner peer of one more tree. Envelopes are too small to be a burden.
func (m *Machine) burden(p Peer, s int, feeds uint32, leaf bool) int64 {
	n := &m.n[p]
	if s == m.envelopeLane() {
		return 0
	}
	b := n.drain/2 + m.spread(n, feeds)
	if leaf {
		b += opening
	}
	return b
}

// opening is what becoming the first child of a peer in a lane costs, in nanoseconds: trees stay shallow and at rest
// where few peers have many children each, rather than many a few.
const opening = 25e6

// spread is what is added to the cost of a neighbour for the lanes that it carries for us already: trees that share a
// peer fall together, and fragments that share a connection beyond one burst are paced, the slower the longer its round
// trip.
func (m *Machine) spread(n *neighbour, feeds uint32) int64 {
	k := int64(bits.OnesCount32(feeds &^ (1 << m.envelopeLane())))
	over := max(float64(k+1)*m.laneBytes(0)*(usually+(large-usually)*m.lossy)-burst, 0)
	return k*25e5 + int64(over*float64(n.rtt)/paced)
}

// What a connection of quic-go lets go at once, and what it paces in a round trip after that, in bytes: 10 packets of the
// 1452 bytes that most paths carry, and 1.25 times its initial window, 32 of those of 1280 that it begins with.
const (
	burst = 14520
	paced = 51200
)

// For how many average chunks a connection is to have room: where packets are lost, for an independent one, since a
// window that was cut does not grow back before the next, and what follows the chunk waits behind it.
const (
	usually    = 1.2
	large      = 3
	noticeable = 0.001 // share of the packets lost with which large counts alone
)

// ask asks p for lane s.
func (m *Machine) ask(now int64, s int, p Peer, limit uint16) {
	l, n := &m.lane[s], &m.n[p]
	l.next, l.asked, l.granted, l.limit, l.behind = p, now, false, limit, 0
	l.deadline = now + n.rtt + 300e6
	n.feeds |= 1 << s
	n.want |= 1 << s
	n.wantFrom = m.newest + 1
	if !l.fed && m.newest > 0 {
		n.wantFrom = max(m.newest-1, m.floor)
	}
	if m.joined && m.floor > 0 {
		n.wantFrom = max(n.wantFrom, m.backTo+1) // what is before that is fetched
	}
	m.stats.Asked++
	m.queue(p, HasWant)
}

// granted notes that p will push us lanes.
func (m *Machine) granted(now int64, p Peer, set uint32) {
	for s := range m.lanes {
		l := &m.lane[s]
		switch {
		case set&(1<<s) == 0:
		case l.next == p:
			l.granted = true
			l.deadline = now + 3*m.dur + 400e6
		case l.parent != p:
			m.n[p].leave |= 1 << s // too late, we went elsewhere
			m.queue(p, HasLeave)
		}
	}
}

// refusedBy notes that p will not push us lanes, or not any more.
func (m *Machine) refusedBy(now int64, p Peer, r *Refuse) {
	n := &m.n[p]
	hint := nobody
	if r.Instead != 0 && r.Instead != m.cfg.ID {
		for live := m.live; live != 0; live &= live - 1 {
			if q := Peer(bits.TrailingZeros64(live)); m.n[q].id == r.Instead {
				hint = q
			}
		}
		if hint == nobody {
			m.act(Action{Kind: Suggest, Peer: p, Short: r.Instead})
		}
	}
	for s := range m.lanes {
		if r.Lanes&(1<<s) == 0 {
			continue
		}
		l := &m.lane[s]
		n.refused[s] = now + int64(r.Retry)*1e6
		if l.next == p {
			m.giveUp(now, s)
			if hint != nobody && !l.fed && m.n[hint].kidOf&(1<<s) == 0 && m.n[hint].shows(s) && !m.avoided(now, hint, s) &&
				now >= m.n[hint].refused[s] && l.kids == 0 {
				m.ask(now, s, hint, 0xffff)
			}
		}
		if l.parent == p {
			n.feeds &^= 1 << s
			l.parent = nobody
			m.lose(now, s)
		}
	}
	m.seek(now)
}

// giveUp ends the ask for lane s without a verdict on who was asked.
func (m *Machine) giveUp(now int64, s int) {
	l := &m.lane[s]
	m.n[l.next].feeds &^= 1 << s
	l.next = nobody
	l.fails = min(l.fails+1, 6)
	if !l.fed {
		l.retry = now + m.rng.Int64N(int64(10e6)<<l.fails)
	}
}

// expire ends what has waited too long: asks without an answer, grants without a delivery, requests.
func (m *Machine) expire(now int64) {
	for s := range m.lanes {
		l := &m.lane[s]
		if l.next == nobody || now < l.deadline {
			continue
		}
		p := l.next
		m.n[p].leave |= 1 << s
		m.queue(p, HasLeave)
		m.giveUp(now, s)
		m.suspect(now, p)
	}
	m.expireRequests(now)
}
