package mesh

import (
	"testing"
	"time"
)

// TestStatusShowsTrees: of three nodes in a row, each says for every stripe who pushes it to whom, and how old it is there.
func TestStatusShowsTrees(t *testing.T) {
	inVirtualTime(t, 15*time.Millisecond, func(t *testing.T, w *internet) {
		origin := w.node(Config{Role: Origin}, 100, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		near := w.node(Config{NoExchange: true}, 20, 100)
		nt := mustJoin(t, near, JoinConfig{})
		w.connect(near, origin)
		far := w.node(Config{NoExchange: true}, 20, 100)
		ft := mustJoin(t, far, JoinConfig{})
		w.connect(far, near)
		time.Sleep(2 * time.Second)
		s := newStream(time.Now())
		s.size = 94_000
		publish(t.Context(), t, ot, s, 16)
		time.Sleep(100 * time.Millisecond) // a track that stops is soon fed by nobody

		o, n, f := ot.Status(), nt.Status(), ft.Status()
		if len(o.Stripes) != 16 || len(n.Stripes) != 16 || len(f.Stripes) != 16 {
			t.Fatalf("%d, %d and %d stripes", len(o.Stripes), len(n.Stripes), len(f.Stripes))
		}
		lanes := func(s TrackStatus) []StripeStatus { return append(s.Stripes[:16:16], s.Envelopes) }
		for i, x := range lanes(o) {
			if x.Parent != "" || x.Fed || x.Age != 0 || x.Children != 1 {
				t.Errorf("origin, stripe %d: %+v", i, x)
			}
		}
		for i, x := range lanes(n) {
			if x.Parent != origin.ID() || !x.Fed || x.Age < 10*time.Millisecond || x.Children != 1 {
				t.Errorf("near, stripe %d: %+v", i, x)
			}
			if y := lanes(f)[i]; y.Parent != near.ID() || !y.Fed || y.Age < x.Age+10*time.Millisecond || y.Children != 0 {
				t.Errorf("far, stripe %d: %+v, at its parent %v", i, y, x.Age)
			}
		}
	})
}
