package playlist

import (
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"
)

// event is a part that arrives.
type event struct {
	Part
	at time.Time
}

// broadcast makes a random broadcast: what the origin published, and what arrived here when.
func broadcast(r *rand.Rand, parts int) (published []Part, arrivals []event, target time.Duration) {
	s := newStream()
	scales := []struct {
		scale, part uint32
		target      time.Duration
	}{{90000, 22500, 250 * time.Millisecond}, {90000, 22522, 250245 * time.Microsecond}, {1000, 267, 269 * time.Millisecond}, {48000, 12288, 256 * time.Millisecond}}
	pick := scales[r.IntN(len(scales))]
	s.scale, s.part = pick.scale, pick.part
	s.gop = []int{1, 2, 3, 4, 5, 7, 8, 8, 8, 11, 20}[r.IntN(11)]
	s.seq = []uint64{0, 0, 812}[r.IntN(3)]
	s.since = r.IntN(s.gop)
	if s.seq == 0 {
		s.since = 0
	}
	loss, jitter := 0.0, time.Duration(r.IntN(600))*time.Millisecond
	if r.IntN(2) == 0 {
		loss = r.Float64() * 0.1
	}
	for range parts {
		switch r.IntN(60) {
		case 0:
			s.interrupt(time.Duration(r.IntN(12000))*time.Millisecond, []string{"a", "b"}[r.IntN(2)])
		case 1:
			if r.IntN(2) == 0 {
				s.restart(time.Duration(r.IntN(8000)) * time.Millisecond)
			}
		case 2:
			s.since = 0 // a scene change brings a keyframe
		}
		part := s.next()
		// Network jitter at the ingest.
		part.Captured = part.Captured.Add(time.Duration(r.IntN(40)) * time.Millisecond)
		published = append(published, part)
	}
	published = append(published, s.end())
	hole := -1
	for i, part := range published {
		if i > 0 && hole < 0 && r.IntN(200) == 0 {
			hole = i + r.IntN(40) // everything is lost for a while
		}
		if i < hole || r.Float64() < loss {
			continue
		}
		if i >= hole {
			hole = -1
		}
		at := part.Captured.Add(part.Length() + time.Duration(r.Int64N(int64(jitter+1))))
		if r.IntN(50) == 0 {
			at = at.Add(time.Duration(r.IntN(2500)) * time.Millisecond) // very late
		}
		arrivals = append(arrivals, event{part, at})
		if r.IntN(10) == 0 {
			arrivals = append(arrivals, event{part, at.Add(time.Duration(r.IntN(300)) * time.Millisecond)})
		}
	}
	sort.SliceStable(arrivals, func(i, j int) bool { return arrivals[i].at.Before(arrivals[j].at) })
	return published, arrivals, pick.target
}

// play runs the arrivals through a playlist, ticking when it asks for it, and calls show after every change.
func play(p *Playlist, arrivals []event, show func(now time.Time)) {
	version := p.Version()
	changed := func(now time.Time) {
		if p.Version() != version {
			version = p.Version()
			show(now)
		}
	}
	tick := func(until time.Time) {
		for {
			due, ok := p.Deadline()
			if !ok || due.After(until) {
				return
			}
			p.Tick(due)
			changed(due)
		}
	}
	for _, a := range arrivals {
		tick(a.at)
		if err := p.Push(a.Part, a.at); err != nil {
			panic(err)
		}
		changed(a.at)
	}
	tick(start.Add(1000 * time.Hour))
}

