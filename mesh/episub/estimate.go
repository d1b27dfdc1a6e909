package episub

// estimate follows the mean of a noisy series, and how far it scatters. The mean, not the middle: an independent chunk
// is several times the size of the others, and a path that only suits the small ones is not a good one. (Following the
// middle instead made the slowest hundredth of home200 slower by 50 ms.)
type estimate struct {
	mid, dev int64 // nanoseconds
	n        uint8 // samples so far, up to settled
}

// settled is how many samples make an estimate: two groups of pictures of usual length.
const settled = 16

// add takes a sample in.
func (e *estimate) add(x int64) {
	if e.n == 0 {
		*e = estimate{x, x / 8, 1}
		return
	}
	diff := x - e.mid
	e.dev += (abs(diff) - e.dev) / settled
	e.n = min(e.n+1, settled)
	e.mid += diff / int64(e.n)
}

// reset forgets the series.
func (e *estimate) reset() { *e = estimate{} }

func abs(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}
