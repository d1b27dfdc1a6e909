package report

import (
	"fmt"
	"math"
	"strconv"
)

// scale maps values to pixels.
type scale struct {
	from, to float64 // values
	lo, hi   float64 // pixels
	log      bool
}

func (s scale) at(v float64) float64 {
	a, b, x := s.from, s.to, min(max(v, s.from), s.to)
	if s.log {
		a, b, x = math.Log(a), math.Log(b), math.Log(x)
	}
	if a == b {
		return s.lo
	}
	return s.lo + (x-a)/(b-a)*(s.hi-s.lo)
}

// ticks returns round values within the scale, about n of them.
func (s scale) ticks(n int) []float64 {
	var out []float64
	if s.log {
		for decade := math.Pow(10, math.Floor(math.Log10(s.from))); decade <= s.to; decade *= 10 {
			for _, m := range []float64{1, 2, 5} {
				if v := decade * m; v >= s.from*0.999 && v <= s.to*1.001 {
					out = append(out, v)
				}
			}
		}
		return out
	}
	step := round((s.to - s.from) / float64(n))
	for v := math.Ceil(s.from/step) * step; v <= s.to+step/1e6; v += step {
		out = append(out, v)
	}
	return out
}

// round returns the next of 1, 2, 5, 10, 20 ... that is not less than v.
func round(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*decade >= v*0.9999 {
			return m * decade
		}
	}
	return 10 * decade
}

// top returns a scale's end that leaves v a little room.
func top(v float64) float64 {
	if v <= 0 {
		return 1
	}
	step := round(v / 5)
	return math.Ceil(v*1.02/step) * step
}

// number writes a figure with about three digits.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 100:
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	case a >= 10:
		return trim(fmt.Sprintf("%.1f", v))
	case a >= 0.095:
		return trim(fmt.Sprintf("%.2f", v))
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

func trim(s string) string {
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}

// percent writes a share.
func percent(v float64) string {
	switch {
	case v == 0:
		return "0 %"
	case v < 0.0001:
		return "< 0.01 %"
	}
	return number(100*v) + " %"
}