// TestRandom plays random broadcasts, arrival orders, losses, discontinuities and epochs, and holds every reload
// against the checker.
func TestRandom(t *testing.T) {
	runs := 100
	if testing.Short() {
		runs = 40
	}
	var seen Stats
	for seed := range uint64(runs) {
		r := rand.New(rand.NewPCG(seed, 1))
		published, arrivals, target := broadcast(r, 200)
		window := []time.Duration{8 * time.Second, 20 * time.Second, time.Minute}[r.IntN(3)]
		p := mustNew(Config{PartTarget: target, Window: window})
		c := newChecker(t)
		byID := map[string]Part{}
		for _, part := range published {
			byID[PartURI(part.ID())] = part
		}
		listedAt := map[string]time.Time{}
		play(p, arrivals, func(now time.Time) {
			if p.Empty() {
				return
			}
			m := c.reload(p.Render(false))
			checkTruth(t, p, m, byID, listedAt, now)
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		checkPrompt(t, seed, arrivals, listedAt)
		if !p.Ended() && arrivals[len(arrivals)-1].End {
			t.Fatalf("seed %d did not end", seed)
		}
		got := p.Stats()
		seen.Listed += got.Listed
		seen.Gaps += got.Gaps
		seen.Late += got.Late
		seen.Skipped += got.Skipped
		seen.Duplicates += got.Duplicates
	}
	if seen.Gaps == 0 || seen.Late == 0 || seen.Skipped == 0 || seen.Duplicates == 0 || seen.Listed < uint64(runs)*50 {
		t.Errorf("the random broadcasts do not try everything: %+v", seen)
	}
	t.Logf("%+v", seen)
}

// checkTruth holds what the list says against what was published.
func checkTruth(t *testing.T, p *Playlist, m *Media, published map[string]Part, listedAt map[string]time.Time, now time.Time) {
	t.Helper()
	for _, s := range m.Segments {
		if s.Gap || slices.ContainsFunc(s.Parts, func(p MediaPart) bool { return p.Gap }) {
			continue
		}
		at := s.Date
		for _, part := range s.Parts {
			truth, ok := published[part.URI]
			if !ok {
				t.Fatalf("%s was never published", part.URI)
			}
			if truth.Independent != part.Independent || InitURI(truth.Init) != s.Init {
				t.Fatalf("%s: %+v, published %+v", part.URI, part, truth)
			}
			// The published dates jitter by 40 ms.
			if d := at.Sub(truth.Captured).Abs(); d > 60*time.Millisecond {
				t.Fatalf("%s is dated %v, captured %v", part.URI, at, truth.Captured)
			}
			at = at.Add(part.Duration)
			if _, ok := listedAt[part.URI]; !ok {
				listedAt[part.URI] = now
			}
			if _, ok := p.Part(truth.ID()); !ok {
				t.Fatalf("%s is listed but not to be had\n%s", part.URI, p.Render(false))
			}
		}
		if s.URI != "" {
			e, f, l, ok := ParseSegmentURI(s.URI)
			if parts, have := p.Segment(e, f, l); !ok || !have || len(parts) != int(l-f+1) {
				t.Fatalf("%s is listed but not to be had", s.URI)
			}
		}
	}
}

// checkPrompt checks that what has arrived, with all before it, is listed at once.
func checkPrompt(t *testing.T, seed uint64, arrivals []event, listedAt map[string]time.Time) {
	t.Helper()
	first := map[string]time.Time{}
	for _, a := range arrivals {
		if uri := PartURI(a.ID()); first[uri].IsZero() {
			first[uri] = a.at
		}
	}
	for uri, at := range listedAt {
		arrived := first[uri]
		if at.Before(arrived) {
			t.Fatalf("seed %d: %s listed before it came", seed, uri)
		}
		// Nothing waits longer than a grace for each of a hole and an epoch's end, or what came before it did.
		if wait := at.Sub(arrived); wait > 5*time.Second {
			t.Fatalf("seed %d: %s waited %v", seed, uri, wait)
		}
	}
}

// TestInOrder checks that a steady broadcast is listed without delay, gap or loss.
func TestInOrder(t *testing.T) {
	p, s := mustNew(Config{Window: 10 * time.Second}), newStream()
	c := newChecker(t)
	for i := range 2000 {
		part := s.next()
		feed(p, part)
		m := c.reload(p.Render(false))
		seg := m.Segments[len(m.Segments)-1]
		if seg.Parts[len(seg.Parts)-1].URI != PartURI(part.ID()) {
			t.Fatalf("part %d is not listed", i)
		}
		if !m.Independent || m.Hint != PartURI(part.ID().next()) {
			t.Fatalf("part %d: %+v", i, m)
		}
		for _, s := range m.Segments[:len(m.Segments)-1] {
			if s.Duration != 2*time.Second {
				t.Fatalf("segment lasts %v", s.Duration)
			}
		}
	}
	if got := p.Stats(); got != (Stats{Listed: 2000}) {
		t.Errorf("stats %+v", got)
	}
}
