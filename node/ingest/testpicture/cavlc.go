package testpicture

// The variable length codes of H.264 9.2 (Tables 9-5, 9-7, 9-8, 9-9, 9-10): lengths and values.

type vlc struct {
	length, bits uint8
}

// codes zips lengths and values.
func codes(lengths, values []uint8) []vlc {
	out := make([]vlc, len(lengths))
	for i := range out {
		out[i] = vlc{lengths[i], values[i]}
	}
	return out
}

// coeffToken is indexed by 4*total+trailingOnes, for nC 0..1, 2..3 and 4..7. From nC 8 on it is a code of 6 bits.
var coeffToken = [3][]vlc{
	codes([]uint8{
		1, 0, 0, 0,
		6, 2, 0, 0, 8, 6, 3, 0, 9, 8, 7, 5, 10, 9, 8, 6,
		11, 10, 9, 7, 13, 11, 10, 8, 13, 13, 11, 9, 13, 13, 13, 10,
		14, 14, 13, 11, 14, 14, 14, 13, 15, 15, 14, 14, 15, 15, 15, 14,
		16, 15, 15, 15, 16, 16, 16, 15, 16, 16, 16, 16, 16, 16, 16, 16,
	}, []uint8{
		1, 0, 0, 0,
		5, 1, 0, 0, 7, 4, 1, 0, 7, 6, 5, 3, 7, 6, 5, 3,
		7, 6, 5, 4, 15, 6, 5, 4, 11, 14, 5, 4, 8, 10, 13, 4,
		15, 14, 9, 4, 11, 10, 13, 12, 15, 14, 9, 12, 11, 10, 13, 8,
		15, 1, 9, 12, 11, 14, 13, 8, 7, 10, 9, 12, 4, 6, 5, 8,
	}),
	codes([]uint8{
		2, 0, 0, 0,
		6, 2, 0, 0, 6, 5, 3, 0, 7, 6, 6, 4, 8, 6, 6, 4,
		8, 7, 7, 5, 9, 8, 8, 6, 11, 9, 9, 6, 11, 11, 11, 7,
		12, 11, 11, 9, 12, 12, 12, 11, 12, 12, 12, 11, 13, 13, 13, 12,
		13, 13, 13, 13, 13, 14, 13, 13, 14, 14, 14, 13, 14, 14, 14, 14,
	}, []uint8{
		3, 0, 0, 0,
		11, 2, 0, 0, 7, 7, 3, 0, 7, 10, 9, 5, 7, 6, 5, 4,
		4, 6, 5, 6, 7, 6, 5, 8, 15, 6, 5, 4, 11, 14, 13, 4,
		15, 10, 9, 4, 11, 14, 13, 12, 8, 10, 9, 8, 15, 14, 13, 12,
		11, 10, 9, 12, 7, 11, 6, 8, 9, 8, 10, 1, 7, 6, 5, 4,
	}),
	codes([]uint8{
		4, 0, 0, 0,
		6, 4, 0, 0, 6, 5, 4, 0, 6, 5, 5, 4, 7, 5, 5, 4,
		7, 5, 5, 4, 7, 6, 6, 4, 7, 6, 6, 4, 8, 7, 7, 5,
		8, 8, 7, 6, 9, 8, 8, 7, 9, 9, 8, 8, 9, 9, 9, 8,
		10, 9, 9, 9, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
	}, []uint8{
		15, 0, 0, 0,
		15, 14, 0, 0, 11, 15, 13, 0, 8, 12, 14, 12, 15, 10, 11, 11,
		11, 8, 9, 10, 9, 14, 13, 9, 8, 10, 9, 8, 15, 14, 13, 13,
		11, 14, 10, 12, 15, 10, 13, 12, 11, 14, 9, 12, 8, 10, 13, 8,
		13, 7, 9, 12, 9, 12, 11, 10, 5, 8, 7, 6, 1, 4, 3, 2,
	}),
}

// coeffTokenChromaDC is the same for the 2x2 block of chroma DC levels (nC = -1).
var coeffTokenChromaDC = codes(
	[]uint8{2, 0, 0, 0, 6, 1, 0, 0, 6, 6, 3, 0, 6, 7, 7, 6, 6, 8, 8, 7},
	[]uint8{1, 0, 0, 0, 7, 1, 0, 0, 4, 6, 1, 0, 3, 3, 2, 5, 2, 3, 2, 0},
)

