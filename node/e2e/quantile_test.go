package e2e

import (
	"math"
	"slices"
)

// quantile returns the q-quantile of values, NaN of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Clone(values)
	slices.Sort(s)
	return s[int(q*float64(len(s)-1))]
}
