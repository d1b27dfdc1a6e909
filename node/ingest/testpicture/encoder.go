package testpicture

import "image"

// encoder codes pictures of one size. Each macroblock that differs from the last picture given is coded anew as
// Intra16x16, the others are skipped.
type encoder struct {
	width, height int
	mbw, mbh      int
	qp            int
	sps, pps      []byte

	source   *image.YCbCr // the last picture given, padded to macroblocks
	recon    *image.YCbCr // what a decoder shows of it
	frameNum uint32
	idrID    uint32
	counts   [3][]uint8 // levels in each 4x4 block of Y, Cb, Cr: the context of coeff_token
	bits     bitWriter

	// Working space of macroblock.
	luma   [16][16]int32 // coefficients, then levels, by raster position of the block
	chroma [2][4][16]int32
}

func newEncoder(width, height, rate int) *encoder {
	e := &encoder{width: width, height: height, mbw: (width + 15) / 16, mbh: (height + 15) / 16, qp: quantiser}
	e.sps, e.pps = sps(width, height, rate), pps(quantiser)
	padded := image.Rect(0, 0, e.mbw*16, e.mbh*16)
	e.source = image.NewYCbCr(padded, image.YCbCrSubsampleRatio420)
	e.recon = image.NewYCbCr(padded, image.YCbCrSubsampleRatio420)
	e.counts[0] = make([]uint8, e.mbw*e.mbh*16)
	e.counts[1] = make([]uint8, e.mbw*e.mbh*4)
	e.counts[2] = make([]uint8, e.mbw*e.mbh*4)
	return e
}

// encode codes a picture whose planes are padded to whole macroblocks, and returns its NAL units.
// With idr it can be decoded without what was before, and carries the parameter sets.
func (e *encoder) encode(pic *image.YCbCr, idr bool) [][]byte {
	w := &e.bits
	w.reset()
	w.ue(0) // first_mb_in_slice
	if idr {
		e.frameNum = 0
		w.ue(7) // I slices only
	} else {
		w.ue(5) // P slices only
	}
	w.ue(0)
	w.u(e.frameNum, log2MaxFrameNum)
	if idr {
		w.ue(e.idrID & 1)
		e.idrID++
		w.u(0, 2) // dec_ref_pic_marking
	} else {
		w.flag(false) // num_ref_idx_active_override_flag
		w.flag(false) // ref_pic_list_modification_flag_l0
		w.flag(false) // adaptive_ref_pic_marking_mode_flag
	}
	w.se(0) // slice_qp_delta
	w.ue(1) // disable_deblocking_filter_idc

	skipped := uint32(0)
	for y := range e.mbh {
		for x := range e.mbw {
			if !idr && e.unchanged(pic, x, y) {
				e.clearCounts(x, y)
				skipped++
				continue
			}
			typ := uint32(0)
			if !idr {
				w.ue(skipped)
				skipped = 0
				typ = 5 // intra types come after the inter ones in a P slice
			}
			e.macroblock(pic, x, y, typ)
		}
	}
	if skipped > 0 {
		w.ue(skipped)
	}
	w.trailing()
	e.frameNum++
	copy(e.source.Y, pic.Y)
	copy(e.source.Cb, pic.Cb)
	copy(e.source.Cr, pic.Cr)

	if idr {
		return [][]byte{e.sps, e.pps, w.nal(nalIDR)}
	}
	return [][]byte{w.nal(nalSlice)}
}

func (e *encoder) unchanged(pic *image.YCbCr, mx, my int) bool {
	for y := my * 16; y < my*16+16; y++ {
		o := y*pic.YStride + mx*16
		if [16]byte(pic.Y[o:]) != [16]byte(e.source.Y[o:]) {
			return false
		}
	}
	for y := my * 8; y < my*8+8; y++ {
		o := y*pic.CStride + mx*8
		if [8]byte(pic.Cb[o:]) != [8]byte(e.source.Cb[o:]) || [8]byte(pic.Cr[o:]) != [8]byte(e.source.Cr[o:]) {
			return false
		}
	}
	return true
}

func (e *encoder) clearCounts(mx, my int) {
	for y := range 4 {
		o := (my*4+y)*e.mbw*4 + mx*4
		clear(e.counts[0][o : o+4])
	}
	for y := range 2 {
		o := (my*2+y)*e.mbw*2 + mx*2
		clear(e.counts[1][o : o+2])
		clear(e.counts[2][o : o+2])
	}
}

// context returns nC for the 4x4 block at (x, y) of a plane (9.2.1).
func (e *encoder) context(plane, x, y int) int {
	stride := e.mbw * 4
	if plane > 0 {
		stride = e.mbw * 2
	}
	c := e.counts[plane]
	switch {
	case x > 0 && y > 0:
		return (int(c[y*stride+x-1]) + int(c[(y-1)*stride+x]) + 1) >> 1
	case x > 0:
		return int(c[y*stride+x-1])
	case y > 0:
		return int(c[(y-1)*stride+x])
	}
	return 0
}

