package episub

import (
	"testing"
	"time"
)

// TestSpread is the plain case: everybody gets every chunk, once, soon, and the trees end at the origin.
func TestSpread(t *testing.T) {
	l := newLab(t, 1, 40, 2.5e6)
	l.wire(6)
	l.publish(80)
	l.run(22 * time.Second)
	for seq := uint64(40); seq < 80; seq++ {
		if n := l.missing(seq, 600*time.Millisecond); n > 0 {
			t.Errorf("chunk %d came late or never at %d peers", seq, n)
		}
	}
	if n := l.loops(); n > 0 {
		t.Errorf("%d lanes run in loops", n)
	}
}

// TestDeterministic wants the same actions for the same seed, and others for another.
func TestDeterministic(t *testing.T) {
	run := func(seed uint64) uint64 {
		l := newLab(t, seed, 20, 2.5e6)
		l.wire(5)
		l.publish(20)
		l.run(6 * time.Second)
		return l.trace
	}
	if a, b, c := run(7), run(7), run(8); a != b || a == c {
		t.Errorf("seed 7 gave %x and %x, seed 8 %x", a, b, c)
	}
}

// TestAtMostOnce wants every fragment to go to a child at most once, whatever is dropped.
func TestAtMostOnce(t *testing.T) {
	l := newLab(t, 2, 30, 2.5e6)
	l.drop = 0.02
	type sent struct {
		from, to int
		seq      uint64
		index    int16
	}
	seen := map[sent]int{}
	l.onSend = func(from, to int, a *Action) {
		if a.Kind == SendFragment {
			seen[sent{from, to, a.ID.Seq, a.Index}]++
		}
	}
	l.wire(6)
	l.publish(60)
	l.run(18 * time.Second)
	for k, n := range seen {
		if n > 1 {
			t.Fatalf("%+v went out %d times", k, n)
		}
	}
	if len(seen) < 30*60*16 {
		t.Errorf("only %d fragments were sent", len(seen))
	}
}

// TestBudget wants what a peer sends to stay within its budget and what may wait for the uplink, over any time, the
// origin and repairs included, with budgets that do not suffice.
func TestBudget(t *testing.T) {
	const budget = 450e3 // 3.6 Mbit/s: hardly more than the stream
	l := newLab(t, 3, 30, budget)
	type spent struct{ bytes, since float64 }
	used := make([]spent, 30)
	l.onSend = func(from, _ int, a *Action) {
		u := &used[from]
		now := l.now.Seconds()
		// A leaky bucket: it empties at the budget's rate, and must never hold more than the backlog allows.
		u.bytes = max(u.bytes-(now-u.since)*budget, 0)
		u.since = now
		size := float64(len(a.Data))
		if a.Kind == SendFragment {
			c := l.chunk(a.ID)
			size = float64(c.bytes(int(a.Index)))
		}
		u.bytes += size + 72
		if limit := budget*0.6 + 60e3; u.bytes > limit {
			t.Fatalf("peer %d has %.0f bytes waiting at %v, more than %.0f", from, u.bytes, l.now, limit)
		}
	}
	l.wire(6)
	l.publish(60)
	l.run(18 * time.Second)
}

