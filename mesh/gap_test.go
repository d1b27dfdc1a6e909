package mesh

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

func testGaps() (*gaps, time.Time) {
	return newGaps(rand.New(rand.NewPCG(1, 2)), gapGrace), time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
}

func at(epoch, seq uint64) envelope.ID { return envelope.ID{Epoch: epoch, Seq: seq} }

func TestGapIsAskedForAfterGraceInRuns(t *testing.T) {
	g, now := testGaps()
	g.arrived(at(1, 0), false, false, now)
	g.arrived(at(1, 100), false, false, now) // 99 missing
	if todo, again := g.next(now); len(todo) > 0 || again.Sub(now) < gapGrace || again.Sub(now) > gapGrace+gapJitter {
		t.Fatalf("at once: %v, again in %v", todo, again.Sub(now))
	}
	now = now.Add(gapGrace + gapJitter)
	g.arrived(at(1, 50), false, false, now) // one came late
	todo, _ := g.next(now)
	want := []fetch{
		{From: at(1, 1), To: at(1, 32)},
		{From: at(1, 33), To: at(1, 49)},
		{From: at(1, 51), To: at(1, 82)},
		{From: at(1, 83), To: at(1, 99)},
	}
	if len(todo) != len(want) {
		t.Fatalf("requests %v", todo)
	}
	for i := range want {
		if todo[i] != want[i] {
			t.Errorf("request %v instead of %v", todo[i], want[i])
		}
	}
	if more, _ := g.next(now); len(more) > 0 {
		t.Errorf("asked twice: %v", more)
	}
	// The first brings all, the second nothing: its chunks are asked for again at once, then with pauses.
	for seq := uint64(1); seq <= 32; seq++ {
		g.arrived(at(1, seq), false, false, now)
	}
	g.done(todo[0], true, 32, now)
	g.done(todo[1], true, 0, now)
	more, _ := g.next(now)
	if len(more) != 1 || more[0] != todo[1] {
		t.Fatalf("again: %v", more)
	}
	g.done(more[0], false, 0, now)
	if more, again := g.next(now); len(more) > 0 || again.Sub(now) <= 0 || again.Sub(now) > 2*gapRetry+gapRetry {
		t.Errorf("after a failure: %v in %v", more, again.Sub(now))
	}
	// Nothing helps: declared missed at the deadline.
	g.done(todo[2], false, 0, now)
	g.done(todo[3], false, 0, now)
	if _, again := g.next(now.Add(gapDeadline)); !again.IsZero() && len(g.missing) > 0 {
		t.Errorf("%d still missing", len(g.missing))
	}
	if g.missed != 17+32+17 {
		t.Errorf("missed %d", g.missed)
	}
}

func TestGapBounds(t *testing.T) {
	g, now := testGaps()
	g.arrived(at(1, 5), false, false, now)
	g.arrived(at(1, 1<<62), false, false, now)
	if len(g.missing) > gapMax || g.missed != 1<<62-6-gapMax {
		t.Errorf("%d missing, %d missed", len(g.missing), g.missed)
	}
	for e := range uint64(100) {
		g.arrived(at(2+e, 1<<40), false, false, now)
	}
	if len(g.missing) > gapMax || len(g.tops) > 4 || len(g.tails) > 4 {
		t.Errorf("%d missing, %d epochs, %d tails", len(g.missing), len(g.tops), len(g.tails))
	}
	// An old chunk from nowhere does not start a hunt for all that came after it.
	before := len(g.missing)
	g.arrived(at(0, 3), false, false, now)
	g.arrived(at(0, 1), false, true, now)
	if len(g.missing) != before {
		t.Errorf("%d missing after %d", len(g.missing), before)
	}
}

func TestBacklogMovesTheBeginning(t *testing.T) {
	g, now := testGaps()
	g.arrived(at(1, 40), false, false, now) // by the topic, while the backlog was on its way
	for seq := uint64(16); seq < 39; seq++ {
		g.arrived(at(1, seq), false, true, now)
	}
	if g.base != at(1, 16) || len(g.missing) != 1 || g.missing[at(1, 39)] == nil {
		t.Errorf("base %v, missing %v", g.base, g.missing)
	}
}

func TestStallIsProbedWithGrowingPauses(t *testing.T) {
	g, now := testGaps()
	g.arrived(at(1, 7), false, false, now)
	begin := now
	var when []time.Duration
	for len(when) < 6 {
		todo, again := g.next(now)
		for _, f := range todo {
			if f.kind != fetchProbe || f.From != at(1, 8) {
				t.Fatalf("request %v", f)
			}
			when = append(when, now.Sub(begin))
			g.done(f, true, 0, now)
			_, again = g.next(now)
		}
		now = again
	}
	for i, w := range []time.Duration{1200, 3600, 8400, 16400, 24400, 32400} {
		if when[i] != w*time.Millisecond {
			t.Errorf("probe %d after %v instead of %v", i, when[i], w*time.Millisecond)
		}
	}
	g.arrived(at(1, 8), true, false, now) // the end mark
	if todo, again := g.next(now.Add(time.Hour)); len(todo) > 0 || !again.IsZero() {
		t.Errorf("after the end: %v, %v", todo, again)
	}
}

