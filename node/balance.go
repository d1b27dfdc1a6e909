package node

import (
	"context"
	"time"

	"murmuration/mesh"
)

const (
	// balanceEvery is how often what recordings may upload is set anew.
	balanceEvery = time.Second
	// balanceRoom is kept free for the live push beyond what it sends now: independent chunks are three times the average.
	balanceRoom = 1.5
	// balanceLeast is what recordings may always upload, in bits a second: who fetches one must not be starved for a talk.
	balanceLeast = 400_000
	// balanceLive is how old the newest chunk of a track is at most while its broadcast counts as live.
	balanceLive = 5 * time.Second
)

// balance keeps the upload of recordings out of the live push's way until ctx ends: they get what the budget leaves.
func (l *library) balance(ctx context.Context) error {
	tick := time.NewTicker(balanceEvery)
	defer tick.Stop()
	var last int64
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			tracks := l.mesh.Status().Tracks
			l.strain.look(tracks, now)
			sent := fragmentsSent(tracks)
			l.exchange.SetUpload(spare(tracks, float64(max(0, sent-last))/balanceEvery.Seconds(), l.upload, now))
			last = sent
		}
	}
}

// fragmentsSent returns the bytes of fragments that the node has pushed and repaired.
func fragmentsSent(tracks []mesh.TrackStatus) (n int64) {
	for _, t := range tracks {
		for _, bytes := range t.Upload.Sent[1:] {
			n += int64(bytes)
		}
	}
	return n
}

// spare returns what recordings may upload, in bits a second, zero for no limit: what is configured while nothing is
// live, else what the budget leaves beyond the live push, which sends so many bytes a second.
func spare(tracks []mesh.TrackStatus, live float64, limit int64, now time.Time) int64 {
	budget, on := 0.0, false
	for _, t := range tracks {
		if !t.Ended && now.Sub(t.NewestCaptured) < balanceLive {
			on = true
			budget = max(budget, t.Upload.Budget)
		}
	}
	if !on {
		return limit
	}
	rest := max(int64(8*(budget-balanceRoom*live)), balanceLeast)
	if limit > 0 {
		rest = min(rest, limit)
	}
	return rest
}
