package episub

import (
	"math/bits"
	"time"
)

// maxRequests is how many requests may be outstanding, at different neighbours.
const maxRequests = 16

// maxTries is how many rounds of requests are made for one chunk.
const maxTries = 12

// request is one outstanding request for fragments of one chunk.
type request struct {
	p        Peer
	seq      uint64
	envelope bool
	backlog  bool // of what a newcomer fetches
	set      bitset
	deadline int64
	last     int64 // the deadline is not put off beyond it
}

// watch looks for what is late: chunks that should be here by now, from the oldest wanted to the newest that must
// have been published.
func (m *Machine) watch(now int64) {
	if m.cfg.Origin || !m.joined || m.based == 0 {
		return
	}
	last := int64(m.refSeq) + (now-m.base)/m.dur
	m.last = uint64(max(last, 0))
	if m.started { // further ahead is hardly late: the origin pauses
		m.last = min(m.last, m.newest+uint64(len(m.ring))/2)
	}
	for q := m.low; q <= m.last; q++ {
		c := m.find(q)
		if c != nil && c.done {
			m.pass(q)
			continue
		}
		pub := m.publishedSeq(q)
		limit := int64(m.cfg.Deadline)
		if q <= m.backTo {
			limit = int64(m.cfg.Backfill + m.cfg.Deadline)
		}
		if now-pub > limit {
			if c != nil {
				c.given = true
			}
			m.pass(q)
			continue
		}
		if q > m.backTo && now-pub < 100e6 {
			return
		}
		if c == nil {
			if c = m.open(q); c == nil {
				return
			}
		}
		m.check(now, c, m.published(c))
	}
}

// pass notes that chunk q needs no more watching.
func (m *Machine) pass(q uint64) {
	if q == m.low {
		m.low++
	}
}

// check requests what is late of c, and loses lanes that are late again and again.
func (m *Machine) check(now int64, c *chunk, pub int64) {
	fetch := m.fetches(c)
	if !c.known {
		if s := m.envelopeLane(); fetch || now > m.due(s, pub) || c.heldAt != 0 && now-c.heldAt > 60e6 {
			if !fetch && now > m.due(s, pub) {
				m.tardy(now, c, s)
			}
			if now >= c.envAsked {
				m.requestEnvelope(now, c)
			}
		}
		if !fetch {
			for s := range m.cfg.Stripes {
				if now > m.due(s, pub) && !m.isHeld(c, s) {
					m.tardy(now, c, s)
				}
			}
		}
		return
	}
	var need bitset
	missing := fill(c.Fragments).minus(c.have)
	for i := missing.first(0); i >= 0 && i < c.Fragments; i = missing.first(i + 1) {
		s := m.laneOf(i)
		if !fetch {
			if now <= m.due(s, pub) {
				continue
			}
			m.tardy(now, c, s)
		}
		if !c.asked.has(i) {
			need.set(i)
		}
	}
	if !need.empty() {
		m.requestFragments(now, c, need)
	}
}

// due returns when a fragment of lane s published at pub is late: well after its parent usually has it here, or for a
// lane that is not fed, after the others usually have theirs.
func (m *Machine) due(s int, pub int64) int64 {
	l := &m.lane[s]
	if l.age.n == 0 {
		return pub + min(m.usual()+2*int64(m.cfg.Grace), int64(m.cfg.Deadline)/2)
	}
	return pub + min(l.age.mid*3/2+max(4*l.age.dev, int64(m.cfg.Grace)), int64(m.cfg.Deadline)/2)
}

// usual returns the age of the lanes that are fed, on average, or 300 ms.
func (m *Machine) usual() int64 {
	sum, n := int64(0), int64(0)
	for s := range m.lanes {
		if m.lane[s].fed {
			sum += m.lane[s].age.mid
			n++
		}
	}
	if n == 0 {
		return 300e6
	}
	return sum / n
}

// tardy notes that lane s is late for c.
func (m *Machine) tardy(now int64, c *chunk, s int) {
	l := &m.lane[s]
	if c.late&(1<<s) != 0 {
		return
	}
	c.late |= 1 << s
	if !l.fed || l.fedSeq >= c.ID.Seq {
		return
	}
	if l.late++; l.late >= 2 || now-m.n[l.parent].heard > 2*m.dur {
		if l.late >= 3 {
			m.suspect(now, l.parent)
		}
		m.lose(now, s)
	}
}