// TestGapsProperty: whatever the order, the loss and the answers, every chunk below the newest has arrived, is missing,
// or was given up on; requests under way stay bounded; and none is asked for twice at a time.
func TestGapsProperty(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 9))
		g, now := testGaps()
		here := map[envelope.ID]bool{}
		epoch, top := uint64(1), uint64(0)
		var open []fetch
		come := func(id envelope.ID) {
			if !here[id] {
				here[id] = true
				g.arrived(id, false, false, now)
			}
		}
		come(at(epoch, 0))
		for range 300 {
			now = now.Add(time.Duration(rng.IntN(300)) * time.Millisecond)
			switch rng.IntN(10) {
			case 0:
				if rng.IntN(8) == 0 {
					epoch, top = epoch+1, 0
					come(at(epoch, uint64(rng.IntN(3))))
				}
			case 1:
				if len(open) > 0 {
					f := open[0]
					open = open[1:]
					got := 0
					if rng.IntN(2) == 0 && f.kind == fetchGap {
						for s := f.From.Seq; s <= f.To.Seq; s++ {
							come(at(f.From.Epoch, s))
							got++
						}
					}
					g.done(f, rng.IntN(3) > 0, got, now)
				}
			default:
				top += 1 + uint64(rng.IntN(6)/5*rng.IntN(10))
				if g.tops[epoch] > top {
					top = g.tops[epoch] + 1
				}
				come(at(epoch, top))
			}
			todo, again := g.next(now)
			if !again.IsZero() && !again.After(now) {
				t.Fatalf("seed %d: next wants to be called again at once", seed)
			}
			open = append(open, todo...)
			if len(open) > gapOpen || g.open != len(open) {
				t.Fatalf("seed %d: %d requests under way, %d counted", seed, len(open), g.open)
			}
			asked := map[envelope.ID]bool{}
			for _, f := range open {
				if f.kind != fetchGap {
					continue
				}
				for s := f.From.Seq; s <= f.To.Seq; s++ {
					if asked[at(f.From.Epoch, s)] {
						t.Fatalf("seed %d: asked twice for %d", seed, s)
					}
					asked[at(f.From.Epoch, s)] = true
				}
			}
		}
		lost := 0
		for e, top := range g.tops {
			for s := uint64(0); s <= top; s++ {
				if id := at(e, s); !here[id] && g.missing[id] == nil {
					lost++
				} else if here[id] && g.missing[id] != nil {
					t.Fatalf("seed %d: %v arrived and is missing", seed, id)
				}
			}
		}
		if uint64(lost) > g.missed {
			t.Fatalf("seed %d: %d chunks forgotten, %d declared missed", seed, lost, g.missed)
		}
	}
}

// TestRecall: what a newcomer would like to have of the past is asked for at once, in short runs, without what is here
// already; where nobody has it, it is not missed, and released, it is not asked for again.
func TestRecall(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	g := newGaps(rand.New(rand.NewPCG(1, 2)), stripesGrace)
	here := func(id envelope.ID) bool { return id == at(1, 42) }
	g.reach(at(1, 48), here, now)
	g.arrived(at(1, 50), false, false, now) // 48 and 49 are on their way
	g.recall(at(1, 40), here, now)
	todo, _ := g.next(now)
	want := []fetch{
		{at(1, 40), at(1, 41), fetchBack}, {at(1, 43), at(1, 46), fetchBack}, {at(1, 47), at(1, 47), fetchBack},
	}
	if !slices.Equal(todo, want) {
		t.Fatalf("asked for %v", todo)
	}
	for seq := uint64(43); seq <= 47; seq++ {
		g.arrived(at(1, seq), false, true, now)
	}
	for i, got := range []int{0, 4, 1} {
		g.done(todo[i], true, got, now)
	}
	if todo, _ = g.next(now); !slices.Equal(todo, want[:1]) || !g.recalling() {
		t.Errorf("asked again for %v", todo)
	}
	g.release()
	g.done(want[0], true, 0, now)
	if todo, _ = g.next(now.Add(time.Second)); len(todo) > 0 || g.recalling() {
		t.Errorf("released, and asked for %v", todo)
	}
	todo, _ = g.next(now.Add(floorGrace))
	if len(todo) == 0 || todo[0] != (fetch{at(1, 48), at(1, 49), fetchGap}) {
		t.Errorf("what the floor left is not asked for: %v", todo)
	}

	g.recall(at(1, 36), here, now)
	g.arrived(at(1, 48), false, false, now)
	g.arrived(at(1, 49), false, false, now)
	if _, _ = g.next(now.Add(time.Minute)); g.missed != 0 || g.recalling() {
		t.Errorf("missed %d", g.missed)
	}
}
