package playlist

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func last(t *testing.T, p *Playlist) MediaSegment {
	t.Helper()
	m := newChecker(t).reload(p.Render(false))
	if len(m.Segments) == 0 {
		t.Fatal("nothing listed")
	}
	return m.Segments[len(m.Segments)-1]
}

// TestGrace checks when a missing part becomes a gap: one second after a later one came, not earlier.
func TestGrace(t *testing.T) {
	p, s := mustNew(Config{}), newStream()
	parts := s.take(12)
	feed(p, parts[:3]...)
	now := feed(p, parts[4]) // 3 is missing
	due, ok := p.Deadline()
	if !ok || !due.Equal(now.Add(time.Second)) {
		t.Fatalf("deadline %v %v", due, ok)
	}
	feed(p, parts[5:7]...)
	if again, _ := p.Deadline(); !again.Equal(due) {
		t.Fatalf("deadline moved to %v", again)
	}
	p.Tick(due.Add(-1))
	if got := len(last(t, p).Parts); got != 3 {
		t.Fatalf("%d parts before the grace is over", got)
	}
	p.Tick(due)
	seg := last(t, p)
	if len(seg.Parts) != 4 || !seg.Parts[0].Gap || seg.Parts[0].URI != "p-100-3.m4s" || seg.Parts[0].Duration != 250*time.Millisecond {
		t.Fatalf("%+v", seg)
	}
	// Too late: the gap stays.
	if err := p.Push(parts[3], due.Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Part(parts[3].ID()); ok || p.Stats().Late != 1 {
		t.Errorf("a gap was filled: %+v", p.Stats())
	}
	if _, ok := p.Deadline(); ok {
		t.Error("a deadline without a hole")
	}
	if _, ok := p.Segment(100, 3, 7); ok {
		t.Error("a segment with a gap is to be had")
	}
	if _, ok := p.Segment(100, 0, 2); !ok {
		t.Error("what came before the gap is not to be had")
	}
}

// TestReorder checks that a late part within the grace leaves no trace.
func TestReorder(t *testing.T) {
	p, q, s := mustNew(Config{}), mustNew(Config{}), newStream()
	parts := s.take(30)
	feed(p, parts...)
	for i := range parts {
		feed(q, parts[i^1])
	}
	if a, b := string(p.Render(false)), string(q.Render(false)); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

// TestLostDiscontinuity checks that players are told of a new timeline although the chunk that said so was lost.
func TestLostDiscontinuity(t *testing.T) {
	p, s := mustNew(Config{}), newStream()
	feed(p, s.take(10)...)
	s.interrupt(time.Second, "b")
	s.take(1)
	now := feed(p, s.take(10)...)
	p.Tick(now.Add(time.Second))
	m := newChecker(t).reload(p.Render(false))
	found := false
	for _, seg := range m.Segments {
		found = found || seg.Discontinuity && seg.Init == "init-b.mp4"
	}
	if !found {
		t.Errorf("%+v", m)
	}
}

// TestLongHole checks that a long absence is one discontinuity, not a thousand gaps.
func TestLongHole(t *testing.T) {
	p, s := mustNew(Config{}), newStream()
	feed(p, s.take(20)...)
	s.take(4000)
	now := feed(p, s.take(20)...)
	p.Tick(now.Add(time.Second))
	m := newChecker(t).reload(p.Render(false))
	if got := p.Stats(); got.Gaps != 0 || got.Skipped < 4000 {
		t.Errorf("%+v", got)
	}
	if seg := m.Segments[len(m.Segments)-1]; !seg.Parts[0].Independent {
		t.Errorf("%+v", seg)
	}
}

// TestBegin checks where a newcomer's list begins.
func TestBegin(t *testing.T) {
	s := newStream()
	s.seq, s.since = 812, 3 // 817, 825, ... are independent
	parts := s.take(30)

	t.Run("backlog first", func(t *testing.T) {
		p := mustNew(Config{})
		for _, part := range parts {
			if err := p.Push(part, start); err != nil {
				t.Fatal(err)
			}
		}
		if first, _ := p.First(); first.Seq != 817 {
			t.Errorf("begins at %d", first.Seq)
		}
		if msn := newChecker(t).reload(p.Render(false)).MediaSequence; msn != 817 {
			t.Errorf("first number %d", msn)
		}
	})
	t.Run("live first", func(t *testing.T) {
		p := mustNew(Config{})
		for i := range parts {
			if err := p.Push(parts[len(parts)-1-i], start.Add(time.Duration(i)*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		if first, _ := p.First(); !p.Empty() && first.Seq != 833 {
			t.Errorf("begins at %d", first.Seq)
		}
		due, _ := p.Deadline()
		p.Tick(due)
		if first, ok := p.First(); !ok || first.Seq > 833 {
			t.Errorf("begins at %d", first.Seq)
		}
	})
	t.Run("no keyframe", func(t *testing.T) {
		p := mustNew(Config{})
		feed(p, parts[:5]...)
		if !p.Empty() {
			t.Error("begins without a random access point")
		}
		if _, ok := p.Deadline(); ok {
			t.Error("waits for the clock")
		}
	})
	t.Run("only the end", func(t *testing.T) {
		p := mustNew(Config{})
		feed(p, s.end())
		due, _ := p.Deadline()
		p.Tick(due)
		if !p.Ended() {
			t.Error("the end mark did not end it")
		}
	})
}

func TestSegmentLengths(t *testing.T) {
	for _, c := range []struct {
		gop  int // parts of 250 ms
		want time.Duration
	}{
		{1, 1750 * time.Millisecond},
		{2, 2 * time.Second},
		{3, 2250 * time.Millisecond},
		{4, 2 * time.Second},
		{5, 1250 * time.Millisecond},
		{6, 1500 * time.Millisecond},
		{8, 2 * time.Second},
	} {
		p, s := mustNew(Config{}), newStream()
		s.gop = c.gop
		feed(p, s.take(200)...)
		m := newChecker(t).reload(p.Render(false))
		if !m.Independent || m.Segments[3].Duration != c.want {
			t.Errorf("keyframes every %d parts: segments of %v, want %v (independent %v)", c.gop, m.Segments[3].Duration, c.want, m.Independent)
		}
	}
}

func TestTargetDuration(t *testing.T) {
	for _, c := range []struct {
		gop, n int
		want   time.Duration
	}{{8, 30, 2 * time.Second}, {16, 40, 4 * time.Second}, {40, 100, 10 * time.Second}, {1000, 1000, 10 * time.Second}, {9, 30, 2 * time.Second}, {11, 30, 3 * time.Second}} {
		s := newStream()
		s.gop = c.gop
		backlog := s.take(c.n)
		if got, known := TargetDuration(backlog); got != c.want || known != (c.gop < c.n) {
			t.Errorf("keyframes every %d parts: %v %v, want %v", c.gop, got, known, c.want)
		}
		shuffled := slices.Clone(backlog)
		slices.Reverse(shuffled)
		if got, _ := TargetDuration(shuffled); got != c.want {
			t.Errorf("keyframes every %d parts, shuffled: %v", c.gop, got)
		}
		if got, known := TargetDuration([]Part{backlog[0], backlog[len(backlog)-1]}); got != 2*time.Second || known {
			t.Errorf("with a hole: %v %v", got, known)
		}
		p := mustNew(Config{TargetDuration: c.want})
		feed(p, backlog...)
		if m := newChecker(t).reload(p.Render(false)); !m.Independent && c.gop <= 40 {
			t.Errorf("keyframes every %d parts: not independent", c.gop)
		}
	}
}

// TestDates checks that dates follow capture time without its jitter: a publisher's stall and burst does not show, a
// clock that is 200 ppm off is followed, a step is taken over.
func TestDates(t *testing.T) {
	p, s := mustNew(Config{}), newStream()
	feed(p, s.take(100)...)
	for range 4 { // a burst: 3 s late, then in time again
		part := s.next()
		part.Captured = part.Captured.Add(3 * time.Second)
		feed(p, part)
	}
	feed(p, s.take(4)...)
	part := s.next()
	now := feed(p, part)
	check := func(at time.Time, tolerance time.Duration) {
		t.Helper()
		m, err := ParseMedia(p.Render(false)) // not the checker: the step shows
		if err != nil {
			t.Fatal(err)
		}
		seg := m.Segments[len(m.Segments)-1]
		d := seg.Date
		for _, x := range seg.Parts {
			d = d.Add(x.Duration)
		}
		if got := d.Sub(at).Abs(); got > tolerance {
			t.Errorf("dated %v, captured %v", d, at)
		}
	}
	check(now, 20*time.Millisecond)
	for range 4000 { // drift
		s.at = s.at.Add(50 * time.Microsecond)
		now = feed(p, s.next())
	}
	check(now, 20*time.Millisecond)
	s.at = s.at.Add(-5 * time.Second) // step
	for range 40 {
		now = feed(p, s.next())
	}
	check(now, 20*time.Millisecond)
}

func TestRefused(t *testing.T) {
	p := mustNew(Config{})
	good := newStream().next()
	for name, change := range map[string]func(*Part){
		"timescale": func(p *Part) { p.Timescale = 0 },
		"coarse":    func(p *Part) { p.Timescale = 1 },
		"duration":  func(p *Part) { p.Duration = 0 },
		"init":      func(p *Part) { p.Init = "" },
		"long":      func(p *Part) { p.Duration = 90000 * 3 },
		"huge":      func(p *Part) { p.Duration = 1<<32 - 1 },
	} {
		part := good
		change(&part)
		if err := p.Push(part, start); !errors.Is(err, ErrPart) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{}); !errors.Is(err, ErrConfig) {
		t.Errorf("no part target: %v", err)
	}
	if _, err := New(Config{PartTarget: 3 * time.Second}); !errors.Is(err, ErrConfig) {
		t.Errorf("part target above target duration: %v", err)
	}
}

// TestBounded checks that a long broadcast, and chunks from far in the future, do not fill the memory.
func TestBounded(t *testing.T) {
	p, s := mustNew(Config{Window: 10 * time.Second}), newStream()
	feed(p, s.take(5000)...)
	if len(p.segments) > 8 || len(p.retired) > 12 {
		t.Errorf("%d segments, %d retired", len(p.segments), len(p.retired))
	}
	part := s.next()
	for i := range uint64(3 * maxWaiting) {
		part.Seq = 1<<40 + 2*i
		part.Independent = false
		if err := p.Push(part, part.Captured); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.waiting) > maxWaiting {
		t.Errorf("%d parts wait", len(p.waiting))
	}
}

func TestAfter(t *testing.T) {
	p, s := mustNew(Config{}), newStream()
	parts := s.take(40)
	feed(p, parts[:20]...)
	now := feed(p, parts[22:]...)
	p.Tick(now.Add(time.Second))
	var got []uint64
	for id := (ID{}); ; {
		part, ok := p.After(id)
		if !ok {
			break
		}
		got = append(got, part.Seq)
		id = part.ID()
	}
	if len(got) != 38 || got[19] != 19 || got[20] != 22 {
		t.Errorf("%v", got)
	}
}

func TestURIs(t *testing.T) {
	if id, ok := ParsePartURI(PartURI(ID{1763823425, 812})); !ok || id != (ID{1763823425, 812}) {
		t.Error(id, ok)
	}
	if e, f, l, ok := ParseSegmentURI(SegmentURI(7, 8, 15)); !ok || e != 7 || f != 8 || l != 15 {
		t.Error(e, f, l, ok)
	}
	if n, ok := ParseInitURI(InitURI("bafy")); !ok || n != "bafy" {
		t.Error(n, ok)
	}
	for _, bad := range []string{"", "p-1.m4s", "p-1-2", "p-01-2.m4s", "p--1-2.m4s", "p-1-+2.m4s", "p-1-2-3.m4s", "p-1-99999999999999999999.m4s"} {
		if _, ok := ParsePartURI(bad); ok {
			t.Errorf("%q", bad)
		}
	}
	if _, _, _, ok := ParseSegmentURI("s-1-9-8.m4s"); ok {
		t.Error("segment that ends before it begins")
	}
}
