package exchange

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// actor is a simulated peer: it answers orders after a while, or does not.
type actor struct {
	id    peer.ID
	has   func(i int) bool // blocks that it has
	sends func(i int) bool // of those, blocks that it sends when asked
	delay time.Duration    // for each block in its queue
	busy  time.Time
}

// event is an answer on its way.
type event struct {
	at    time.Time
	from  *actor
	block int // index, or -1
	have  int
	lacks int
}

// swarm runs a scheduler against actors in virtual time.
type swarm struct {
	t      *testing.T
	s      *scheduler
	now    time.Time
	cids   []cid.Cid
	data   [][]byte
	actors []*actor
	events []event
	got    []cid.Cid
	sent   map[peer.ID]int
}

func newSwarm(t *testing.T, n int, actors ...*actor) *swarm {
	data, cids := leaves(77, n, 20)
	w := &swarm{
		t: t, s: newScheduler(), now: time.Unix(1_790_000_000, 0), cids: cids, data: data, actors: actors,
		sent: map[peer.ID]int{},
	}
	for i, a := range actors {
		a.id = peer.ID(fmt.Sprintf("peer %d", i))
	}
	return w
}

func (w *swarm) neighbours(int) []peer.ID {
	var all []peer.ID
	for _, a := range w.actors {
		all = append(all, a.id)
	}
	return all
}

func (w *swarm) take(orders []order) {
	for _, o := range orders {
		at := slices.IndexFunc(w.actors, func(a *actor) bool { return a.id == o.to })
		a, i := w.actors[at], slices.Index(w.cids, o.c)
		answer := event{at: w.now.Add(20 * time.Millisecond), from: a, block: -1, have: -1, lacks: -1}
		switch {
		case o.kind == cancelWant:
			w.events = slices.DeleteFunc(w.events, func(e event) bool { return e.from == a && e.block == i && e.at.After(w.now.Add(time.Second)) })
			continue
		case !a.has(i):
			answer.lacks = i
		case o.kind == wantHave:
			answer.have = i
		case !a.sends(i):
			continue
		default:
			if a.busy.Before(w.now) {
				a.busy = w.now
			}
			a.busy = a.busy.Add(a.delay)
			answer.at, answer.block = a.busy.Add(20*time.Millisecond), i
		}
		w.events = append(w.events, answer)
	}
}

// check holds what must be true between any two steps.
func (w *swarm) check() {
	w.t.Helper()
	open := 0
	for p, src := range w.s.sources {
		open += len(src.open)
		if len(src.open) > windowMost {
			w.t.Fatalf("%d blocks asked of %s at once", len(src.open), p)
		}
		for c := range src.open {
			if want := w.s.wants[c]; want == nil {
				w.t.Fatal("asked for what nobody wants")
			} else if _, ok := want.asked[p]; !ok {
				w.t.Fatal("a source and a want disagree")
			}
		}
	}
	asked := 0
	for _, want := range w.s.wants {
		asked += len(want.asked)
		if len(want.asked) > 2 {
			w.t.Fatalf("asked %d peers for one block", len(want.asked))
		}
	}
	if open != asked {
		w.t.Fatalf("%d open, %d asked", open, asked)
	}
}

// run asks for everything and returns how long it took, or fails after most.
func (w *swarm) run(most time.Duration) time.Duration {
	w.t.Helper()
	start := w.now
	r := &request{arrived: make(chan blocks.Block, len(w.cids))}
	w.s.add(r, w.cids)
	for len(w.got) < len(w.cids) {
		orders, _ := w.s.schedule(w.now, w.neighbours, false)
		w.take(orders)
		w.check()
		next := w.now.Add(schedulerTick)
		slices.SortStableFunc(w.events, func(a, b event) int { return a.at.Compare(b.at) })
		for len(w.events) > 0 && !w.events[0].at.After(next) {
			e := w.events[0]
			w.events = w.events[1:]
			w.now = e.at
			switch {
			case e.block >= 0:
				b, _ := blocks.NewBlockWithCid(w.data[e.block], w.cids[e.block])
				w.sent[e.from.id]++
				more, _ := w.s.block(e.from.id, b, w.now)
				w.take(more)
			case e.have >= 0:
				w.s.presence(e.from.id, []cid.Cid{w.cids[e.have]}, nil, w.now)
			default:
				w.s.presence(e.from.id, nil, []cid.Cid{w.cids[e.lacks]}, w.now)
			}
			w.check()
			orders, _ := w.s.schedule(w.now, w.neighbours, false)
			w.take(orders)
		}
		w.now = next
		for len(r.arrived) > 0 {
			w.got = append(w.got, (<-r.arrived).Cid())
		}
		if w.now.Sub(start) > most {
			w.t.Fatalf("%d of %d blocks after %v", len(w.got), len(w.cids), most)
		}
	}
	seen := map[cid.Cid]bool{}
	for _, c := range w.got {
		if seen[c] {
			w.t.Fatal("a block twice")
		}
		seen[c] = true
	}
	if len(w.s.wants) != 0 {
		w.t.Fatal("wants left over")
	}
	return w.now.Sub(start)
}

