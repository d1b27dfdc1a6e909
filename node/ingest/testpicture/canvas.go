package testpicture

import (
	"image"
	"image/color"
	"math"
)

// canvas is a picture under the brush: planes padded to whole macroblocks.
type canvas struct {
	*image.YCbCr
}

func newCanvas(width, height int) canvas {
	return canvas{image.NewYCbCr(image.Rect(0, 0, (width+15)/16*16, (height+15)/16*16), image.YCbCrSubsampleRatio420)}
}

// paint is a colour in limited range BT.709.
type paint struct {
	y, cb, cr float64
}

// rgb converts a colour as it shall look on the screen (BT.709, limited range).
func rgb(c color.RGBA) paint {
	r, g, b := float64(c.R)/255, float64(c.G)/255, float64(c.B)/255
	y := 0.2126*r + 0.7152*g + 0.0722*b
	return paint{16 + 219*y, 128 + 224*(b-y)/1.8556, 128 + 224*(r-y)/1.5748}
}

func mix(a, b paint, t float64) paint {
	return paint{a.y + (b.y-a.y)*t, a.cb + (b.cb-a.cb)*t, a.cr + (b.cr-a.cr)*t}
}

func (c canvas) copyFrom(o canvas) {
	copy(c.Y, o.Y)
	copy(c.Cb, o.Cb)
	copy(c.Cr, o.Cr)
}

// rect fills a rectangle. Edges at even coordinates give clean chroma.
func (c canvas) rect(r image.Rectangle, p paint) {
	r = r.Intersect(c.Rect)
	luma, cb, cr := round8(p.y), round8(p.cb), round8(p.cr)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		fill(c.Y[y*c.YStride+r.Min.X:y*c.YStride+r.Max.X], luma)
		left, right := y/2*c.CStride+r.Min.X/2, y/2*c.CStride+(r.Max.X+1)/2
		fill(c.Cb[left:right], cb)
		fill(c.Cr[left:right], cr)
	}
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// stencil is a shape's coverage, 0 to 1, at pixel resolution.
type stencil struct {
	width, height int
	cover         []float32
}

// at is the coverage of a pixel, 0 outside.
func (s *stencil) at(x, y int) float32 {
	if x < 0 || y < 0 || x >= s.width || y >= s.height {
		return 0
	}
	return s.cover[y*s.width+x]
}

// stamp lays p on the canvas through a stencil with its corner at (x0, y0).
func (c canvas) stamp(s *stencil, x0, y0 int, p paint) {
	r := image.Rect(x0, y0, x0+s.width, y0+s.height).Intersect(c.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if a := float64(s.cover[(y-y0)*s.width+x-x0]); a > 0 {
				blend(&c.Y[y*c.YStride+x], p.y, a)
			}
		}
	}
	for y := r.Min.Y / 2; y < (r.Max.Y+1)/2; y++ {
		for x := r.Min.X / 2; x < (r.Max.X+1)/2; x++ {
			sx, sy := 2*x-x0, 2*y-y0
			a := float64(s.at(sx, sy)+s.at(sx+1, sy)+s.at(sx, sy+1)+s.at(sx+1, sy+1)) / 4
			if a > 0 {
				blend(&c.Cb[y*c.CStride+x], p.cb, a)
				blend(&c.Cr[y*c.CStride+x], p.cr, a)
			}
		}
	}
}

// stroke draws a line with round ends and a soft edge, in luma only: for small things on a like-coloured ground.
func (c canvas) stroke(x0, y0, x1, y1, width, luma, opacity float64) {
	reach := width/2 + 1
	r := image.Rect(
		int(math.Floor(min(x0, x1)-reach)), int(math.Floor(min(y0, y1)-reach)),
		int(math.Ceil(max(x0, x1)+reach))+1, int(math.Ceil(max(y0, y1)+reach))+1,
	).Intersect(c.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			d := distance(float64(x)+0.5, float64(y)+0.5, x0, y0, x1, y1)
			if a := min(max(width/2+0.5-d, 0), 1) * opacity; a > 0 {
				blend(&c.Y[y*c.YStride+x], luma, a)
			}
		}
	}
}

// distance is that of a point from a line segment.
func distance(px, py, x0, y0, x1, y1 float64) float64 {
	dx, dy := x1-x0, y1-y0
	t := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		t = min(max(((px-x0)*dx+(py-y0)*dy)/l, 0), 1)
	}
	ex, ey := px-x0-t*dx, py-y0-t*dy
	return math.Sqrt(ex*ex + ey*ey)
}

func blend(dst *byte, v, a float64) {
	*dst = round8(float64(*dst) + (v-float64(*dst))*a)
}

func round8(v float64) byte { return byte(min(max(v+0.5, 0), 255)) }
