package testpicture

import "image"

// Intra16x16PredMode values (Table 8-4). Plane prediction is not used.
const (
	predictVertical = iota
	predictHorizontal
	predictDC
)

// predictLuma writes the best prediction for a macroblock into recon and returns its mode.
func (e *encoder) predictLuma(pic *image.YCbCr, mx, my int) int {
	stride := e.recon.YStride
	o := my*16*stride + mx*16
	var top, left [16]byte
	sum, n := 0, 0
	if my > 0 {
		top = [16]byte(e.recon.Y[o-stride:])
		for _, v := range top {
			sum += int(v)
		}
		n += 16
	}
	if mx > 0 {
		for y := range left {
			left[y] = e.recon.Y[o+y*stride-1]
			sum += int(left[y])
		}
		n += 16
	}
	mean := 128
	if n > 0 {
		mean = (sum + n/2) / n
	}

	var cost [3]int
	for y := range 16 {
		row := pic.Y[o+y*stride : o+y*stride+16]
		for x, v := range row {
			cost[predictVertical] += abs(int(v) - int(top[x]))
			cost[predictHorizontal] += abs(int(v) - int(left[y]))
			cost[predictDC] += abs(int(v) - mean)
		}
	}
	mode := predictDC
	if my > 0 && cost[predictVertical] < cost[mode] {
		mode = predictVertical
	}
	if mx > 0 && cost[predictHorizontal] < cost[mode] {
		mode = predictHorizontal
	}
	for y := range 16 {
		row := e.recon.Y[o+y*stride : o+y*stride+16]
		for x := range row {
			switch mode {
			case predictVertical:
				row[x] = top[x]
			case predictHorizontal:
				row[x] = left[y]
			default:
				row[x] = byte(mean)
			}
		}
	}
	return mode
}

// predictChroma writes the DC prediction for a macroblock into a chroma plane of recon (8.3.4.1): each 4x4 block from
// its own neighbours above and to the left, the off-diagonal blocks from one side where they have it.
func (e *encoder) predictChroma(plane []byte, mx, my int) {
	stride := e.recon.CStride
	o := my*8*stride + mx*8
	var top, left [2]int
	for i := range 8 {
		if my > 0 {
			top[i/4] += int(plane[o-stride+i])
		}
		if mx > 0 {
			left[i/4] += int(plane[o+i*stride-1])
		}
	}
	for i := range 4 {
		bx, by := i%2, i/2
		useTop, useLeft := my > 0, mx > 0
		if useTop && useLeft && bx != by {
			useTop, useLeft = bx == 1, by == 1
		}
		value := 128
		switch {
		case useTop && useLeft:
			value = (top[bx] + left[by] + 4) >> 3
		case useTop:
			value = (top[bx] + 2) >> 2
		case useLeft:
			value = (left[by] + 2) >> 2
		}
		for y := range 4 {
			p := o + (by*4+y)*stride + bx*4
			for x := range 4 {
				plane[p+x] = byte(value)
			}
		}
	}
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}