// TestRecovers disturbs the network in many ways and wants, once that is over, every chunk at everybody again and no
// loops: eventual delivery under loss, delay and churn that leaves the graph connected.
func TestRecovers(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 4
	}
	for seed := range uint64(seeds) {
		l := newLab(t, 100+seed, 24, 2.5e6)
		l.wire(5)
		l.publish(140)
		l.run(4 * time.Second)
		l.drop = []float64{0, 0.01, 0.05, 0.15}[seed%4]
		for range 40 {
			l.run(time.Duration(l.rng.IntN(300)) * time.Millisecond)
			switch l.rng.IntN(4) {
			case 0: // a peer vanishes, another comes
				if p := l.peers[1+l.rng.IntN(len(l.peers)-1)]; !p.gone {
					l.kill(p)
					q := l.add(Config{ID: uint64(len(l.peers)) + 1, Seed: seed, Budget: 2.5e6})
					for range 5 {
						l.connect(q.id)
					}
				}
			case 1: // a link goes
				p := l.peers[l.rng.IntN(len(l.peers))]
				for slot := range p.m.n {
					if k := p.links[Peer(slot)]; k != nil && !p.gone && len(p.links) > 3 && len(l.peers[k.to].links) > 3 {
						l.cut(p, Peer(slot))
						break
					}
				}
			case 2: // a link comes
				if p := l.peers[l.rng.IntN(len(l.peers))]; !p.gone {
					l.connect(p.id)
				}
			case 3: // a delay changes
				p := l.peers[l.rng.IntN(len(l.peers))]
				for slot := range p.m.n {
					if k := p.links[Peer(slot)]; k != nil {
						k.delay = time.Duration(5+l.rng.IntN(300)) * time.Millisecond
						break
					}
				}
			}
		}
		l.drop = 0
		for _, p := range l.peers {
			for !p.gone && len(p.links) < 4 {
				before := len(p.links)
				if l.connect(p.id); len(p.links) == before {
					break
				}
			}
		}
		l.run(8 * time.Second)
		from := l.seq
		l.run(10 * time.Second)
		for seq := from; seq < l.seq-8; seq++ {
			if n := l.missing(seq, 2*time.Second); n > 0 {
				t.Errorf("seed %d: chunk %d came late or never at %d peers", seed, seq, n)
			}
		}
		if n := l.loops(); n > 0 {
			t.Errorf("seed %d: %d lanes run in loops", seed, n)
		}
		if l.seq < from+30 {
			t.Fatalf("seed %d: only %d chunks judged", seed, l.seq-from)
		}
	}
}

// TestLine is a graph without any choice: a chain, and a burst of dropped messages in it.
func TestLine(t *testing.T) {
	l := newLab(t, 5, 6, 2.5e6)
	for i := range 5 {
		l.link(i, i+1, 10*time.Millisecond)
	}
	l.publish(120)
	l.run(5 * time.Second)
	l.drop = 0.5
	l.run(5 * time.Second)
	l.drop = 0
	l.run(6 * time.Second)
	from := l.seq
	l.run(12 * time.Second)
	for seq := from; seq < l.seq-8; seq++ {
		if n := l.missing(seq, time.Second); n > 0 {
			t.Errorf("chunk %d came late or never at %d peers", seq, n)
		}
	}
}

// TestLiars has a fifth of the peers send garbage or nothing, and wants the honest ones served all the same.
func TestLiars(t *testing.T) {
	l := newLab(t, 6, 40, 2.5e6)
	for i, p := range l.peers[1:] {
		p.bad, p.mute = i%10 == 3, i%10 == 6
	}
	l.wire(7)
	l.publish(100)
	l.run(27 * time.Second)
	for seq := uint64(60); seq < 100; seq++ {
		if n := l.missing(seq, 1500*time.Millisecond); n > 0 {
			t.Errorf("chunk %d came late or never at %d honest peers", seq, n)
		}
	}
}

// TestNewEpoch has the origin come back without its state, and wants the viewers to follow it.
func TestNewEpoch(t *testing.T) {
	l := newLab(t, 8, 20, 2.5e6)
	l.wire(5)
	l.publish(40)
	l.run(11 * time.Second)
	o := l.peers[0]
	var to []int
	for slot := range o.m.n {
		if k := o.links[Peer(slot)]; k != nil {
			to = append(to, k.to)
			l.cut(o, Peer(slot))
		}
	}
	l.run(3 * time.Second)
	o.m = New(Config{ID: 1, Origin: true, Seed: 9, Budget: 2.5e6}, labHost{})
	for _, k := range to {
		l.link(0, k, 20*time.Millisecond)
	}
	l.epoch, l.seq = 7, 0
	l.publish(60)
	l.run(16 * time.Second)
	for seq := uint64(30); seq < 60; seq++ {
		if n := l.missing(seq, time.Second); n > 0 {
			t.Errorf("chunk %d of the new epoch came late or never at %d peers", seq, n)
		}
	}
}

