package episub

import (
	"math/bits"
	"time"
)

// neighbour is what we know of one neighbour.
type neighbour struct {
	id       uint64
	rtt      int64
	heard    int64  // when its last frame or fragment came
	stated   int64  // when its last State came, 0: never
	epoch    uint64 // of its last frame
	newest   uint64
	complete uint16
	indep    uint8
	room     uint8
	drain    int64
	fed      uint32       // lanes that it is fed
	age      [lanes]int32 // microseconds
	cost     [lanes]int32 // age + wait, microseconds
	relay    [lanes]int32 // the same for a child that passes the lane on
	weight   [lanes]uint8

	kidOf      uint32 // lanes that we push to it
	feeds      uint32 // lanes of which it is the parent or the one asked
	avoid      int64  // nothing is asked of it before
	strikes    uint8
	banned     bool
	refused    [lanes]int64 // the lane is not asked before
	asked      uint8        // requests outstanding at it
	fetching   uint8        // the same, of what a newcomer fetches
	fetchAfter int64        // nothing of that is requested of it before

	toldAt  int64 // when we last sent it our State
	toldGen uint32

	useful    uint32   // new fragments since the last report
	unasked   uint16   // fragments that nobody asked for, lately
	frames    uint16   // control frames, lately
	rateSince int64    // start of lately
	repairs   uint16   // fragments served on request, lately
	pending   Sections // sections to send at the end of this event
	grant     uint32
	leave     uint32
	want      uint32
	wantFrom  uint64
	deny      Refuse
}

// reset makes n a fresh neighbour.
func (n *neighbour) reset(id uint64, rtt, now int64) {
	*n = neighbour{id: id, rtt: rtt, heard: now, rateSince: now, toldAt: -1 << 60}
}

// owd returns the estimated one-way delay.
func (n *neighbour) owd() int64 { return n.rtt / 2 }

// shows reports whether n said it is fed lane s.
func (n *neighbour) shows(s int) bool { return n.fed&(1<<s) != 0 }

// take takes in a State that came at now.
func (n *neighbour) take(now int64, s *State) {
	n.stated = now
	n.newest, n.complete, n.indep, n.room, n.fed = s.Newest, s.Complete, s.Independent, s.Room, s.Fed
	n.drain = int64(s.Drain) * waitUnit
	for i := range s.Lanes {
		if s.Fed&(1<<i) != 0 {
			l := &s.Lanes[i]
			n.age[i] = int32(l.Age) * (ageUnit / 1e3)
			n.cost[i] = n.age[i] + int32(l.Wait)*(waitUnit/1e3)
			n.relay[i] = n.age[i] + int32(l.Relay)*(waitUnit/1e3)
			n.weight[i] = l.Weight
		} else {
			n.weight[i] = 0
		}
	}
}

// Control takes in an encoded control frame that came from p.
func (m *Machine) Control(now time.Duration, p Peer, b []byte) []Action {
	m.begin()
	if m.up(p) && !m.n[p].banned {
		m.control(int64(now), p, b)
	}
	return m.end(int64(now))
}

func (m *Machine) control(now int64, p Peer, b []byte) {
	n := &m.n[p]
	if m.flooding(now, p, &n.frames, 400) {
		return
	}
	c := &m.in
	if c.Decode(b) != nil {
		m.condemn(now, p, BadControl)
		return
	}
	n.heard = now
	if c.Epoch > m.epoch && !m.cfg.Origin && !m.started && c.Has&HasState != 0 {
		m.restart(c.Epoch)
	}
	if c.Epoch != m.epoch {
		// One of us has not heard yet that the origin started anew. The trees hold across that, seqs mean nothing. A higher
		// epoch is a claim only, but enough to ask for lanes: what comes then is believed when an envelope verifies.
		c.Has &^= HasRequest | HasAbsent
		c.State.Complete, c.State.Independent, c.State.Newest = 0, 255, 0
		if c.Epoch < m.epoch {
			c.State.Fed, c.Want.From = 0, 0
		}
	}
	n.epoch = c.Epoch
	if c.Has&HasState != 0 {
		m.hear(now, p, &c.State)
	}
	if c.Has&HasLeave != 0 {
		for s := range m.lanes {
			if c.Leave&(1<<s) != 0 {
				m.dropChild(s, p)
			}
		}
	}
	if c.Has&HasGrant != 0 {
		m.granted(now, p, c.Grant)
	}
	if c.Has&HasRefuse != 0 {
		m.refusedBy(now, p, &c.Refuse)
	}
	if c.Has&HasWant != 0 {
		m.admit(now, p, &c.Want)
	}
	if c.Has&HasRequest != 0 {
		m.serve(now, p, &c.Request)
	}
	if c.Has&HasAbsent != 0 {
		m.absent(now, p, &c.Absent)
	}
	if c.Has&HasState != 0 {
		m.reconcile(p, c.State.Takes)
	}
}

