package mesh

import (
	"slices"
	"time"
)

// Delays is the distribution of the time from a chunk's capture to its arrival, over the last chunks. It includes what
// the two clocks differ by.
type Delays struct {
	P50, P95, Max time.Duration
}

// delays keeps the last of them.
type delays struct {
	ring [240]time.Duration // a minute of 250 ms chunks
	n    int                // ever added
}

func (d *delays) add(v time.Duration) {
	d.ring[d.n%len(d.ring)] = v
	d.n++
}

func (d *delays) summary() Delays {
	n := min(d.n, len(d.ring))
	if n == 0 {
		return Delays{}
	}
	v := slices.Clone(d.ring[:n])
	slices.Sort(v)
	return Delays{P50: v[n/2], P95: v[n*95/100], Max: v[n-1]}
}