// totalZeros is indexed by the number of coefficients less one, then by the zeros.
var totalZeros = [15][]vlc{
	codes([]uint8{1, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 9}, []uint8{1, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 1}),
	codes([]uint8{3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 6, 6, 6, 6}, []uint8{7, 6, 5, 4, 3, 5, 4, 3, 2, 3, 2, 3, 2, 1, 0}),
	codes([]uint8{4, 3, 3, 3, 4, 4, 3, 3, 4, 5, 5, 6, 5, 6}, []uint8{5, 7, 6, 5, 4, 3, 4, 3, 2, 3, 2, 1, 1, 0}),
	codes([]uint8{5, 3, 4, 4, 3, 3, 3, 4, 3, 4, 5, 5, 5}, []uint8{3, 7, 5, 4, 6, 5, 4, 3, 3, 2, 2, 1, 0}),
	codes([]uint8{4, 4, 4, 3, 3, 3, 3, 3, 4, 5, 4, 5}, []uint8{5, 4, 3, 7, 6, 5, 4, 3, 2, 1, 1, 0}),
	codes([]uint8{6, 5, 3, 3, 3, 3, 3, 3, 4, 3, 6}, []uint8{1, 1, 7, 6, 5, 4, 3, 2, 1, 1, 0}),
	codes([]uint8{6, 5, 3, 3, 3, 2, 3, 4, 3, 6}, []uint8{1, 1, 5, 4, 3, 3, 2, 1, 1, 0}),
	codes([]uint8{6, 4, 5, 3, 2, 2, 3, 3, 6}, []uint8{1, 1, 1, 3, 3, 2, 2, 1, 0}),
	codes([]uint8{6, 6, 4, 2, 2, 3, 2, 5}, []uint8{1, 0, 1, 3, 2, 1, 1, 1}),
	codes([]uint8{5, 5, 3, 2, 2, 2, 4}, []uint8{1, 0, 1, 3, 2, 1, 1}),
	codes([]uint8{4, 4, 3, 3, 1, 3}, []uint8{0, 1, 1, 2, 1, 3}),
	codes([]uint8{4, 4, 2, 1, 3}, []uint8{0, 1, 1, 1, 1}),
	codes([]uint8{3, 3, 1, 2}, []uint8{0, 1, 1, 1}),
	codes([]uint8{2, 2, 1}, []uint8{0, 1, 1}),
	codes([]uint8{1, 1}, []uint8{0, 1}),
}

var totalZerosChromaDC = [3][]vlc{
	codes([]uint8{1, 2, 3, 3}, []uint8{1, 1, 1, 0}),
	codes([]uint8{1, 2, 2}, []uint8{1, 1, 0}),
	codes([]uint8{1, 1}, []uint8{1, 0}),
}

// runBefore is indexed by min(zerosLeft, 7)-1, then by the run.
var runBefore = [7][]vlc{
	codes([]uint8{1, 1}, []uint8{1, 0}),
	codes([]uint8{1, 2, 2}, []uint8{1, 1, 0}),
	codes([]uint8{2, 2, 2, 2}, []uint8{3, 2, 1, 0}),
	codes([]uint8{2, 2, 2, 3, 3}, []uint8{3, 2, 1, 1, 0}),
	codes([]uint8{2, 2, 3, 3, 3, 3}, []uint8{3, 2, 3, 2, 1, 0}),
	codes([]uint8{2, 3, 3, 3, 3, 3, 3}, []uint8{3, 0, 1, 3, 2, 5, 4}),
	codes([]uint8{3, 3, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11}, []uint8{7, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1}),
}

// chromaDC is the nC of a block of chroma DC levels.
const chromaDC = -1

func (w *bitWriter) vlc(c vlc) { w.u(uint32(c.bits), uint(c.length)) }

// residual writes a block of levels in scan order (H.264 7.3.5.3.2) and returns how many are not zero.
func (w *bitWriter) residual(levels []int32, nC int) int {
	var (
		value       [16]int32 // the levels that are not zero, highest frequency first
		run         [16]int   // the zeros before each
		total, ones int
		zeros       int
	)
	counting := true
	last := -1
	for i := len(levels) - 1; i >= 0; i-- {
		l := levels[i]
		if l == 0 {
			continue
		}
		if total > 0 {
			run[total-1] = last - i - 1
		}
		last = i
		value[total] = l
		total++
		if counting && ones < 3 && (l == 1 || l == -1) {
			ones++
		} else {
			counting = false
		}
	}
	if total > 0 {
		run[total-1] = last
		for _, r := range run[:total] {
			zeros += r
		}
	}

	switch {
	case nC == chromaDC:
		w.vlc(coeffTokenChromaDC[4*total+ones])
	case nC >= 8:
		if total == 0 {
			w.u(3, 6)
		} else {
			w.u(uint32((total-1)<<2|ones), 6)
		}
	case nC >= 4:
		w.vlc(coeffToken[2][4*total+ones])
	case nC >= 2:
		w.vlc(coeffToken[1][4*total+ones])
	default:
		w.vlc(coeffToken[0][4*total+ones])
	}
	if total == 0 {
		return 0
	}

	for _, l := range value[:ones] {
		w.flag(l < 0)
	}
	w.levels(value[ones:total], total, ones)

	if total < len(levels) {
		if nC == chromaDC {
			w.vlc(totalZerosChromaDC[total-1][zeros])
		} else {
			w.vlc(totalZeros[total-1][zeros])
		}
	}
	for i := 0; i < total-1 && zeros > 0; i++ {
		w.vlc(runBefore[min(zeros, 7)-1][run[i]])
		zeros -= run[i]
	}
	return total
}

// levels writes the levels after the trailing ones (H.264 9.2.2.1, read backwards).
func (w *bitWriter) levels(values []int32, total, ones int) {
	suffix := uint(0)
	if total > 10 && ones < 3 {
		suffix = 1
	}
	for i, l := range values {
		abs := max(l, -l)
		code := uint32(2*abs - 2)
		if l < 0 {
			code++
		}
		if i == 0 && ones < 3 {
			code -= 2 // it cannot be one in magnitude, or it would have been a trailing one
		}
		switch {
		case suffix == 0 && code < 14:
			w.u(1, uint(code)+1)
		case suffix == 0 && code < 30:
			w.u(1, 15)
			w.u(code-14, 4)
		case suffix == 0:
			w.u(1, 16)
			w.u(code-30, 12)
		case code < 15<<suffix:
			w.u(1, uint(code>>suffix)+1)
			w.u(code, suffix)
		default:
			w.u(1, 16)
			w.u(code-15<<suffix, 12)
		}
		if suffix == 0 {
			suffix = 1
		}
		if abs > 3<<(suffix-1) && suffix < 6 {
			suffix++
		}
	}
}
