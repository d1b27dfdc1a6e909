package episub

import (
	"math/bits"
	"testing"
	"time"
)

// TestBehind has a parent that was asked for the better be slower than the old one: after a second chunk the change is off,
// the old parent stays, and the other is not taken for one that breaks promises.
func TestBehind(t *testing.T) {
	l := newLab(t, 3, 3, 2.5e6)
	l.link(0, 1, 10*time.Millisecond)
	l.link(0, 2, 10*time.Millisecond)
	l.link(1, 2, 10*time.Millisecond)
	l.publish(40)
	l.run(8 * time.Second)
	m, now, s := l.peers[2].m, int64(l.now), 5
	parent, fed := m.Parent(s)
	if !fed {
		t.Fatal("the lane is not fed")
	}
	other := 1 - parent
	m.begin()
	m.ask(now, s, other, 0xffff)
	m.beaten(now, s, 100)
	m.beaten(now, s, 100) // another fragment of the same chunk
	if m.lane[s].next != other {
		t.Fatal("the change was off after one chunk")
	}
	m.beaten(now, s, 101)
	m.end(now)
	if m.lane[s].next != nobody {
		t.Error("the change goes on after two chunks")
	}
	if p, fed := m.Parent(s); p != parent || !fed {
		t.Error("the old parent was lost")
	}
	n := &m.n[other]
	if n.avoid > now || n.strikes > 0 {
		t.Error("who was slower is avoided")
	}
	if n.refused[s] <= now || n.feeds&(1<<s) != 0 {
		t.Error("who was slower may be asked again at once")
	}
}

// TestLossy: where packets are lost, a second lane on a connection costs more.
func TestLossy(t *testing.T) {
	m := New(Config{ID: 1, Seed: 1}, labHost{})
	n := &neighbour{rtt: 200e6}
	fine := m.spread(n, 1)
	m.SetLoss(0.01)
	if poor := m.spread(n, 1); poor <= fine {
		t.Errorf("a second lane costs %v on a lossy link and %v on a good one", time.Duration(poor), time.Duration(fine))
	}
	m.SetLoss(0)
	if again := m.spread(n, 1); again != fine {
		t.Error("a loss that is over counts")
	}
}

// TestOriginShare: where packets are lost, the origin pushes fewer stripes to one neighbour.
func TestOriginShare(t *testing.T) {
	for loss, want := range map[float64]int{0: originShare, 0.01: lossyShare} {
		m := New(Config{ID: 1, Seed: 1, Origin: true, Budget: 12.5e6}, labHost{})
		m.SetLoss(loss)
		for id := range uint64(40) {
			m.Up(0, id+2, 20*time.Millisecond)
		}
		for s := range 2 * want { // nobody has these yet: all of them are given
			m.addChild(s, Peer(10+s))
		}
		asker := Peer(1)
		for s := range 2 * want {
			if m.rationed(asker, s) == 0 {
				m.addChild(s, asker)
			}
		}
		if _, to := m.Carries(asker); bits.OnesCount32(to) != want {
			t.Errorf("with a loss of %v the origin gives %b to one neighbour, want %d stripes", loss, to, want)
		}
	}
}
