package sim

import (
	"math"
	"time"
)

// Detail is what a report draws of one run beyond the figures of its Result.
type Detail struct {
	Seed uint64 `json:"seed"`

	// Latency counts chunks by latency, in bins of BinMS milliseconds; the last bin holds all that were slower.
	BinMS   float64 `json:"bin_ms"`
	Latency []int   `json:"latency"`
	Missing int     `json:"missing"` // chunks that were due and never came

	Startup []float64 `json:"startup_ms"` // of each peer that came, sorted

	// Globe says that Peers' X and Y are longitude and latitude; else they are milliseconds on a plane.
	Globe bool   `json:"globe"`
	Peers []Dot  `json:"peers"` // by node of the plan; the origin first
	Feeds []Feed `json:"feeds"` // who feeds whom in the last seconds, by bytes
}

// Dot is one peer of a Detail.
type Dot struct {
	X       float64 `json:"x"`
	Y       float64 `json:"y"`
	Class   string  `json:"class"`
	Present bool    `json:"present"` // at the end of the run
	Direct  float64 `json:"direct_ms"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Lost    float64 `json:"lost"`
	Copies  float64 `json:"upload_copies"`
	Hops    float64 `json:"hops"` // mean; 0 where not known
}

// Feed is one link of the overlay: what share of its bytes the node To had from the node From.
type Feed struct {
	From  int     `json:"from"`
	To    int     `json:"to"`
	Share float64 `json:"share"`
}

// BinMS is the width of Detail's bins, and Bins their number.
const (
	BinMS = 10.0
	Bins  = 801
)

// Bin counts a latency in milliseconds.
func (d *Detail) Bin(ms float64) {
	if d.Latency == nil {
		d.BinMS, d.Latency = BinMS, make([]int, Bins)
	}
	d.Latency[min(max(int(ms/BinMS), 0), Bins-1)]++
}

// Position returns where a node is on the map: its city's longitude and latitude, or its place on the plane in
// milliseconds. Where only a matrix of round trips is known, it is the node's direct delay from the origin in
// milliseconds, in a direction of its city's own.
func (p *Plan) Position(node int) (x, y float64, onGlobe bool) {
	at := p.Nodes[node].Place
	switch place := p.place.(type) {
	case *plane:
		ms := float64(time.Millisecond)
		return place.x[at] / ms, place.y[at] / ms, false
	case *globe:
		if place.n == len(Cities()) && p.Place.Matrix == "" {
			c := Cities()[at]
			return c.Lon, c.Lat, true
		}
	}
	if node == 0 {
		return 0, 0, false
	}
	const golden = 2.399963229728653 // radians: neighbouring numbers get distant directions
	r, angle := float64(p.Delay(0, node))/float64(time.Millisecond), golden*float64(at)
	return r * math.Cos(angle), r * math.Sin(angle), false
}
