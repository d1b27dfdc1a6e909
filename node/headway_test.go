package node

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestHeadway: of two feeds of one clock over networks that delay each packet by another time, the measures differ by
// what their timestamps do.
func TestHeadway(t *testing.T) {
	began := time.Date(2026, 9, 21, 9, 0, 0, 0, time.UTC)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		apart := time.Duration(r.Int64N(int64(10*time.Hour))) - 5*time.Hour
		one, other := headway{origin: began}, headway{origin: began}
		for i := range 200 {
			at := time.Duration(i) * 20 * time.Millisecond
			jitter := func() time.Duration { return time.Duration(r.ExpFloat64() * float64(30*time.Millisecond)) }
			one.add(began.Add(at+jitter()), at)
			other.add(began.Add(at+jitter()), at+apart)
		}
		a, _ := one.ahead()
		b, _ := other.ahead()
		if off := (b - a - apart).Abs(); off > 10*time.Millisecond {
			t.Errorf("seed %d: off by %v", seed, off)
		}
	}
}

// TestHeadwayForgets: what was more than half a minute ago does not count, however long nothing came.
func TestHeadwayForgets(t *testing.T) {
	began := time.Date(2026, 9, 21, 9, 0, 0, 0, time.UTC)
	for _, pause := range []time.Duration{31 * time.Second, time.Minute, 24 * time.Hour} {
		h := headway{origin: began}
		h.add(began, time.Hour)
		h.add(began.Add(pause), pause)
		if ahead, ok := h.ahead(); !ok || ahead != 0 {
			t.Errorf("after %v: %v", pause, ahead)
		}
	}
	var none headway
	if _, ok := none.ahead(); ok {
		t.Error("nothing came, and it was measured")
	}
}

// TestSteer: clocks that drift apart are kept together, gently; a small distance is left alone, a large one is set.
func TestSteer(t *testing.T) {
	now := time.Date(2026, 9, 21, 9, 0, 0, 0, time.UTC)
	var s steer
	s.set(0, now)
	worst, fastest := time.Duration(0), time.Duration(0)
	const frame = 20 * time.Millisecond
	for i := range 4 * 3600 * 50 { // four hours at 200 ppm, which is more than sound cards have
		want := time.Duration(i) * frame / 5000
		before := s.shift
		s.follow(want, now.Add(time.Duration(i)*frame))
		worst, fastest = max(worst, (want-s.shift).Abs()), max(fastest, (s.shift-before).Abs())
	}
	if worst > steerFrom+time.Millisecond || fastest > frame/steerRate {
		t.Errorf("apart by up to %v, changed by up to %v in a frame", worst, fastest)
	}
	s.set(0, now)
	if s.follow(steerFrom-1, now.Add(time.Second)); s.shift != 0 {
		t.Errorf("moved by %v for nothing", s.shift)
	}
	if s.follow(time.Minute, now.Add(2*time.Second)); s.shift != time.Minute {
		t.Errorf("a minute apart, and set to %v", s.shift)
	}
}
