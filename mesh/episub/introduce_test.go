package episub

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// told makes a machine with neighbours that said what is given: their round trips from here, and the age of all their
// stripes.
func told(t *testing.T, change func(i int, s *State), says ...[2]time.Duration) *Machine {
	t.Helper()
	m := New(Config{ID: 1, Seed: 1}, labHost{})
	for i, x := range says {
		p, _, ok := m.Up(0, uint64(i)+2, x[0])
		if !ok {
			t.Fatal("no slot")
		}
		c := Control{Has: HasState, State: State{Newest: 9, Room: 40, Independent: 255, Fed: 1<<(MaxStripes+1) - 1}}
		for s := range c.State.Lanes {
			c.State.Lanes[s].Age = toAge(int64(x[1]))
		}
		if change != nil {
			change(i, &c.State)
		}
		m.Control(1, p, c.Append(nil))
	}
	return m
}

// at gives all stripes one age.
func at(age time.Duration) *Ages {
	var a Ages
	for s := range a {
		a[s] = age
	}
	return &a
}

const second, milli = time.Second, time.Millisecond

func TestSooner(t *testing.T) {
	says := [][2]time.Duration{{40 * milli, 30 * milli}, {40 * milli, 100 * milli}, {160 * milli, 30 * milli}, {20 * milli, 400 * milli}}
	for name, c := range map[string]struct {
		change func(i int, s *State)
		age    time.Duration
		want   []Peer
	}{
		"the best first":             {age: 300 * milli, want: []Peer{0, 2, 1}},
		"not the slower":             {age: 60 * milli},
		"not for a little":           {age: 150 * milli, want: []Peer{0}},
		"nobody for who has nothing": {age: -1},
		"not the origin": {age: 300 * milli, want: []Peer{2, 1}, change: func(i int, s *State) {
			if i == 0 {
				s.Lanes = [lanes]Lane{}
			}
		}},
		"not who has no room": {age: 300 * milli, want: []Peer{2, 1}, change: func(i int, s *State) {
			if i == 0 {
				s.Room = 0
			}
		}},
		"not who is not fed": {age: 300 * milli, want: []Peer{2, 1}, change: func(i int, s *State) {
			if i == 0 {
				s.Fed = 0
			}
		}},
		"the wait at it counts": {age: 300 * milli, want: []Peer{2, 1, 0}, change: func(i int, s *State) {
			if i == 0 {
				for l := range s.Lanes {
					s.Lanes[l].Relay = uint8(120 * milli / waitUnit)
				}
			}
		}},
	} {
		m := told(t, c.change, says...)
		if got := m.Sooner(1, 60*milli, at(c.age)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	m := told(t, nil, says...)
	if got := m.Sooner(stateLife+2, 60*milli, at(second)); len(got) != 0 {
		t.Errorf("who has not spoken for long is named: %v", got)
	}
	m.Misbehaved(1, 0, BadFragment)
	if got := m.Sooner(1, 60*milli, at(300*milli)); slices.Contains(got, 0) {
		t.Error("who misbehaved is named")
	}
	if got := m.Sooner(1, 60*milli, &Ages{0: 200 * milli, 1: -1}); len(got) == 0 {
		t.Error("nobody is named for one slow stripe")
	}
}

// TestSoonerIsMonotonous: who has its stripes later is told of no fewer, and who is farther away of no more.
func TestSoonerIsMonotonous(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	for range 200 {
		var says [][2]time.Duration
		for range 20 {
			says = append(says, [2]time.Duration{milli + upTo(300*milli), milli + upTo(500*milli)})
		}
		m := told(t, nil, says...)
		rtt, age := upTo(200*milli), upTo(600*milli)
		some := m.Sooner(1, rtt, at(age))
		for _, p := range some {
			if later := m.Sooner(1, rtt, at(age+upTo(100*milli))); !slices.Contains(later, p) {
				t.Fatalf("%v is not named to one whose stripes come later", p)
			}
		}
		for _, p := range m.Sooner(1, rtt+upTo(100*milli), at(age)) {
			if !slices.Contains(some, p) {
				t.Fatalf("%v is named only to one farther away", p)
			}
		}
	}
}

func TestAges(t *testing.T) {
	m := New(Config{ID: 1, Seed: 1, Stripes: 4}, labHost{})
	for s, age := range m.Ages() {
		if age >= 0 {
			t.Errorf("stripe %d comes at the age of %v though nobody is there", s, age)
		}
	}
	o := New(Config{ID: 1, Seed: 1, Origin: true}, labHost{})
	if o.Ages() != (Ages{}) {
		t.Errorf("the origin's ages are %v", o.Ages())
	}
}