func all(int) bool  { return true }
func none(int) bool { return false }

func TestSchedulerSharesBySpeed(t *testing.T) {
	quick, quicker := &actor{has: all, sends: all, delay: 40 * time.Millisecond}, &actor{has: all, sends: all, delay: 10 * time.Millisecond}
	w := newSwarm(t, 500, quick, quicker)
	took := w.run(time.Minute)
	t.Logf("%v; %v", took, w.sent)
	// Together 125 blocks a second: 4 s, and something for asking around and for starting slowly.
	if took > 6*time.Second {
		t.Errorf("took %v", took)
	}
	if w.sent[quicker.id] < 2*w.sent[quick.id] {
		t.Errorf("shared %v", w.sent)
	}
}

func TestSchedulerLosesLittleToLiars(t *testing.T) {
	for name, liar := range map[string]*actor{
		"says and never sends": {has: all, sends: none, delay: time.Millisecond},
		"withholds each third": {has: all, sends: func(i int) bool { return i%3 != 0 }, delay: time.Millisecond},
		"a block a minute":     {has: all, sends: all, delay: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			liar.busy = time.Time{}
			w := newSwarm(t, 300, liar, &actor{has: all, sends: all, delay: 20 * time.Millisecond})
			// The honest one alone needs 6 s.
			t.Logf("%v", w.run(25*time.Second))
		})
	}
}

// Whoever has a block and sends it is found, whatever the others do.
func TestSchedulerProperty(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 4))
		var actors []*actor
		for range 1 + r.IntN(6) {
			mod, lie := 1+r.IntN(4), 1+r.IntN(4)
			actors = append(actors, &actor{
				has:   func(i int) bool { return i%mod == 0 },
				sends: func(i int) bool { return i%lie != 0 },
				delay: time.Duration(1+r.IntN(200)) * time.Millisecond,
			})
		}
		actors = append(actors, &actor{has: all, sends: all, delay: time.Duration(1+r.IntN(100)) * time.Millisecond})
		r.Shuffle(len(actors), func(i, j int) { actors[i], actors[j] = actors[j], actors[i] })
		newSwarm(t, 1+r.IntN(200), actors...).run(10 * time.Minute)
	}
}

func TestSchedulerWithdraw(t *testing.T) {
	w := newSwarm(t, 10, &actor{has: all, sends: none})
	a, b := &request{arrived: make(chan blocks.Block, 10)}, &request{arrived: make(chan blocks.Block, 10)}
	w.s.hope(w.actors[0].id, w.now)
	if fresh := w.s.add(a, w.cids); len(fresh) != 10 {
		t.Errorf("%d new", len(fresh))
	}
	if fresh := w.s.add(b, w.cids[5:]); len(fresh) != 0 {
		t.Errorf("%d new", len(fresh))
	}
	if orders, _ := w.s.schedule(w.now, w.neighbours, false); len(orders) != windowFirst {
		t.Errorf("%d asked for at first", len(orders))
	}
	orders, gone := w.s.withdraw(a)
	if len(gone) != 5 || len(orders) != windowFirst || orders[0].kind != cancelWant {
		t.Errorf("%d gone, %v", len(gone), orders)
	}
	w.check()
	if _, gone := w.s.withdraw(b); len(gone) != 5 || len(w.s.wants) != 0 {
		t.Errorf("%d gone", len(gone))
	}
}

// The DHT is asked when nobody connected helps, less and less often.
func TestSchedulerSearches(t *testing.T) {
	w := newSwarm(t, 3)
	w.s.add(&request{}, w.cids)
	var at []time.Duration
	for d := time.Duration(0); d < 4*time.Minute; d += schedulerTick {
		if _, c := w.s.schedule(w.now.Add(d), w.neighbours, true); c.Defined() {
			at = append(at, d)
		}
	}
	if len(at) < 4 || len(at) > 10 || at[0] != searchAfter {
		t.Errorf("asked at %v", at)
	}
	if _, c := w.s.schedule(w.now.Add(time.Hour), w.neighbours, false); c.Defined() {
		t.Error("asked the DHT that is off")
	}
}