// TestEpochBegins has the origin start a new epoch while it runs: already the first chunk goes down the trees, though its
// fragments and its envelope take different ways and either may be first.
func TestEpochBegins(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		l := newLab(t, seed, 20, 2.5e6)
		l.wire(5)
		l.publish(40)
		l.run(10 * time.Second)
		before := l.stats()
		l.epoch, l.seq = 7, 0
		l.publish(8)
		l.run(5 * time.Second)
		for seq := range uint64(8) {
			if n := l.missing(seq, 500*time.Millisecond); n > 0 {
				t.Errorf("seed %d: chunk %d of the new epoch came late or never at %d peers", seed, seq, n)
			}
		}
		if n := l.stats().Repaired - before.Repaired; n > 0 {
			t.Errorf("seed %d: %d fragments had to be requested", seed, n)
		}
	}
}

// TestLaneFromBefore has a viewer that has not heard of the new epoch ask the new origin for lanes: what is published
// goes to it, whatever number it asked from.
func TestLaneFromBefore(t *testing.T) {
	l := newLab(t, 3, 2, 2.5e6)
	l.link(0, 1, 10*time.Millisecond)
	l.publish(40)
	l.run(11 * time.Second)
	l.cut(l.peers[0], 0)
	l.peers[0].m = New(Config{ID: 1, Origin: true, Seed: 9, Budget: 2.5e6}, labHost{})
	l.link(0, 1, 10*time.Millisecond)
	l.epoch, l.seq = 7, 0
	l.publish(8)
	before := l.peers[1].m.Stats().Requested
	l.run(5 * time.Second)
	for seq := range uint64(8) {
		if l.missing(seq, 500*time.Millisecond) > 0 {
			t.Errorf("chunk %d of the new epoch came late or never", seq)
		}
	}
	if n := l.peers[1].m.Stats().Requested - before; n > 0 {
		t.Errorf("%d fragments had to be requested", n)
	}
}

// TestOnlyFeeder has the only neighbour with a feed fail again and again, and wants it asked all the same, at once; where
// there is another, it is avoided.
func TestOnlyFeeder(t *testing.T) {
	l := newLab(t, 3, 3, 2.5e6)
	l.link(0, 1, 10*time.Millisecond)
	l.publish(80)
	l.run(10 * time.Second)
	o, m := l.peers[0].m, l.peers[1].m
	fail := func() {
		now := int64(l.now)
		for range 6 {
			m.suspect(now, 0)
		}
		for s := range m.lanes {
			o.dropChild(s, 0)
			m.lane[s].parent = nobody
			m.n[0].feeds = 0
			m.lose(now, s)
		}
	}
	fail()
	l.run(700 * time.Millisecond)
	for s := range m.lanes {
		if _, fed := m.Parent(s); !fed {
			t.Errorf("lane %d has no feed, 700 ms after it was lost", s)
		}
	}
	l.link(0, 2, 10*time.Millisecond)
	l.link(1, 2, 10*time.Millisecond)
	l.run(6 * time.Second)
	for s := range m.lanes {
		for _, k := range m.lane[s].order { // what we feed the third one cannot come from it
			m.dropChild(s, k)
		}
	}
	m.suspect(int64(l.now), 0)
	for s := range m.lanes {
		if m.n[1].shows(s) && !m.avoided(int64(l.now), 0, s) {
			t.Errorf("lane %d would be asked of who failed, though another has it", s)
		}
	}
}

// TestGap has the origin pause for longer than the window, and go on.
func TestGap(t *testing.T) {
	l := newLab(t, 9, 20, 2.5e6)
	l.wire(5)
	l.publish(20)
	l.run(40 * time.Second)
	l.publish(20)
	l.run(7 * time.Second)
	for seq := uint64(28); seq < 40; seq++ {
		if n := l.missing(seq, time.Second); n > 0 {
			t.Errorf("chunk %d came late or never at %d peers", seq, n)
		}
	}
}