// isHeld reports whether a fragment of lane s waits for the envelope of c.
func (m *Machine) isHeld(c *chunk, s int) bool {
	for i := range m.held {
		if m.held[i].epoch == m.epoch && m.held[i].seq == c.ID.Seq && m.laneOf(int(m.held[i].index)) == s {
			return true
		}
	}
	return false
}

// has reports whether p should have fragment i of c by now.
func (m *Machine) has(now int64, p Peer, c *chunk, i int) bool {
	n := &m.n[p]
	if n.stated == 0 || n.banned || m.avoided(now, p, m.laneOf(i)) || n.epoch != m.epoch {
		return false
	}
	if seq := c.ID.Seq; seq <= n.newest && n.newest-seq < 16 && n.complete&(1<<(n.newest-seq)) != 0 {
		return true
	}
	s := m.laneOf(i)
	if !n.shows(s) || now-n.stated > stateLife || m.lane[s].parent == p {
		return false
	}
	return now > m.published(c)+int64(n.age[s])*5/4*1e3+50e6
}

// server picks a neighbour for a request: of three that should have it and have none outstanding, or fewer than a newcomer
// may have there, the nearest.
func (m *Machine) server(now int64, c *chunk, i int) Peer {
	found, n := nobody, bits.OnesCount64(m.live)
	if n == 0 {
		return nobody
	}
	skip, seen := m.rng.IntN(n), 0
	share := m.share(c)
	for pass := 0; pass < 2; pass++ {
		for live, k := m.live, 0; live != 0; live, k = live&(live-1), k+1 {
			if (pass == 0) != (k >= skip) {
				continue
			}
			p := Peer(bits.TrailingZeros64(live))
			if !m.free(now, p, share) || !m.has(now, p, c, i) {
				continue
			}
			if found == nobody || m.n[p].rtt < m.n[found].rtt {
				found = p
			}
			if seen++; seen == 3 {
				return found
			}
		}
	}
	return found
}

func (m *Machine) requestEnvelope(now int64, c *chunk) {
	if c.tries >= m.tries(c) || len(m.requests) == maxRequests {
		return
	}
	p := nobody
	for i := range m.held {
		if m.held[i].epoch == m.epoch && m.held[i].seq == c.ID.Seq && m.n[m.held[i].from].asked == 0 {
			p = m.held[i].from
			break
		}
	}
	if p == nobody || c.tries > 1 {
		p = m.server(now, c, EnvelopeIndex)
	}
	if p == nobody {
		return
	}
	c.tries++
	c.envAsked = now + m.n[p].rtt + 300e6
	m.sendRequest(now, p, c, true, m.blindly(c))
}

// requestFragments spreads a request for the fragments need of c over neighbours.
func (m *Machine) requestFragments(now int64, c *chunk, need bitset) {
	if c.tries >= m.tries(c) {
		return
	}
	sent := uint8(0)
	defer func() { c.tries += sent }() // looking for a neighbour that has it is not a try
	ways := m.ways(c)
	most := max(4, (need.count()+ways-1)/ways)
	for !need.empty() && len(m.requests) < maxRequests {
		p := m.server(now, c, need.first(0))
		if p == nobody {
			need.unset(need.first(0)) // nobody has it yet
			continue
		}
		var set bitset
		for i, k := need.first(0), 0; i >= 0 && k < most; i = need.first(i) {
			need.unset(i)
			if m.has(now, p, c, i) {
				set.set(i)
				k++
			}
			if need.empty() {
				break
			}
		}
		m.sendRequest(now, p, c, false, set)
		sent = 1
	}
}

func (m *Machine) sendRequest(now int64, p Peer, c *chunk, envelope bool, set bitset) {
	n := &m.n[p]
	c.asked = c.asked.or(set)
	if c.known { // or there are more of them than the chunk has
		m.stats.Requested += uint64(set.count())
	}
	r := request{p: p, seq: c.ID.Seq, envelope: envelope, set: set, deadline: now + n.rtt + 400e6}
	if r.last = r.deadline; m.fetches(c) {
		r.backlog, r.last = true, r.deadline+fetchLonger
		n.fetching++
	} else {
		n.asked++
	}
	m.requests = append(m.requests, r)
	m.made = Control{Epoch: m.epoch, Has: HasRequest}
	m.made.Request.N = 1
	m.made.Request.List[0] = Ask{Seq: c.ID.Seq, Envelope: envelope, Set: set}
	m.send(now, p)
}

