package episub

import "math/bits"

// A newcomer fetches the newest chunks that its neighbours have, its backlog, by requests. The fewer the neighbours, the
// more it has outstanding at each, so that a lone one far away is not asked for one small thing a round trip.
const (
	// maxFetches is how many requests of the backlog may be outstanding at all neighbours, but one at each in any case.
	maxFetches = 8
	// fetchLonger is how much longer a request of the backlog may take where its neighbour goes on delivering: what was
	// asked for before has to come first.
	fetchLonger = 2e9
	// maxFetchTries is maxTries for a chunk of the backlog: a neighbour serves what its uplink has room for, and no more.
	maxFetchTries = 24
)

// beginning returns how much more may wait for the uplink while n is served what a newcomer begins with: an independent
// chunk at 10 Mbit/s, or what is asked of a neighbour far away before it can ask again.
func beginning(n *neighbour) int64 { return min(max(n.rtt, 150e6), 250e6) }

// fetches reports whether c is of the backlog.
func (m *Machine) fetches(c *chunk) bool { return c.ID.Seq <= m.backTo }

// tries returns how many rounds of requests are made for c.
func (m *Machine) tries(c *chunk) uint8 {
	if m.fetches(c) {
		return maxFetchTries
	}
	return maxTries
}

// givers returns how many neighbours may serve the backlog, at least 1.
func (m *Machine) givers() int {
	k := 0
	for live := m.live; live != 0; live &= live - 1 {
		if n := &m.n[bits.TrailingZeros64(live)]; n.stated != 0 && !n.banned && n.fed != 0 && n.epoch == m.epoch {
			k++
		}
	}
	return max(k, 1)
}

// share returns how many requests of the backlog, where c is of it, may be outstanding at one neighbour; else 0.
func (m *Machine) share(c *chunk) uint8 {
	if !m.fetches(c) {
		return 0
	}
	return uint8(max(maxFetches/m.givers(), 1))
}

// free reports whether p may be sent a request of the backlog, where each may have share, or with share 0 another.
func (m *Machine) free(now int64, p Peer, share uint8) bool {
	n := &m.n[p]
	if share == 0 {
		return n.asked == 0
	}
	return n.fetching < share && now >= n.fetchAfter
}

// ways returns among how many neighbours what is missing of c is to be spread.
func (m *Machine) ways(c *chunk) int {
	if m.fetches(c) {
		return min(m.givers(), 6)
	}
	return 6
}

// blindly returns the fragments to ask for with the envelope of c, whose number is not known yet: all of the first chunk
// where there is one neighbour only. There is nobody else to ask, and it saves a round trip.
func (m *Machine) blindly(c *chunk) bitset {
	if one := m.live != 0 && m.live&(m.live-1) == 0; one && c.ID.Seq == m.floor && m.fetches(c) {
		return fill(MaxFragments)
	}
	return bitset{}
}

// prolong puts off the deadlines of the backlog's requests at p, which has just delivered some of it.
func (m *Machine) prolong(now int64, p Peer) {
	for k := range m.requests {
		if r := &m.requests[k]; r.p == p && r.backlog {
			r.deadline = min(max(r.deadline, now+400e6), r.last)
		}
	}
}

// Floor returns the first chunk that the machine wants. Ok is false until it is settled, which it is when the first
// neighbours have spoken.
func (m *Machine) Floor() (id ID, ok bool) { return ID{m.epoch, m.floor}, m.joined }

// Holds reports whether p has told that chunk id is complete there, which its adverts say of the newest sixteen.
func (m *Machine) Holds(p Peer, id ID) bool {
	if !m.up(p) {
		return false
	}
	n := &m.n[p]
	return !n.banned && n.stated != 0 && n.epoch == id.Epoch && id.Seq <= n.newest && n.newest-id.Seq < 16 &&
		n.complete&(1<<(n.newest-id.Seq)) != 0
}

// short reports whether an answer says that fragments are withheld which the chunk has, so that its sender is busy.
func (m *Machine) short(x *Ask) bool {
	c := m.find(x.Seq)
	if c == nil || !c.known {
		return false
	}
	has := fill(c.Fragments)
	return x.Set[0]&has[0]|x.Set[1]&has[1] != 0
}
