package node

import (
	"context"
	"slices"
	"sync"
	"time"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"

	"murmuration/mesh"
	"murmuration/node/archive"
)

const (
	// yieldLate is how much later than usual the newest chunk of a live track is when the link is taken to be short.
	yieldLate = time.Second
	// yieldFor is how long fetches of old recordings wait after that was seen last.
	yieldFor = 3 * time.Second
	// yieldMost is how long one waits at most before it brings a piece: on a link that is always short, recordings come
	// slowly rather than never.
	yieldMost = 15 * time.Second
	// yieldPiece is how many blocks are asked for at a time while something is live: what is asked for comes.
	yieldPiece = 8
)

// strain is what the live tracks suffer on this node's link. Those who fetch old recordings look at it, since these can
// wait, and a live chunk that comes late is lost on the page.
type strain struct {
	mu    sync.Mutex
	live  bool
	until time.Time // the link is short until then
	seen  map[mesh.TrackID]lag
}

// lag is how a track has fared.
type lag struct {
	usual   time.Duration // since the capture of its newest chunk, at best; clocks that differ are in it
	mended  uint64        // chunks that came by the log protocol, or not at all
	started bool
}

// look takes note of how the tracks fare now. It is called every balanceEvery.
func (s *strain) look(tracks []mesh.TrackStatus, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[mesh.TrackID]lag{}
	s.live = false
	for _, t := range tracks {
		if t.Ended || t.Published > 0 || t.NewestCaptured.IsZero() || now.Sub(t.NewestCaptured) > yieldMost+balanceLive {
			continue // over, our own, or stalled for another reason
		}
		s.live = true
		age, mended := now.Sub(t.NewestCaptured), t.Fetched+t.Missed
		l, known := s.seen[t.ID]
		if !known {
			seen[t.ID] = lag{usual: age, mended: mended}
			continue
		}
		// What came by the log protocol in the first second is the beginning, and no trouble.
		if age > l.usual+yieldLate || l.started && mended > l.mended {
			s.until = now.Add(yieldFor)
		}
		seen[t.ID] = lag{usual: min(age, l.usual+10*time.Millisecond), mended: mended, started: true}
	}
	s.seen = seen
}

// short reports whether the link is short for what is live, and whether anything is.
func (s *strain) short(now time.Time) (short, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live && now.Before(s.until), s.live
}

// yielding fetches blocks of an old recording as archive.Fetcher does, and waits while what is live needs the link.
type yielding struct {
	archive.Fetcher
	strain *strain
	waits  func() // told now and again while it waits; may be nil
}

// Blocks implements archive.Fetcher.
func (y yielding) Blocks(ctx context.Context, cids []cid.Cid) (<-chan blocks.Block, error) {
	if _, live := y.strain.short(time.Now()); !live {
		return y.Fetcher.Blocks(ctx, cids)
	}
	out := make(chan blocks.Block)
	go func() {
		defer close(out)
		for piece := range slices.Chunk(cids, yieldPiece) {
			y.wait(ctx)
			in, err := y.Fetcher.Blocks(ctx, piece)
			if err != nil {
				return // the blocks that are missing tell
			}
			for b := range in {
				select {
				case out <- b:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out, nil
}

func (y yielding) wait(ctx context.Context) {
	tick := time.NewTicker(balanceEvery)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < yieldMost; {
		if short, _ := y.strain.short(time.Now()); !short {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if y.waits != nil {
			y.waits()
		}
	}
}