// arrived strikes fragment i of c off the requests at p and reports whether it was in one.
func (m *Machine) arrived(now int64, c *chunk, p Peer, i int) bool {
	for k := range m.requests {
		r := &m.requests[k]
		if r.p != p || r.seq != c.ID.Seq {
			continue
		}
		switch {
		case i == EnvelopeIndex && r.envelope:
			r.envelope = false
		case i >= 0 && r.set.has(i):
			r.set.unset(i)
			c.asked.unset(i)
		default:
			continue
		}
		if r.backlog {
			m.prolong(now, p)
		}
		m.settleRequest(k)
		return true
	}
	return false
}

// settleRequest removes request k if nothing of it is outstanding.
func (m *Machine) settleRequest(k int) {
	r := &m.requests[k]
	if r.envelope || !r.set.empty() {
		return
	}
	if r.backlog {
		m.n[r.p].fetching--
	} else {
		m.n[r.p].asked--
	}
	last := len(m.requests) - 1
	m.requests[k] = m.requests[last]
	m.requests = m.requests[:last]
}

// strike takes set and, if envelope, the envelope off request k and makes them free to be requested elsewhere.
func (m *Machine) strike(k int, envelope bool, set bitset) {
	r := &m.requests[k]
	if c := m.find(r.seq); c != nil {
		c.asked = c.asked.minus(bitset{set[0] & r.set[0], set[1] & r.set[1]})
		if envelope && r.envelope {
			c.envAsked = 0
		}
	}
	r.set = r.set.minus(set)
	r.envelope = r.envelope && !envelope
	m.settleRequest(k)
}

func (m *Machine) expireRequests(now int64) {
	for k := len(m.requests) - 1; k >= 0; k-- {
		if r := &m.requests[k]; now >= r.deadline {
			p := r.p
			m.strike(k, true, r.set)
			m.suspect(now, p)
		}
	}
}

// forget drops what is outstanding at p.
func (m *Machine) forget(p Peer) {
	for k := len(m.requests) - 1; k >= 0; k-- {
		if r := &m.requests[k]; r.p == p {
			m.strike(k, true, r.set)
		}
	}
	for s := range m.lanes {
		m.n[p].feeds &^= 1 << s
	}
	kept := m.held[:0]
	for _, x := range m.held {
		if x.from != p {
			kept = append(kept, x)
		}
	}
	m.held = kept
}

// absent notes that p will not send what we requested.
func (m *Machine) absent(now int64, p Peer, a *Asks) {
	for i := range a.List[:a.N] {
		x := &a.List[i]
		for k := len(m.requests) - 1; k >= 0; k-- {
			if r := &m.requests[k]; r.p == p && r.seq == x.Seq {
				if r.backlog && m.short(x) {
					m.n[p].fetchAfter = now + int64(m.cfg.Busy)
				}
				m.strike(k, x.Envelope, x.Set)
			}
		}
	}
}

// serve answers a request: what is here and young enough goes out while our uplink is not busy, once; the rest is
// answered with Absent, so that the asker can turn elsewhere at once.
func (m *Machine) serve(now int64, p Peer, a *Asks) {
	m.made = Control{Epoch: m.epoch}
	n := &m.n[p]
	for i := range a.List[:a.N] {
		x := &a.List[i]
		c := m.find(x.Seq)
		ok := c != nil && c.known && now-m.published(c) < int64(m.cfg.Backfill+m.cfg.Deadline)
		class, most := ClassRepair, int64(m.cfg.Busy)
		if ok && x.Envelope {
			if *m.sentEnvelope(c)&(1<<p) == 0 && !x.Set.empty() {
				class, most = ClassData, most+beginning(n)
			}
			m.sendEnvelope(now, c, p)
			x.Envelope = false
		}
		for f := x.Set.first(0); ok && f >= 0; f = x.Set.first(f + 1) {
			sent := m.sentTo(c, p)
			if !c.have.has(f) || sent.has(f) || m.busy-now > most || n.repairs >= maxRepairs {
				continue
			}
			n.repairs++
			sent.set(f)
			m.spend(now, c.bytes(f)+m.cfg.Overhead, class)
			m.act(Action{
				Kind: SendFragment, Class: class, Peer: p, ID: c.ID, Index: int16(f), Hops: c.maxHops,
				Age: time.Duration(now - m.published(c)),
			})
			x.Set.unset(f)
		}
		if x.Envelope || !x.Set.empty() {
			m.made.Has |= HasAbsent
			m.made.Absent.List[m.made.Absent.N] = *x
			m.made.Absent.N++
		}
	}
	if m.made.Has != 0 {
		m.send(now, p)
	}
}

// maxRepairs is how many fragments are served to one neighbour on request in a second.
const maxRepairs = 128
