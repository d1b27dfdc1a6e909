package mesh

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// TestLogKeepsThePace: answers take no more of the uplink together than they are given, and change with it.
func TestLogKeepsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLogPace(100e3)
		write := func(n int) time.Duration {
			began := time.Now()
			if _, err := p.writer(t.Context(), io.Discard, func() {}).Write(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		if d := write(paceBurst); d != 0 {
			t.Errorf("the first %d bytes took %v", paceBurst, d)
		}
		if d := write(200e3); d < 1990*time.Millisecond || d > 2010*time.Millisecond {
			t.Errorf("200 kB at 100 kB/s took %v", d)
		}
		p.set(400e3)
		if d := write(200e3); d < 490*time.Millisecond || d > 510*time.Millisecond {
			t.Errorf("200 kB at 400 kB/s took %v", d)
		}
	})
}

// TestLogTurnsAway: who comes when there is no room is told so, rather than given a trickle.
func TestLogTurnsAway(t *testing.T) {
	p := newLogPace(3.5 * paceAnswer)
	var leaves []func()
	for {
		leave, ok := p.enter()
		if !ok {
			break
		}
		leaves = append(leaves, leave)
	}
	if len(leaves) != 3 {
		t.Fatalf("%d answers at once, want 3", len(leaves))
	}
	leaves[0]()
	if _, ok := p.enter(); !ok {
		t.Error("turned away where one had just ended")
	}
	p.set(1)
	leaves[1]()
	leaves[2]()
	if _, ok := p.enter(); !ok {
		t.Error("a second answer was turned away: two are always served")
	}
}

// TestSpareBudget: the log has all of an uplink that pushes nothing, and a quarter of one that feeds a swarm.
func TestSpareBudget(t *testing.T) {
	at := time.Unix(1e9, 0)
	b := newBudget(4e6, 4e6)
	none := map[peer.ID]connSample{}
	b.sample(at, none, pacing{}, true)
	if s := b.spare(); s != 4e6 {
		t.Errorf("idle: %.0f bytes a second to spare, want all", s)
	}
	for i := 1; i <= 40; i++ { // 1.4 MB a second
		b.sample(at.Add(time.Duration(i)*budgetEvery), none, pacing{bytes: i * 700e3}, true)
	}
	if s := b.spare(); s != 1e6 {
		t.Errorf("pushing: %.0f bytes a second to spare, want a quarter", s)
	}
}