// reconcile sets right what p and we think of each other where a message was lost: takes is what p says we push to it.
func (m *Machine) reconcile(p Peer, takes uint32) {
	kid := m.n[p].kidOf
	for s := range m.lanes {
		switch bit := uint32(1) << s; {
		case kid&^takes&bit != 0:
			m.dropChild(s, p)
		case takes&^kid&bit != 0:
			m.refuse(p, s, 300)
		}
	}
}

// hear takes in a State from p.
func (m *Machine) hear(now int64, p Peer, s *State) {
	n := &m.n[p]
	first := n.stated == 0
	n.take(now, s)
	if m.cfg.Origin {
		return
	}
	if m.based == 0 && s.Fed != 0 && n.epoch == m.epoch {
		c := chunk{Chunk: Chunk{ID: ID{m.epoch, s.Newest}}}
		m.clock(&c, now-int64(s.Age)*ageUnit-n.owd())
	}
	if first || !m.joined {
		m.join(n)
	}
	for s := range m.lanes {
		l := &m.lane[s]
		if n.kidOf&(1<<s) != 0 {
			m.rank(s)
		}
		if n.fed&(1<<s) != 0 {
			continue
		}
		if l.next == p {
			m.giveUp(now, s)
		}
		if l.parent == p && l.fed {
			// It seeks a new parent itself: give it a moment before we look for another, or its whole subtree would.
			m.lose(now, s)
			l.retry = now + 200e6 + m.rng.Int64N(300e6)
		}
	}
}

// join sets, when the first neighbours speak, from which chunk on we want the track: the newest independent one that
// a neighbour has, so that play can start.
func (m *Machine) join(n *neighbour) {
	if m.joined || n.fed == 0 || n.epoch != m.epoch {
		return
	}
	m.joined = true
	m.floor, m.backTo = n.newest+1, n.newest
	if m.fresh(n.newest) {
		m.floor = 0
	} else if back := uint64(n.indep); n.indep != 255 && back <= n.newest && int64(back)*m.dur <= int64(m.cfg.Backfill) {
		m.floor = n.newest - back
	}
	m.low = m.floor
}

// fresh reports whether a track whose newest chunk is seq has only just begun: then all of it is wanted, also where no
// neighbour has an independent chunk complete yet.
func (m *Machine) fresh(seq uint64) bool { return seq <= uint64(int64(m.cfg.Backfill)/m.dur) }

// start sets, where no neighbour has spoken before chunk seq came, that it is wanted and what follows.
func (m *Machine) start(seq uint64) {
	if m.joined {
		return
	}
	m.joined, m.floor, m.backTo = true, seq, 0
	if m.fresh(seq) {
		m.floor, m.backTo = 0, seq
	}
	m.low = m.floor
}

// flooding counts an event against a budget of limit in a second and reports whether p is past it.
func (m *Machine) flooding(now int64, p Peer, count *uint16, limit uint16) bool {
	n := &m.n[p]
	if now-n.rateSince > 1e9 {
		n.rateSince, n.frames, n.unasked, n.repairs = now, 0, 0, 0
	}
	*count++
	if *count == limit {
		m.condemn(now, p, Flood)
	}
	return *count >= limit
}

// condemn drops p from everything and reports it.
func (m *Machine) condemn(now int64, p Peer, what What) {
	n := &m.n[p]
	if n.banned {
		return
	}
	n.banned = true
	m.act(Action{Kind: Report, Peer: p, What: what})
	for s := range m.lanes {
		m.dropChild(s, p)
		l := &m.lane[s]
		if l.next == p {
			l.next = nobody
		}
		if l.parent == p {
			m.lose(now, s)
		}
	}
	m.forget(p)
}

// suspect makes us keep away from p for a while, longer each time.
func (m *Machine) suspect(now int64, p Peer) {
	n := &m.n[p]
	n.strikes = min(n.strikes+1, 6)
	n.avoid = now + int64(1e9)<<n.strikes
	m.act(Action{Kind: Report, Peer: p, What: NoDelivery})
}

// avoided reports whether nothing of lane s is to be asked of p, because it failed us lately. The only neighbour that has
// the lane is never avoided: a feed that was lost for a moment must not stay away for a minute.
func (m *Machine) avoided(now int64, p Peer, s int) bool {
	if now >= m.n[p].avoid {
		return false
	}
	for live := m.live &^ (1 << p); live != 0; live &= live - 1 {
		if n := &m.n[bits.TrailingZeros64(live)]; n.shows(s) && n.kidOf&(1<<s) == 0 && !n.banned && now-n.heard <= stateLife {
			return true
		}
	}
	return false
}
