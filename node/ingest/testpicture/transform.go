package testpicture

// Transform and quantisation of H.264 8.5, with the usual multipliers for the forward direction.

// zigzag is the scan of a 4x4 block: position in raster order for each index.
var zigzag = [16]int{0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15}

// Multipliers for qp%6, by kind of position: both coordinates even, both odd, mixed.
var (
	quantScale   = [6][3]int32{{13107, 5243, 8066}, {11916, 4660, 7490}, {10082, 4194, 6554}, {9362, 3647, 5825}, {8192, 3355, 5243}, {7282, 2893, 4559}}
	dequantScale = [6][3]int32{{10, 16, 13}, {11, 18, 14}, {13, 20, 16}, {14, 23, 18}, {16, 25, 20}, {18, 29, 23}}
	positionKind = [16]int{0, 2, 0, 2, 2, 1, 2, 1, 0, 2, 0, 2, 2, 1, 2, 1}
)

// chromaQP maps the luma quantiser to the chroma one (Table 8-15).
func chromaQP(qp int) int {
	if qp < 30 {
		return qp
	}
	return [22]int{29, 30, 31, 32, 32, 33, 34, 34, 35, 35, 36, 36, 37, 37, 37, 38, 38, 38, 39, 39, 39, 39}[qp-30]
}

// forward transforms a 4x4 block of residuals in place.
func forward(b *[16]int32) {
	for i := 0; i < 16; i += 4 {
		s0, s1, d0, d1 := b[i]+b[i+3], b[i+1]+b[i+2], b[i]-b[i+3], b[i+1]-b[i+2]
		b[i], b[i+1], b[i+2], b[i+3] = s0+s1, 2*d0+d1, s0-s1, d0-2*d1
	}
	for i := range 4 {
		s0, s1, d0, d1 := b[i]+b[i+12], b[i+4]+b[i+8], b[i]-b[i+12], b[i+4]-b[i+8]
		b[i], b[i+4], b[i+8], b[i+12] = s0+s1, 2*d0+d1, s0-s1, d0-2*d1
	}
}

// inverse transforms a 4x4 block of scaled coefficients in place into residuals.
func inverse(b *[16]int32) {
	for i := 0; i < 16; i += 4 {
		e, f, g, h := b[i]+b[i+2], b[i]-b[i+2], b[i+1]>>1-b[i+3], b[i+1]+b[i+3]>>1
		b[i], b[i+1], b[i+2], b[i+3] = e+h, f+g, f-g, e-h
	}
	for i := range 4 {
		e, f, g, h := b[i]+b[i+8], b[i]-b[i+8], b[i+4]>>1-b[i+12], b[i+4]+b[i+12]>>1
		b[i], b[i+4], b[i+8], b[i+12] = (e+h+32)>>6, (f+g+32)>>6, (f-g+32)>>6, (e-h+32)>>6
	}
}

// inverseDC is inverse for a block that has nothing but its first coefficient.
func inverseDC(b *[16]int32) {
	v := (b[0] + 32) >> 6
	for i := range b {
		b[i] = v
	}
}

// hadamard transforms the 4x4 block of luma DC values in place.
func hadamard(b *[16]int32) {
	for i := 0; i < 16; i += 4 {
		s0, s1, d0, d1 := b[i]+b[i+3], b[i+1]+b[i+2], b[i]-b[i+3], b[i+1]-b[i+2]
		b[i], b[i+1], b[i+2], b[i+3] = s0+s1, d0+d1, s0-s1, d0-d1
	}
	for i := range 4 {
		s0, s1, d0, d1 := b[i]+b[i+12], b[i+4]+b[i+8], b[i]-b[i+12], b[i+4]-b[i+8]
		b[i], b[i+4], b[i+8], b[i+12] = s0+s1, d0+d1, s0-s1, d0-d1
	}
}

// quantise divides v into a level, in 64 bits since a DC coefficient times its scale takes more than 31.
func quantise(v, scale, round int32, shift uint) int32 {
	if v == 0 {
		return 0
	}
	if v < 0 {
		return -int32((int64(-v)*int64(scale) + int64(round)) >> shift)
	}
	return int32((int64(v)*int64(scale) + int64(round)) >> shift)
}

// quantiseAC replaces the coefficients of b other than the first by their levels and reports whether any is left.
func quantiseAC(b *[16]int32, qp int) bool {
	shift := uint(15 + qp/6)
	round := int32(1<<shift) / 3
	any := int32(0)
	for i := 1; i < 16; i++ {
		b[i] = quantise(b[i], quantScale[qp%6][positionKind[i]], round, shift)
		any |= b[i]
	}
	return any != 0
}

// scaleAC turns the levels other than the first back into coefficients.
func scaleAC(b *[16]int32, qp int) {
	for i := 1; i < 16; i++ {
		b[i] = b[i] * dequantScale[qp%6][positionKind[i]] << (qp / 6)
	}
}

// quantiseLumaDC turns the DC coefficients of the 16 blocks into levels.
func quantiseLumaDC(dc *[16]int32, qp int) {
	hadamard(dc)
	shift := uint(16 + qp/6)
	round := int32(1<<(shift-1)) / 3 * 2
	for i, v := range dc {
		dc[i] = quantise((v+1)>>1, quantScale[qp%6][0], round, shift)
	}
}

// scaleLumaDC turns the levels back into the DC coefficients of the 16 blocks (8.5.10).
func scaleLumaDC(dc *[16]int32, qp int) {
	hadamard(dc)
	v := dequantScale[qp%6][0]
	for i := range dc {
		if qp >= 12 {
			dc[i] = dc[i] * v << (qp/6 - 2)
		} else {
			dc[i] = (dc[i]*v + 1<<(1-qp/6)) >> (2 - qp/6)
		}
	}
}

func hadamard2(dc *[4]int32) {
	a, b, c, d := dc[0], dc[1], dc[2], dc[3]
	dc[0], dc[1], dc[2], dc[3] = a+b+c+d, a-b+c-d, a+b-c-d, a-b-c+d
}

// quantiseChromaDC turns the DC coefficients of the 4 blocks of a chroma plane into levels.
func quantiseChromaDC(dc *[4]int32, qp int) bool {
	hadamard2(dc)
	shift := uint(16 + qp/6)
	round := int32(1<<(shift-1)) / 3 * 2
	any := int32(0)
	for i, v := range dc {
		dc[i] = quantise(v, quantScale[qp%6][0], round, shift)
		any |= dc[i]
	}
	return any != 0
}

// scaleChromaDC turns the levels back into the DC coefficients (8.5.11).
func scaleChromaDC(dc *[4]int32, qp int) {
	hadamard2(dc)
	for i := range dc {
		dc[i] = (dc[i] * dequantScale[qp%6][0] << (qp / 6)) >> 1
	}
}
