package testpicture

import (
	"errors"
	"image"
	"time"
)

// The bars: the clock for a machine.
//
// Sixty blocks, 20 columns by 3 rows, black (luma 16, RGB 0) or white (luma 235, RGB 255). In fractions of the picture:
// column c spans x from c/20 to (c+1)/20 of the width, row r spans y from (304+16r)/360 to (320+16r)/360 of the height.
// A reader takes the luma (or the mean of R, G and B) in the middle of each block and calls it 1 from half way up.
//
// The blocks row by row, each from left to right, are 60 bits, most significant first:
//
//	44 bits  g = t XOR (t >> 1), the Gray code of t, the Unix time in milliseconds
//	16 bits  CRC-16 (polynomial 0x1021, initial value 0xFFFF, no reflection, no final XOR) of t as 6 bytes, big-endian
//
// A picture caught between two frames, or not ours at all, fails the check. In a browser, with the picture drawn into a
// canvas of w by h:
//
//	function readBars(context, w, h) { // Unix time in ms, NaN where the check fails
//	  let bits = "";
//	  for (let i = 0; i < 60; i++) {
//	    const x = Math.floor(((i % 20 + 0.5) * w) / 20);
//	    const y = Math.floor(((312 + 16 * Math.floor(i / 20)) * h) / 360);
//	    const [r, g, b] = context.getImageData(x, y, 1, 1).data;
//	    bits += r + g + b >= 384 ? "1" : "0";
//	  }
//	  let t = 0n, bit = 0n;
//	  for (const c of bits.slice(0, 44)) t = (t << 1n) | (bit ^= BigInt(c));
//	  let crc = 0xffff;
//	  for (let shift = 40n; shift >= 0n; shift -= 8n) {
//	    crc ^= Number((t >> shift) & 255n) << 8;
//	    for (let i = 0; i < 8; i++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
//	  }
//	  return crc === parseInt(bits.slice(44), 2) ? Number(t) : NaN;
//	}
const (
	barColumns = 20
	barRows    = 3
	barsTop    = 304 // of barsHeight
	barsHeight = 360
	barRow     = 16
	timeBits   = 44
	crcBits    = 16
)

// ErrNoBars says that a picture does not carry a whole and valid clock.
var ErrNoBars = errors.New("no valid clock bars in the picture")

// bars returns the 60 bits for t, the first block in the highest bit of the 60.
func bars(t time.Time) uint64 {
	ms := uint64(t.UnixMilli()) & (1<<timeBits - 1)
	return (ms^ms>>1)<<crcBits | uint64(barsCRC(ms))
}

func barsCRC(ms uint64) uint16 {
	crc := uint16(0xFFFF)
	for shift := 40; shift >= 0; shift -= 8 {
		crc ^= uint16(byte(ms>>shift)) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// barRect is the place of block i in a picture.
func barRect(i, width, height int) image.Rectangle {
	c, r := i%barColumns, i/barColumns
	return image.Rect(
		c*width/barColumns, (barsTop+barRow*r)*height/barsHeight,
		(c+1)*width/barColumns, (barsTop+barRow*(r+1))*height/barsHeight,
	)
}

// ReadBars reads the clock off a picture of any size, to the millisecond. It returns ErrNoBars where the check fails.
func ReadBars(img image.Image) (time.Time, error) {
	b := img.Bounds()
	return readBars(b.Dx(), b.Dy(), func(x, y int) int {
		if pic, ok := img.(*image.YCbCr); ok {
			return int(pic.Y[pic.YOffset(b.Min.X+x, b.Min.Y+y)])
		}
		r, g, bl, _ := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
		return int(r+g+bl) / 3 >> 8
	})
}

// ReadBarsLuma is ReadBars for a bare luma plane.
func ReadBarsLuma(luma []byte, stride, width, height int) (time.Time, error) {
	if width < 1 || height < 1 || stride < width || len(luma) < stride*(height-1)+width {
		return time.Time{}, ErrNoBars
	}
	return readBars(width, height, func(x, y int) int { return int(luma[y*stride+x]) })
}

func readBars(width, height int, at func(x, y int) int) (time.Time, error) {
	if width < barColumns || height < barsHeight/barRow {
		return time.Time{}, ErrNoBars
	}
	v := uint64(0)
	for i := range barColumns * barRows {
		r := barRect(i, width, height)
		v <<= 1
		if at((r.Min.X+r.Max.X)/2, (r.Min.Y+r.Max.Y)/2) >= 128 {
			v |= 1
		}
	}
	ms := v >> crcBits
	for shift := 1; shift < timeBits; shift <<= 1 {
		ms ^= ms >> shift
	}
	if barsCRC(ms) != uint16(v) {
		return time.Time{}, ErrNoBars
	}
	return time.UnixMilli(int64(ms)).UTC(), nil
}
