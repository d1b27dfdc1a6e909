package node

import (
	"context"
	"time"

	"murmuration/mesh"
	"murmuration/node/archive"
)

const (
	// mendEvery is how often the gaps of a live recording are filled.
	mendEvery = 5 * time.Second
	// mendMost is how many chunks are asked for at once to fill a gap.
	mendMost = 256
	// mendLast is how long the last attempt may take, before the recording is finished.
	mendLast = 5 * time.Second
)

// mend fills the gaps of a recording whose broadcast is on, until ctx ends.
func mend(ctx context.Context, rec *archive.Recording, track *mesh.Track) {
	tick := time.NewTicker(mendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		mendNow(ctx, rec, track)
	}
}

// mendNow fills what gaps it can: by what is still in memory, where the disk was full for a while, else from the peers of
// the track.
func mendNow(ctx context.Context, rec *archive.Recording, track *mesh.Track) {
	here, ok := rec.Track(mainTrack)
	if !ok || rec.Info().Full {
		return
	}
	for _, gap := range here.Gaps() {
		if gap.Open {
			continue
		}
		chunks, _ := track.Window().Range(gap.From, gap.To, mendMost, 64<<20)
		for _, c := range chunks {
			if _, err := rec.Append(c); err != nil {
				return
			}
		}
	}
	for _, gap := range here.Gaps() {
		if ctx.Err() != nil || !mendGap(ctx, rec, track, gap) {
			return
		}
	}
}

// mendGap asks for a gap's chunks and reports whether they came. The mesh asks for the newest itself.
func mendGap(ctx context.Context, rec *archive.Recording, track *mesh.Track, gap archive.Gap) bool {
	if gap.Open {
		return true
	}
	for from := gap.From; !gap.To.Less(from); from.Seq += mendMost {
		to := gap.To
		if to.Seq-from.Seq >= mendMost {
			to.Seq = from.Seq + mendMost - 1
		}
		chunks, err := track.FetchChunks(ctx, from, to)
		for _, c := range chunks {
			if _, err := rec.Append(c); err != nil {
				return false
			}
		}
		if err != nil {
			return false
		}
	}
	return true
}