func (e *encoder) setCount(plane, x, y, n int) {
	stride := e.mbw * 4
	if plane > 0 {
		stride = e.mbw * 2
	}
	e.counts[plane][y*stride+x] = uint8(n)
}

// blockXY gives the place of a luma block within its macroblock, in blocks, by its index (6.4.3).
func blockXY(i int) (x, y int) {
	return i&1 | i>>1&2, i>>1&1 | i>>2&2
}

// macroblock codes one Intra16x16 macroblock. base is added to its mb_type.
func (e *encoder) macroblock(pic *image.YCbCr, mx, my int, base uint32) {
	w := &e.bits
	mode := e.predictLuma(pic, mx, my)

	luma, chroma := &e.luma, &e.chroma
	var dc [16]int32
	var acBlock [16]bool // has levels other than DC
	acLuma := false
	for i := range 16 {
		ox, oy := mx*16+i%4*4, my*16+i/4*4
		difference(&luma[i], pic.Y, e.recon.Y, oy*pic.YStride+ox, pic.YStride)
		forward(&luma[i])
		dc[i] = luma[i][0]
		acBlock[i] = quantiseAC(&luma[i], e.qp)
		acLuma = acLuma || acBlock[i]
	}
	quantiseLumaDC(&dc, e.qp)

	qpc := chromaQP(e.qp)
	planes := [2][2][]byte{{pic.Cb, e.recon.Cb}, {pic.Cr, e.recon.Cr}}
	var chromaLevels [2][4]int32
	dcChroma, acChroma := false, false
	for p, plane := range planes {
		e.predictChroma(plane[1], mx, my)
		for i := range 4 {
			b := &chroma[p][i]
			difference(b, plane[0], plane[1], (my*8+i/2*4)*pic.CStride+mx*8+i%2*4, pic.CStride)
			forward(b)
			chromaLevels[p][i] = b[0]
			if quantiseAC(b, qpc) {
				acChroma = true
			}
		}
		if quantiseChromaDC(&chromaLevels[p], qpc) {
			dcChroma = true
		}
	}

	typ := base + 1 + uint32(mode)
	if acChroma {
		typ += 8
	} else if dcChroma {
		typ += 4
	}
	if acLuma {
		typ += 12
	}
	w.ue(typ)
	w.ue(0) // intra_chroma_pred_mode: DC
	w.se(0) // mb_qp_delta

	var scan [16]int32
	for i, pos := range zigzag {
		scan[i] = dc[pos]
	}
	w.residual(scan[:], e.context(0, mx*4, my*4))
	for i := range 16 {
		bx, by := blockXY(i)
		n := 0
		if acLuma {
			for k := 1; k < 16; k++ {
				scan[k] = luma[by*4+bx][zigzag[k]]
			}
			n = w.residual(scan[1:], e.context(0, mx*4+bx, my*4+by))
		}
		e.setCount(0, mx*4+bx, my*4+by, n)
	}
	if dcChroma || acChroma {
		w.residual(chromaLevels[0][:], chromaDC)
		w.residual(chromaLevels[1][:], chromaDC)
	}
	for p := range chroma {
		for i := range 4 {
			n := 0
			if acChroma {
				for k := 1; k < 16; k++ {
					scan[k] = chroma[p][i][zigzag[k]]
				}
				n = w.residual(scan[1:], e.context(1+p, mx*2+i%2, my*2+i/2))
			}
			e.setCount(1+p, mx*2+i%2, my*2+i/2, n)
		}
	}

	// What the decoder will have, for the predictions to come.
	scaleLumaDC(&dc, e.qp)
	for i := range 16 {
		luma[i][0] = dc[i]
		if acBlock[i] {
			scaleAC(&luma[i], e.qp)
			inverse(&luma[i])
		} else {
			inverseDC(&luma[i])
		}
		add(&luma[i], e.recon.Y, (my*16+i/4*4)*e.recon.YStride+mx*16+i%4*4, e.recon.YStride)
	}
	for p, plane := range planes {
		scaleChromaDC(&chromaLevels[p], qpc)
		for i := range 4 {
			b := &chroma[p][i]
			b[0] = chromaLevels[p][i]
			if acChroma {
				scaleAC(b, qpc)
				inverse(b)
			} else {
				inverseDC(b)
			}
			add(b, plane[1], (my*8+i/2*4)*e.recon.CStride+mx*8+i%2*4, e.recon.CStride)
		}
	}
}

// difference fills b with source less prediction for the 4x4 block at offset o.
func difference(b *[16]int32, source, prediction []byte, o, stride int) {
	for y := range 4 {
		for x := range 4 {
			b[y*4+x] = int32(source[o+x]) - int32(prediction[o+x])
		}
		o += stride
	}
}

// add adds the residuals b onto the prediction that stands in plane.
func add(b *[16]int32, plane []byte, o, stride int) {
	for y := range 4 {
		for x := range 4 {
			plane[o+x] = byte(min(max(int32(plane[o+x])+b[y*4+x], 0), 255))
		}
		o += stride
	}
}
