package playlist

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const day = 24 * time.Hour

// TestBackfillIsAsIfSeen joins random broadcasts late, is told what was before, and says from then on, letter by letter,
// what a list says that was there from the start.
func TestBackfillIsAsIfSeen(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 7))
		published, _, target := broadcast(r, 400)
		published = slices.DeleteFunc(published, func(p Part) bool { return p.End })
		join := 100 + r.IntN(200)
		cfg := Config{PartTarget: target, Window: day}
		whole, late := mustNew(cfg), mustNew(cfg)
		c := newChecker(t)
		known := 1 + r.IntN(20) // parts that the newcomer has when history comes
		told := false
		for i, part := range published {
			at := part.Captured.Add(part.Length() + 2*time.Second*time.Duration(part.Epoch-published[0].Epoch))
			push(whole, part, at)
			if i < join {
				continue
			}
			push(late, part, at)
			if i < join+known || late.Empty() {
				continue
			}
			if !told {
				told = true
				history := slices.Clone(published[:i+1])
				r.Shuffle(len(history), func(i, j int) { history[i], history[j] = history[j], history[i] })
				if err := late.Backfill(history, at); err != nil {
					t.Fatal(err)
				}
			}
			text := late.Render(false)
			if want := whole.Render(false); !slices.Equal(text, want) {
				g, w := strings.Split(string(text), "\n"), strings.Split(string(want), "\n")
				for k := range min(len(g), len(w)) {
					if g[k] != w[k] {
						t.Fatalf("seed %d, part %d, line %d: got\n%s\nwant\n%s", seed, i, k,
							strings.Join(g[max(0, k-3):k+3], "\n"), strings.Join(w[max(0, k-3):k+3], "\n"))
					}
				}
			}
			if r.IntN(10) == 0 {
				c.reload(text)
			}
		}
		if err := late.Backfill(published, start); !errors.Is(err, ErrShown) {
			t.Errorf("after it was shown: %v", err)
		}
		rec, err := Recorded(cfg, published, start)
		if err != nil {
			t.Fatal(err)
		}
		whole.Finish(start)
		whole.Tick(start.Add(time.Hour))
		if got, want := rec.Render(false), whole.Render(false); !slices.Equal(got, want) {
			t.Fatalf("recorded:\n%s\nwant\n%s", got, want)
		}
	}
}

func push(p *Playlist, part Part, at time.Time) {
	if err := p.Push(part, at); err != nil {
		panic(err)
	}
	// Nothing is out of order here: what waits, waits for an epoch's end or a newcomer's backlog.
	if due, ok := p.Deadline(); ok {
		p.Tick(due)
	}
}

// TestBackfillRandom gives lists of random arrivals a random part of what was before, at a random time before they are
// shown, and holds every reload against the checker, whole and as a client sees it who asks for deltas.
func TestBackfillRandom(t *testing.T) {
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 11))
		published, arrivals, target := broadcast(r, 400)
		p := mustNew(Config{PartTarget: target, Window: []time.Duration{150 * time.Second, day}[r.IntN(2)]})
		var history []Part
		lossy := r.IntN(2) == 0
		for _, part := range published {
			if !lossy || r.IntN(15) > 0 {
				history = append(history, part)
			}
		}
		from := r.IntN(len(arrivals) / 2)
		shownAt := arrivals[from].at.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
		c, d := newChecker(t), client{t: t}
		play(p, arrivals[from:], func(now time.Time) {
			if p.Empty() || now.Before(shownAt) {
				return
			}
			if c.last == nil {
				if err := p.Backfill(history, now); err != nil {
					t.Fatal(err)
				}
			}
			m := c.reload(p.Render(false))
			if r.IntN(4) == 0 {
				d.reload(p, m)
			}
			for _, s := range m.Segments[:len(m.Segments)-1] {
				e, first, last, ok := ParseSegmentURI(s.URI)
				if parts, have := p.Segment(e, first, last); !s.Gap && (!ok || !have || len(parts) != int(last-first+1)) {
					t.Fatalf("%s is listed but not to be had", s.URI)
				}
			}
		})
		if p.folded == 0 && p.media > 5*time.Minute {
			t.Errorf("seed %d: nothing was folded", seed)
		}
	}
}

// client keeps a playlist by delta updates.
type client struct {
	t    *testing.T
	msn  uint64
	list []MediaSegment
}

func (c *client) reload(p *Playlist, whole *Media) {
	c.t.Helper()
	m, err := ParseMedia(p.Render(c.list != nil))
	if err != nil {
		c.t.Fatal(err)
	}
	list := m.Segments
	if m.Skipped > 0 {
		have := c.list[m.MediaSequence-c.msn:]
		if len(have) < m.Skipped || have[m.Skipped-1].URI == "" {
			c.list = nil
			return // a client that stayed away for too long asks for the whole
		}
		if m.SkipUntil == 0 || list[0].Discontinuity {
			c.t.Fatalf("delta %+v", m)
		}
		list = append(slices.Clone(have[:m.Skipped]), list...)
	}
	c.msn, c.list = m.MediaSequence, list
	if len(list) != len(whole.Segments) || m.DiscontinuitySequence != whole.DiscontinuitySequence {
		c.t.Fatalf("%d segments, whole %d", len(list), len(whole.Segments))
	}
	for i, s := range list {
		want := whole.Segments[i]
		if s.URI != want.URI || s.Discontinuity != want.Discontinuity || !s.Date.Equal(want.Date) || s.Duration != want.Duration {
			c.t.Fatalf("segment %d is %+v, want %+v", i, s, want)
		}
	}
}

// TestBackfillOfNothing keeps the list as it is.
func TestBackfillOfNothing(t *testing.T) {
	p, s := mustNew(Config{}), newStream()
	parts := s.take(40)
	feed(p, parts...)
	same := mustNew(Config{})
	feed(same, parts...)
	for _, history := range [][]Part{nil, parts, {{Epoch: 1, Independent: true}}, {s.end()}, parts[3:5]} {
		if err := p.Backfill(history, s.at); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := p.Render(false), same.Render(false); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestBackfillBounds tells lies about the past.
func TestBackfillBounds(t *testing.T) {
	s := newStream()
	s.epoch++
	live := s.take(20)
	list := func() *Playlist {
		p := mustNew(Config{Window: day})
		feed(p, live...)
		return p
	}
	part := Part{Epoch: 100, Timescale: 90000, Duration: 9000, Independent: true, Captured: start, Init: "a"}
	var holes, breaks, high []Part
	for i := range uint64(70_000) {
		part.Seq, part.DecodeTime, part.Discontinuity = i*20, i*20*22500, false
		holes = append(holes, part)
		part.Seq, part.Discontinuity = i, true
		breaks = append(breaks, part)
		part.Seq = 1<<53 - 1_000_000 + i
		high = append(high, part)
	}
	p := list()
	if err := p.Backfill(holes, start); err != nil && !errors.Is(err, ErrHistory) {
		t.Error(err)
	}
	if err := list().Backfill(breaks, start); !errors.Is(err, ErrHistory) {
		t.Error(err)
	}
	if p = list(); p.Backfill(high, start) != nil || p.segments[0].msn != 0 {
		t.Errorf("begins at %d", p.segments[0].msn)
	}
	p = list()
	if err := p.Backfill(holes[:1000], start); err != nil {
		t.Error(err)
	}
	gaps := 0
	for _, s := range p.segments {
		if s.gap {
			gaps += int(s.last - s.first)
		}
	}
	if gaps > 1500 {
		t.Errorf("%d gaps", gaps)
	}
}
