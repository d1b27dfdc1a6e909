package node

import (
	"testing"
	"time"

	"murmuration/mesh"
)

// TestSpare: recordings get what the live push leaves of the budget, and never nothing.
func TestSpare(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	track := func(age time.Duration, budget float64, ended bool) mesh.TrackStatus {
		return mesh.TrackStatus{NewestCaptured: now.Add(-age), Ended: ended, Upload: mesh.Upload{Budget: budget}}
	}
	for name, test := range map[string]struct {
		tracks []mesh.TrackStatus
		live   float64
		limit  int64
		want   int64
	}{
		"nothing on":              {nil, 0, 0, 0},
		"nothing on, limited":     {nil, 0, 8e6, 8e6},
		"over":                    {[]mesh.TrackStatus{track(time.Second, 1e6, true)}, 0, 8e6, 8e6},
		"stalled":                 {[]mesh.TrackStatus{track(time.Minute, 1e6, false)}, 0, 0, 0},
		"live, room left":         {[]mesh.TrackStatus{track(time.Second, 2.5e6, false)}, 1e6, 0, 8e6},
		"live, no room":           {[]mesh.TrackStatus{track(time.Second, 1e6, false)}, 1e6, 0, balanceLeast},
		"live, a limit below":     {[]mesh.TrackStatus{track(time.Second, 2.5e6, false)}, 1e6, 2e6, 2e6},
		"live, a limit below all": {[]mesh.TrackStatus{track(time.Second, 1e6, false)}, 1e6, 1e5, 1e5},
	} {
		if got := spare(test.tracks, test.live, test.limit, now); got != test.want {
			t.Errorf("%s: %d bits/s, want %d", name, got, test.want)
		}
	}
}
