package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
)

// TestStrain: the link counts as short while the newest chunk of a live track is later than usual, or chunks had to be
// asked for, and for a while after.
func TestStrain(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	track := mesh.TrackStatus{ID: mesh.TrackID{Broadcast: "talk", Track: mainTrack}}
	var s strain
	at := func(what string, age time.Duration, fetched uint64, want bool) {
		t.Helper()
		now = now.Add(balanceEvery)
		track.NewestCaptured, track.Fetched = now.Add(-age), fetched
		s.look([]mesh.TrackStatus{track}, now)
		if short, live := s.short(now); short != want || !live {
			t.Errorf("%s: short %v, live %v", what, short, live)
		}
	}
	for range 3 {
		at("ordinary", 300*time.Millisecond, 12, false)
		at("ordinary", 520*time.Millisecond, 12, false)
	}
	at("late", 1400*time.Millisecond, 12, true)
	at("in time again", 300*time.Millisecond, 12, true)
	at("in time again", 300*time.Millisecond, 12, true)
	at("in time for long", 300*time.Millisecond, 12, false)
	at("chunks asked for", 300*time.Millisecond, 13, true)
	track.Ended = true
	s.look([]mesh.TrackStatus{track}, now)
	if short, live := s.short(now); short || live {
		t.Errorf("over: short %v, live %v", short, live)
	}
	track.Ended, track.Published = false, 9
	s = strain{}
	for _, age := range []time.Duration{0, 3 * time.Second} {
		track.NewestCaptured = now.Add(-age)
		s.look([]mesh.TrackStatus{track}, now)
	}
	if short, live := s.short(now); short || live {
		t.Errorf("our own: short %v, live %v", short, live)
	}
}

// slowly brings any block at once, and notes when it was asked.
type slowly struct{ asked []time.Time }

func (f *slowly) Blocks(_ context.Context, cids []cid.Cid) (<-chan blocks.Block, error) {
	f.asked = append(f.asked, time.Now())
	ch := make(chan blocks.Block, len(cids))
	for range cids {
		ch <- blocks.NewBlock([]byte("x"))
	}
	close(ch)
	return ch, nil
}

// TestYielding: a fetch waits while the link is short, not for ever, and asks for little at a time while something is live.
func TestYielding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cids := make([]cid.Cid, 20)
		for i := range cids {
			cids[i] = envelope.RawCID([]byte{byte(i)})
		}
		fetch := func(s *strain) (asked []time.Duration, waits int) {
			t.Helper()
			from := &slowly{}
			began := time.Now()
			ch, err := yielding{from, s, func() { waits++ }}.Blocks(t.Context(), cids)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for range ch {
				n++
			}
			if n != len(cids) {
				t.Errorf("%d blocks", n)
			}
			for _, at := range from.asked {
				asked = append(asked, at.Sub(began))
			}
			return asked, waits
		}
		if asked, _ := fetch(&strain{}); len(asked) != 1 || asked[0] != 0 {
			t.Errorf("nothing live: %v", asked)
		}
		if asked, _ := fetch(&strain{live: true}); len(asked) != 3 || asked[2] != 0 {
			t.Errorf("live, room enough: %v", asked)
		}
		asked, waits := fetch(&strain{live: true, until: time.Now().Add(4500 * time.Millisecond)})
		if len(asked) != 3 || asked[0] != 5*time.Second || asked[2] != asked[0] || waits != 5 {
			t.Errorf("short for a while: %v, told %d times", asked, waits)
		}
		asked, _ = fetch(&strain{live: true, until: time.Now().Add(time.Hour)})
		if len(asked) != 3 || asked[0] != yieldMost || asked[2] != 3*yieldMost {
			t.Errorf("always short: %v", asked)
		}
	})
}
