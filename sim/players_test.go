package sim

import (
	"slices"
	"testing"
)

// TestPlayers: chunks of a quarter second, one of them 300 ms later than the first and one that never comes.
func TestPlayers(t *testing.T) {
	late := []float64{-1, 100, 100, 400, 100, -1, 390}
	for range 14_394 { // an hour less the first, which the player never waited for
		late = append(late, 100)
	}
	var p Players
	p.Watch(late, 250)
	p.Watch(nil, 250)
	p.Watch([]float64{-1, -1}, 250)
	w := p.Stalls()
	if !slices.Equal(w.BufferMS, Buffers()) {
		t.Fatalf("buffers %v", w.BufferMS)
	}
	// Without a buffer, or with 100 or 250 ms of it, the late chunk is a stall, after which the other late one is none.
	// The one that never came is a stall for everybody.
	want := []float64{2, 2, 2, 1, 1, 1}
	for i, v := range w.PerHour {
		if v < want[i]*0.999 || v > want[i]*1.001 {
			t.Errorf("%v stalls an hour, want %v", w.PerHour, want)
			break
		}
	}
	var none Players
	if w := none.Stalls(); w.PerHour[0] != 0 {
		t.Errorf("nobody watched and %v", w.PerHour)
	}
}

// TestPosition puts nodes where their delays say.
func TestPosition(t *testing.T) {
	for name, globe := range map[string]bool{"venue50": false, "world500": true} {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		s.Resize(20)
		p, err := NewPlan(s, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Nodes {
			x, y, onGlobe := p.Position(i)
			if onGlobe != globe || onGlobe && (x < -180 || x > 180 || y < -90 || y > 90) || !onGlobe && (x < 0 || x > 100 || y < 0 || y > 60) {
				t.Fatalf("%s: node %d at %v, %v", name, i, x, y)
			}
		}
	}
}
