package mesh

import (
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/mesh/episub"
)

func TestUplinkKeepsTheOrderOfClassesAndThePace(t *testing.T) {
	u := newUplink(1e6) // a kilobyte a millisecond
	for i := range 20 {
		u.put(parcel{to: "a", class: episub.ClassData, size: 4000, index: int16(i)})
	}
	u.put(parcel{to: "a", class: episub.ClassRepair, size: 4000})
	u.put(parcel{to: "a", class: episub.ClassRelay, size: 4000})
	u.put(parcel{to: "a", class: episub.ClassControl, size: 100})
	out, wait := u.next(0, nil)
	var classes []episub.Class
	for _, p := range out {
		classes = append(classes, p.class)
	}
	if want := []episub.Class{episub.ClassControl, episub.ClassRelay}; !slices.Equal(classes, want) {
		t.Errorf("released %v, want %v", classes, want)
	}
	if wait != 0 {
		t.Errorf("asked to wait %v although something was released", wait)
	}
	if out, wait = u.next(0, nil); len(out) != 0 || wait <= 0 || wait > 10*time.Millisecond {
		t.Errorf("released %d, wait %v", len(out), wait)
	}
	bytes, last := 0, time.Duration(0)
	for now := time.Duration(0); now < 500*time.Millisecond; now += time.Millisecond {
		out, _ = u.next(now, nil)
		for _, p := range out {
			bytes += p.size
			last = now
			u.done(p.to, p.size)
		}
	}
	if bytes != 21*4000 || last < 70*time.Millisecond || last > 90*time.Millisecond {
		t.Errorf("%d bytes until %v", bytes, last)
	}
}

// A timer of a busy machine that comes late costs the uplink nothing; a pause in which nothing waited gives no credit.
func TestUplinkMakesUpForLateTimers(t *testing.T) {
	u := newUplink(1e6)
	fill := func(now time.Duration) {
		for range 40 {
			u.put(parcel{to: "a", class: episub.ClassData, size: 1000, queued: now})
		}
	}
	bytes := func(now time.Duration) (sum int) {
		for {
			out, _ := u.next(now, nil)
			if len(out) == 0 {
				return sum
			}
			for _, p := range out {
				sum += p.size
				u.done(p.to, p.size)
			}
		}
	}
	fill(0)
	ahead := int(1e6 / packetHeaders * uplinkBurst.Seconds())
	sent, last := 0, time.Duration(0)
	for now := time.Duration(0); sent < 40_000; now += 7 * time.Millisecond {
		sent += bytes(now)
		last = now
	}
	if last > 45*time.Millisecond {
		t.Errorf("40 kB at 1 MB/s, looked after every 7 ms, took %v", last)
	}
	fill(time.Second)
	if b := bytes(time.Second); b > ahead+1000 {
		t.Errorf("after a pause %d bytes left at once, want %d", b, ahead)
	}
}

func TestUplinkDoesNotWaitForOneSlowNeighbour(t *testing.T) {
	u := newUplink(1e9)
	for range 30 {
		u.put(parcel{to: "slow", class: episub.ClassData, size: 6000})
		u.put(parcel{to: "quick", class: episub.ClassData, size: 6000})
	}
	got := map[peer.ID]int{}
	for range 100 {
		out, _ := u.next(0, nil)
		for _, p := range out {
			got[p.to]++
			if p.to == "quick" {
				u.done(p.to, p.size)
			}
		}
	}
	if got["quick"] != 30 || got["slow"] != flyingMax/6000 {
		t.Errorf("released %v", got)
	}
	u.forget("slow")
	if u.waiting() {
		t.Error("something waits for a neighbour that is gone")
	}
	u.put(parcel{to: "old", class: episub.ClassData, size: 1})
	if out, _ := u.next(parcelMax+1, nil); len(out) != 0 {
		t.Error("what is too old was released")
	}
}

func TestBudgetFollowsTheDelays(t *testing.T) {
	b := newBudget(0, 1e6)
	b.join(2)
	now := time.Unix(0, 0)
	sent, held := uint64(0), time.Duration(0)
	step := func(rate float64, wait time.Duration) { // sent at the budget's pace, then silence
		held += time.Duration(rate / b.total() * 2 * float64(budgetEvery))
		sent += uint64(rate * budgetEvery.Seconds() / 2)
		for i := range budgetPolls {
			now = now.Add(budgetEvery / budgetPolls)
			b.sample(now, map[peer.ID]connSample{"a": {sent, wait}, "b": {sent, wait}}, pacing{int(2 * sent), held}, i == budgetPolls-1)
		}
	}
	b.sample(now, map[peer.ID]connSample{"a": {}, "b": {}}, pacing{}, true)
	for range 20 {
		step(0.3*b.total(), 5*time.Millisecond)
	}
	if b.total() < 5e6 {
		t.Errorf("used and not delayed, the budget grew to %.0f only", b.total())
	}
	high := b.total()
	for range 20 {
		step(0.03*high, 5*time.Millisecond)
	}
	if b.total() != high {
		t.Errorf("hardly used, the budget went from %.0f to %.0f", high, b.total())
	}
	for range 30 {
		step(2e6, 100*time.Millisecond)
	}
	if b.total() > 2.2e6 {
		t.Errorf("with all connections delayed at 2 MB/s, the budget is %.0f", b.total())
	}
	if s := b.share(); s > b.total()/2 || s < b.total()/8 {
		t.Errorf("half of %.0f is %.0f", b.total(), s)
	}
	if c := newBudget(5e5, 1e6); c.total() != 5e5 {
		t.Errorf("capped at 500 kB/s, the budget is %.0f", c.total())
	}
}
