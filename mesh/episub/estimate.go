package episub

// estimate follows the middle of a noisy series, and how far it scatters. Each sample moves it by a bounded step, so
// that an independent chunk, several times the size of the others, or a retransmission does not make a path look bad.
type estimate struct {
	mid, dev int64 // nanoseconds
	n        uint8 // samples so far, saturating
}

// add takes a sample in.
func (e *estimate) add(x int64) {
	if e.n == 0 {
		e.mid, e.dev, e.n = x, x/8, 1
		return
	}
	diff := x - e.mid
	e.dev += (abs(diff) - e.dev) / 16
	if e.n < 8 {
		e.n++
		e.mid += diff / int64(e.n)
		return
	}
	if Alpha > 0 {
		e.mid += diff / Alpha
		return
	}
	step := e.mid/16 + 2e6
	e.mid += min(max(diff/4, -step), step)
}

// reset forgets the series.
func (e *estimate) reset() { *e = estimate{} }

func abs(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}
