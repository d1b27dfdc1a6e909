package mesh

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// TestLoneFarViewerStarts: who knows one neighbour only, 240 ms away with 20 Mbit/s, has a picture about as soon as the
// fresh connection can carry it, wherever in a group it comes, and goes on without a stall.
func TestLoneFarViewerStarts(t *testing.T) {
	for _, into := range []int{1, 4, 7} { // chunks of the newest group that are out
		t.Run(fmt.Sprint(into), func(t *testing.T) {
			inVirtualTime(t, 120*time.Millisecond, func(t *testing.T, w *internet) {
				origin := w.node(Config{Role: Origin}, 100, 100)
				ot := mustJoin(t, origin, JoinConfig{Publish: true})
				near := w.node(Config{}, 20, 100)
				mustJoin(t, near, JoinConfig{})
				w.connect(near, origin)
				time.Sleep(3 * time.Second)
				s := newStream(time.Now())
				send := func(n int) {
					for range n {
						s.size = 78_000
						if s.seq%uint64(s.interval) == 0 {
							s.size = 230_000
						}
						publish(t.Context(), t, ot, s, 1)
					}
				}
				out := 40 + into
				send(out)
				done := make(chan struct{})
				go func() {
					defer close(done)
					send(30)
				}()
				viewer := w.node(Config{Avoid: []peer.ID{origin.ID()}}, 20, 100)
				begin := time.Now()
				vt := mustJoin(t, viewer, JoinConfig{})
				w.connect(viewer, near)
				ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
				defer cancel()
				came := arrivals(ctx, vt, begin)
				<-done
				first, play := time.Hour, time.Hour
				for seq := uint64(0); seq < uint64(out+16); seq += uint64(s.interval) {
					if at, ok := came[seq]; ok {
						first = min(first, at)
						play = min(play, unbroken(came, seq, uint64(out+20)))
					}
				}
				t.Logf("the first independent chunk came after %v, play without a stall can begin after %v", first, play)
				if first > 1750*time.Millisecond {
					t.Errorf("the first independent chunk came after %v", first)
				}
				if play > 2200*time.Millisecond {
					t.Errorf("play without a stall can begin after %v", play)
				}
				if st := vt.Status(); st.Missed > 0 {
					t.Errorf("missed %d", st.Missed)
				}
			})
		})
	}
}

// arrivals returns, by seq, how long after begin each chunk came, until ctx ends.
func arrivals(ctx context.Context, tr *Track, begin time.Time) map[uint64]time.Duration {
	came := map[uint64]time.Duration{}
	for {
		c, err := tr.Next(ctx)
		if err != nil {
			return came
		}
		came[c.Seq] = time.Since(begin)
	}
}

// unbroken returns when play from one chunk can begin that does not stall before another, or an hour where one is missing.
func unbroken(came map[uint64]time.Duration, from, to uint64) (begin time.Duration) {
	for seq := from; seq <= to; seq++ {
		at, ok := came[seq]
		if !ok {
			return time.Hour
		}
		begin = max(begin, at-time.Duration(seq-from)*chunkTime)
	}
	return begin
}
