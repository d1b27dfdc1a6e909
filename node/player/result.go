package player

import (
	"slices"
	"time"
)

// Result is what a player measured. As JSON it is the object that `murmur demo --json` prints.
type Result struct {
	// Published is how many chunks the origin published. The caller fills it in.
	Published int `json:"published"`
	// Received is how many parts came whole (segments, where no parts were listed).
	Received int `json:"received"`
	// Missed is how many parts were listed as gaps, could not be fetched, or left the list before they were.
	Missed int `json:"missed"`
	// Stalls is how often the playhead reached the end of the buffer after play had begun.
	Stalls int `json:"stalls"`
	// StartupMS is the time from the start until play could begin, in milliseconds.
	StartupMS int64 `json:"startup_ms"`
	// LatencyMS is, for each part that was captured and listed while the player ran, the time from the capture of its
	// first sample (PROGRAM-DATE-TIME) until it was whole at the client. So it includes the part's own length.
	LatencyMS Summary `json:"latency_ms"`

	// Playhead is the time from capture until the playhead passes, looked at whenever a part comes.
	Playhead Summary `json:"-"`
	// Stalled is how long the playhead stood still.
	Stalled time.Duration `json:"-"`
	// Bytes is what was fetched as media.
	Bytes int64 `json:"-"`
	// Discontinuities is how many were met.
	Discontinuities int `json:"-"`
	// Ended tells that the broadcast's end was reached.
	Ended bool `json:"-"`
}

// Summary sums up durations, in milliseconds.
type Summary struct {
	P50 int64 `json:"p50"`
	P95 int64 `json:"p95"`
	Max int64 `json:"max"`
}

// Summarize sums up durations by nearest rank.
func Summarize(d []time.Duration) Summary {
	if len(d) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(d))
	at := func(percent int) int64 {
		rank := (len(sorted)*percent + 99) / 100
		return sorted[max(rank, 1)-1].Milliseconds()
	}
	return Summary{P50: at(50), P95: at(95), Max: at(100)}
}
