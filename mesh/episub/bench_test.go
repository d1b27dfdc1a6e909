package episub

import (
	"testing"
	"time"
)

// relayLab returns a machine that is fed all lanes by neighbour 0 and pushes each to kids others.
func relayLab(b testing.TB, kids int) *Machine {
	m := New(Config{ID: 1, Seed: 1, Budget: 1e9}, labHost{})
	now := time.Second
	for i := range kids + 1 {
		if _, _, ok := m.Up(now, uint64(i)+2, 20*time.Millisecond); !ok {
			b.Fatal("no room for neighbours")
		}
	}
	c := benchChunk(0)
	m.Envelope(now, 0, Header{ID: c.ID, Index: EnvelopeIndex}, c)
	for i := range c.Fragments {
		m.Fragment(now, 0, Header{ID: c.ID, Index: i}, nil)
	}
	for k := 1; k <= kids; k++ {
		w := Control{Has: HasWant, Want: Want{From: 1, N: MaxStripes}}
		for s := range MaxStripes {
			w.Want.Lanes[s] = WantLane{Lane: uint8(s), Limit: 0xffff}
		}
		m.Control(now, Peer(k), w.Append(nil))
	}
	for s := range MaxStripes {
		if m.Children(s) != kids {
			b.Fatalf("lane %d has %d children", s, m.Children(s))
		}
	}
	return m
}

func benchChunk(seq uint64) Chunk {
	return Chunk{
		ID: ID{Seq: seq}, Fragments: 16, FragmentSize: 5860, Size: 93_750, EnvelopeSize: 850,
		Time: time.Duration(seq) * 250 * time.Millisecond, Duration: 250 * time.Millisecond,
	}
}

// feedChunk hands m one chunk and returns the fragments it sent on.
func feedChunk(m *Machine, seq uint64) int {
	now := time.Second + time.Duration(seq)*250*time.Millisecond
	c := benchChunk(seq)
	sent := 0
	for k := range m.n {
		m.n[k].heard = int64(now)
	}
	m.Envelope(now, 0, Header{ID: c.ID, Index: EnvelopeIndex}, c)
	for i := range c.Fragments {
		sent += len(m.Fragment(now, 0, Header{ID: c.ID, Index: i}, nil))
	}
	return sent
}

// TestNoAllocation wants a fragment handled and forwarded without allocating.
func TestNoAllocation(t *testing.T) {
	m := relayLab(t, 5)
	seq := uint64(1)
	for range 64 {
		feedChunk(m, seq)
		seq++
	}
	if sent := feedChunk(m, seq); sent < 16*5 {
		t.Fatalf("forwarded only %d", sent)
	}
	if n := testing.AllocsPerRun(50, func() { seq++; feedChunk(m, seq) }); n > 0 {
		t.Errorf("%.1f allocations a chunk", n)
	}
}

// BenchmarkFragment is one fragment taken in and forwarded, hashing aside.
func BenchmarkFragment(b *testing.B) {
	for _, x := range []struct {
		name string
		kids int
	}{{"leaf", 0}, {"relay1", 1}, {"relay8", 8}} {
		b.Run(x.name, func(b *testing.B) {
			m := relayLab(b, x.kids)
			b.ReportAllocs()
			seq := uint64(1)
			for i := 0; i < b.N; i += 16 {
				feedChunk(m, seq)
				seq++
			}
		})
	}
}

// BenchmarkDuplicate is a fragment that was here already.
func BenchmarkDuplicate(b *testing.B) {
	m := relayLab(b, 1)
	feedChunk(m, 1)
	b.ReportAllocs()
	for b.Loop() {
		m.Fragment(2*time.Second, 0, Header{ID: ID{Seq: 1}, Index: 3}, nil)
	}
}

// BenchmarkControl is an advert taken in.
func BenchmarkControl(b *testing.B) {
	m := relayLab(b, 8)
	m.Fragment(time.Second, 0, Header{ID: ID{Seq: 0}, Index: 3}, nil)
	c := Control{Has: HasState, State: State{Newest: 1, Fed: 1<<17 - 1}}
	frame := c.Append(nil)
	b.ReportAllocs()
	now := time.Second
	for b.Loop() {
		now += 10 * time.Millisecond
		m.Control(now, 2, frame)
	}
}

// BenchmarkTick is a tick in a settled state with 24 neighbours.
func BenchmarkTick(b *testing.B) {
	m := relayLab(b, 23)
	for seq := uint64(1); seq < 20; seq++ {
		feedChunk(m, seq)
	}
	b.ReportAllocs()
	now := 6 * time.Second
	for b.Loop() {
		now += time.Microsecond
		m.Tick(now)
	}
}
