package testpicture

import "math"

// The typeface: glyphs drawn as strokes on a grid where capitals and digits are 10 units high (y down, baseline at 10)
// and small letters 6.6. Round ends, one weight.

// pen is one stroke: a polyline.
type pen [][2]float64

// glyph is a character's advance width without side bearings, and its strokes.
type glyph struct {
	width float64
	pens  []pen
}

func line(xy ...float64) pen {
	p := make(pen, 0, len(xy)/2)
	for i := 0; i+1 < len(xy); i += 2 {
		p = append(p, [2]float64{xy[i], xy[i+1]})
	}
	return p
}

// arc is part of an ellipse, from and to in degrees: 0 right, 90 down, 180 left, 270 up.
func arc(cx, cy, rx, ry, from, to float64) pen {
	n := int(math.Abs(to-from)/12) + 1
	p := make(pen, 0, n+1)
	for i := range n + 1 {
		s, c := math.Sincos((from + (to-from)*float64(i)/float64(n)) * math.Pi / 180)
		p = append(p, [2]float64{cx + rx*c, cy + ry*s})
	}
	return p
}

func dot(x, y float64) pen { return line(x, y, x, y) }

var glyphs = map[rune]glyph{
	'0': {6, []pen{arc(3, 5, 3, 5, 0, 360)}},
	'1': {6, []pen{line(1.2, 2, 3.6, 0, 3.6, 10)}},
	'2': {6, []pen{append(arc(3, 3, 3, 3, 195, 395), line(0, 10, 6, 10)...)}},
	'3': {6, []pen{arc(3, 2.5, 2.6, 2.5, 200, 450), arc(3, 7.5, 3, 2.5, 270, 505)}},
	'4': {6, []pen{line(4.6, 10, 4.6, 0, 0, 7.2, 6, 7.2)}},
	'5': {6, []pen{line(5.4, 0, 1, 0, 0.7, 4.6), arc(2.9, 6.8, 3.1, 3.2, 225, 500)}},
	'6': {6, []pen{arc(3, 6.9, 3, 3.1, 0, 360), arc(6, 6.9, 6, 6.9, 180, 258)}},
	'7': {6, []pen{line(0, 0, 6, 0, 2.2, 10)}},
	'8': {6, []pen{arc(3, 2.5, 2.5, 2.5, 0, 360), arc(3, 7.5, 3, 2.5, 0, 360)}},
	'9': {6, []pen{arc(3, 3.1, 3, 3.1, 0, 360), arc(0, 3.1, 6, 6.9, 0, 78)}},
	':': {1, []pen{dot(0.5, 3.2), dot(0.5, 7.8)}},
	'.': {1, []pen{dot(0.5, 9.9)}},
	'-': {4, []pen{line(0.5, 5.5, 3.5, 5.5)}},
	' ': {3, nil},
	'M': {8, []pen{line(0, 10, 0, 0, 4, 6.2, 8, 0, 8, 10)}},
	'U': {6, []pen{append(append(line(0, 0), arc(3, 6.9, 3, 3.1, 180, 0)...), line(6, 0)...)}},
	'T': {6, []pen{line(0, 0, 6, 0), line(3, 0, 3, 10)}},
	'C': {6, []pen{arc(3.2, 5, 3.2, 5, 315, 45)}},
	'a': {5, []pen{arc(2.5, 6.7, 2.5, 3.3, 0, 360), line(5, 3.4, 5, 10)}},
	'c': {4.6, []pen{arc(2.6, 6.7, 2.6, 3.3, 320, 40)}},
	'e': {5.4, []pen{append(line(0, 6.7, 5.4, 6.7), arc(2.7, 6.7, 2.7, 3.3, 360, 40)...)}},
	'i': {0, []pen{line(0, 3.4, 0, 10), dot(0, 0.9)}},
	'l': {0, []pen{line(0, 0, 0, 10)}},
	'm': {8.4, []pen{line(0, 3.4, 0, 10), append(arc(2.1, 5.6, 2.1, 2.2, 180, 360), line(4.2, 10)...), append(arc(6.3, 5.6, 2.1, 2.2, 180, 360), line(8.4, 10)...)}},
	'n': {5, []pen{line(0, 3.4, 0, 10), append(arc(2.5, 6, 2.5, 2.6, 180, 360), line(5, 10)...)}},
	'o': {5.6, []pen{arc(2.8, 6.7, 2.8, 3.3, 0, 360)}},
	'p': {5, []pen{line(0, 3.4, 0, 12.8), arc(2.5, 6.7, 2.5, 3.3, 0, 360)}},
	'r': {3, []pen{line(0, 3.4, 0, 10), arc(2.9, 6.3, 2.9, 2.9, 180, 285)}},
	's': {4.4, []pen{append(arc(2.2, 5.05, 2.1, 1.65, 325, 90), arc(2.2, 8.35, 2.2, 1.65, 270, 505)...)}},
	't': {3.4, []pen{append(line(1.4, 0.9), arc(3.3, 8.1, 1.9, 1.9, 180, 90)...), line(0, 3.4, 3.3, 3.4)}},
	'u': {5, []pen{append(line(0, 3.4), arc(2.5, 7.4, 2.5, 2.6, 180, 0)...), line(5, 3.4, 5, 10)}},
	'v': {5, []pen{line(0, 3.4, 2.5, 10, 5, 3.4)}},
}

// cut makes a stencil of a line of text. unit is pixels per grid unit, weight and spacing are in units.
// The stencil has a margin of margin(unit, weight) pixels around the grid's box.
func cut(text string, unit, weight, spacing float64) *stencil {
	m := margin(unit, weight)
	advance := 0.0
	for _, r := range text {
		advance += glyphs[r].width + spacing
	}
	s := &stencil{width: int((advance-spacing)*unit) + 2*m + 1, height: int(13*unit) + 2*m}
	s.cover = make([]float32, s.width*s.height)
	x := 0.0
	for _, r := range text {
		g := glyphs[r]
		left := max(int(x*unit), 0)
		right := min(int((x+g.width)*unit)+2*m+1, s.width)
		for py := range s.height {
			for px := left; px < right; px++ {
				gx, gy := (float64(px-m)+0.5)/unit-x, (float64(py-m)+0.5)/unit
				d := math.Inf(1)
				for _, p := range g.pens {
					for i := 1; i < len(p); i++ {
						d = min(d, distance(gx, gy, p[i-1][0], p[i-1][1], p[i][0], p[i][1]))
					}
				}
				a := float32(min(max((weight/2-d)*unit+0.5, 0), 1))
				s.cover[py*s.width+px] = max(s.cover[py*s.width+px], a)
			}
		}
		x += g.width + spacing
	}
	return s
}

// margin is the room in pixels around a stencil's box that the strokes' width needs.
func margin(unit, weight float64) int { return int(math.Ceil(unit*weight/2)) + 1 }
