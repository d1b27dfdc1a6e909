package sim

import (
	"math"
	"slices"
)

// Report is what a command prints with --json: one scenario on one engine, one entry for each system that ran.
type Report struct {
	Scenario string   `json:"scenario"`
	Engine   string   `json:"engine"`
	Seeds    int      `json:"seeds"`
	Peers    int      `json:"peers"`
	Seconds  float64  `json:"seconds"` // of virtual time that were measured
	Systems  []Result `json:"systems"`
	Target   Target   `json:"target"`
}

// Result is what one system did in one scenario: of one run, or by Median of several.
type Result struct {
	Name     string    `json:"name"`
	Latency  Quantiles `json:"latency_ms"`    // publish at the origin to chunk complete at the peer, all chunks and peers
	Startup  Quantiles `json:"startup_ms"`    // from a peer's start to its first independent chunk complete
	Lost     float64   `json:"lost"`          // share of the chunks due that came late or never
	Overhead float64   `json:"overhead"`      // bytes received above QUIC, over the bytes of chunks completed
	Wire     float64   `json:"wire_overhead"` // the same with the headers of QUIC, UDP and IP
	Copies   float64   `json:"origin_copies"` // bytes of fragments the origin sent over bytes published

	ByHops    []Hop         `json:"by_hops"`
	Floor     Quantiles     `json:"floor_ms"`      // direct one-way delay plus one fragment's time on the origin's uplink and the peer's downlink
	Stretch   Quantiles     `json:"stretch"`       // a peer's median latency over its direct one-way delay
	Shares    Quantiles     `json:"upload_copies"` // copies of the stream that a peer sent, by peer
	ByClass   []ClassResult `json:"by_class"`
	Repair    float64       `json:"repair"`             // share of fragments that came on request
	Duplicate float64       `json:"duplicates"`         // share of fragments that were there already
	Control   float64       `json:"control_per_chunk"`  // control messages sent by a peer in a chunk's time
	Changes   float64       `json:"changes_per_minute"` // parents changed by a peer for a better one, a minute
	FeedsLost float64       `json:"feeds_lost_per_minute"`
	Series    []Point       `json:"series"` // by second of virtual time
	Waiting   Waiting       `json:"stalls"`
	Cost      Cost          `json:"cost"`
}

// Quantiles of a set of numbers.
type Quantiles struct {
	P5  float64 `json:"p5"`
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Hop is the latency of chunks whose last fragment came over so many hops.
type Hop struct {
	Hops   int     `json:"hops"`
	Chunks int     `json:"chunks"`
	P50    float64 `json:"p50"`
	P99    float64 `json:"p99"`
}

// ClassResult is how one class of peers fared and what it gave.
type ClassResult struct {
	Name    string    `json:"name"`
	Peers   int       `json:"peers"`
	Latency Quantiles `json:"latency_ms"`
	Lost    float64   `json:"lost"`
	Copies  float64   `json:"upload_copies"`
}

// Point is one second of a run, or the median of several runs.
type Point struct {
	Second int     `json:"second"`
	Peers  int     `json:"peers"`
	P50    float64 `json:"p50"`
	P99    float64 `json:"p99"`
	Lost   float64 `json:"lost"`
}

// Waiting is what Players with buffers of several lengths would have seen.
type Waiting struct {
	BufferMS []float64 `json:"buffer_ms"`
	PerHour  []float64 `json:"stalls_per_hour"` // for each buffer
}

// Cost is what a run cost the machine it ran on.
type Cost struct {
	Seconds float64 `json:"wall_seconds"`
	Events  uint64  `json:"events"`
	Bytes   uint64  `json:"heap_bytes"`
}

// QuantilesOf sorts x and returns its quantiles.
func QuantilesOf(x []float64) Quantiles {
	if len(x) == 0 {
		return Quantiles{}
	}
	slices.Sort(x)
	at := func(q float64) float64 { return x[min(int(math.Ceil(q*float64(len(x)))), len(x))-1] }
	return Quantiles{P5: at(0.05), P50: at(0.5), P95: at(0.95), P99: at(0.99), Max: x[len(x)-1]}
}

// Median returns the results of several runs as one: of each number the median, which of an even number of runs is the larger
// of the middle two, so that two look as bad as the worse. Lists are taken from the run whose p99 is in the middle.
func Median(runs []Result) Result {
	if len(runs) == 0 {
		return Result{}
	}
	order := slices.Clone(runs)
	slices.SortFunc(order, func(a, b Result) int {
		switch {
		case a.Latency.P99 < b.Latency.P99:
			return -1
		case a.Latency.P99 > b.Latency.P99:
			return 1
		}
		return 0
	})
	out := order[len(order)/2]
	pick := func(f func(r *Result) *float64) {
		x := make([]float64, len(runs))
		for i := range runs {
			x[i] = *f(&runs[i])
		}
		slices.Sort(x)
		*f(&out) = x[len(x)/2]
	}
	for _, q := range []func(r *Result) *Quantiles{
		func(r *Result) *Quantiles { return &r.Latency }, func(r *Result) *Quantiles { return &r.Startup },
		func(r *Result) *Quantiles { return &r.Floor }, func(r *Result) *Quantiles { return &r.Stretch },
		func(r *Result) *Quantiles { return &r.Shares },
	} {
		pick(func(r *Result) *float64 { return &q(r).P5 })
		pick(func(r *Result) *float64 { return &q(r).P50 })
		pick(func(r *Result) *float64 { return &q(r).P95 })
		pick(func(r *Result) *float64 { return &q(r).P99 })
		pick(func(r *Result) *float64 { return &q(r).Max })
	}
	for _, f := range []func(r *Result) *float64{
		func(r *Result) *float64 { return &r.Lost }, func(r *Result) *float64 { return &r.Overhead },
		func(r *Result) *float64 { return &r.Wire }, func(r *Result) *float64 { return &r.Copies },
		func(r *Result) *float64 { return &r.Repair }, func(r *Result) *float64 { return &r.Duplicate },
		func(r *Result) *float64 { return &r.Control }, func(r *Result) *float64 { return &r.Changes },
		func(r *Result) *float64 { return &r.FeedsLost }, func(r *Result) *float64 { return &r.Cost.Seconds },
	} {
		pick(f)
	}
	return out
}

// Miss is a figure that did not reach its target.
type Miss struct {
	What      string
	Got, Want float64
}

// Misses returns what of t the result r does not reach.
func (t Target) Misses(r *Result) []Miss {
	var out []Miss
	judge := func(what string, got, want float64) {
		if want > 0 && got > want {
			out = append(out, Miss{what, got, want})
		}
	}
	judge("p50", r.Latency.P50, t.P50)
	judge("p99", r.Latency.P99, t.P99)
	judge("overhead", r.Overhead, t.Overhead)
	judge("startup p50", r.Startup.P50, t.StartupP50)
	judge("startup p95", r.Startup.P95, t.StartupP95)
	if t.Lost != nil && r.Lost > *t.Lost {
		out = append(out, Miss{"lost", r.Lost, *t.Lost})
	}
	return out
}
