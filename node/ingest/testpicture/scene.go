package testpicture

import (
	"image"
	"image/color"
	"time"
)

// flashLength is how long the flash block is lit, from each full second on.
const flashLength = 100 * time.Millisecond

// scene draws frames. What does not move is drawn once a day, when the date changes.
//
// The layout is for 640x360 and scales:
//
//	+------------------------------------------+
//	| Murmuration        2026-01-31 UTC [flash]|  16..64
//	| live test picture    ~ flock ~           |
//	|                                          |  72..200
//	|        HH:MM:SS.mmm                      |  208..272
//	|  ------o------------------  sweep        |  288
//	|[bars][bars][bars][bars][bars][bars][bars]|  304..352
//	+------------------------------------------+
type scene struct {
	width, height int
	unit          float64 // pixels per layout pixel

	frame, still canvas
	day          string
	digits       map[byte]*stencil
}

var (
	skyTop    = rgb(color.RGBA{0x1a, 0x24, 0x30, 255})
	skyBottom = rgb(color.RGBA{0x3d, 0x51, 0x64, 255})
	ink       = rgb(color.RGBA{0xf2, 0xf5, 0xf8, 255})
	inkSoft   = rgb(color.RGBA{0x9f, 0xb4, 0xc6, 255})
	inkMillis = rgb(color.RGBA{0xff, 0xcf, 0x8a, 255})
	lamp      = rgb(color.RGBA{0xff, 0xb4, 0x4a, 255})
	lampOff   = rgb(color.RGBA{0x33, 0x43, 0x53, 255})
	groove    = rgb(color.RGBA{0x51, 0x67, 0x7b, 255})
	black     = paint{16, 128, 128}
	white     = paint{235, 128, 128}
)

const (
	clockUnit   = 6.0 // layout pixels per grid unit
	clockWeight = 0.95
	clockTop    = 208
	clockLeft   = 68
)

func newScene(width, height int) *scene {
	s := &scene{
		width: width, height: height,
		unit:   min(float64(width)/640, float64(height)/360),
		frame:  newCanvas(width, height),
		still:  newCanvas(width, height),
		digits: make(map[byte]*stencil),
	}
	for _, r := range "0123456789:." {
		s.digits[byte(r)] = cut(string(r), clockUnit*s.unit, clockWeight, 0)
	}
	return s
}

// text stamps a line with the corner of its grid box at layout place (x, y), and returns its width in pixels.
func (s *scene) text(c canvas, text string, x, y, unit, weight, spacing float64, p paint) {
	u := unit * s.unit
	m := margin(u, weight)
	c.stamp(cut(text, u, weight, spacing), int(x*s.unit)-m, int(y*s.unit)-m, p)
}

// flashRect is the block that lights up at each full second.
func (s *scene) flashRect() image.Rectangle {
	at := func(v int) int { return int(float64(v)*s.unit) &^ 1 }
	return image.Rect(at(576), at(16), at(624), at(64))
}

// drawStill draws what stands still for a day.
func (s *scene) drawStill(day string) {
	s.day = day
	for y := range s.still.Rect.Max.Y {
		p := mix(skyTop, skyBottom, min(float64(y)/float64(s.height), 1))
		s.still.rect(image.Rect(0, y, s.still.Rect.Max.X, y+1), p)
	}
	s.text(s.still, "Murmuration", 26, 21, 3.2, 1.05, 1.75, ink)
	s.text(s.still, "live test picture", 27, 66, 1.35, 1.15, 2.1, inkSoft)
	s.text(s.still, day+" UTC", 446, 42, 1.1, 1.15, 2.1, inkSoft)
	s.still.rect(s.flashRect(), lampOff)
}

// draw draws the frame that shows time t. The picture is the scene's own and valid until the next call.
func (s *scene) draw(t time.Time) canvas {
	t = t.UTC()
	if day := t.Format("2006-01-02"); day != s.day {
		s.drawStill(day)
	}
	c := s.frame
	c.copyFrom(s.still)

	seconds := float64(t.Unix()%lap) + float64(t.Nanosecond())/1e9
	u := s.unit
	drawFlock(c, 40*u, 72*u, 560*u, 124*u, u, seconds)

	x := float64(clockLeft)
	m := margin(clockUnit*u, clockWeight)
	for i, ch := range []byte(t.Format("15:04:05.000")) {
		p := ink
		if i >= 8 {
			p = inkMillis
		}
		c.stamp(s.digits[ch], int(x*u)-m, int(clockTop*u)-m, p)
		if ch == ':' || ch == '.' {
			x += 24
		} else {
			x += 48
		}
	}

	// The sweep crosses the picture once a second.
	y, left, right := 292.5*u, 68*u, 572*u
	at := left + (right-left)*float64(t.Nanosecond())/1e9
	c.stroke(left, y, right, y, 1.5*u, groove.y, 1)
	c.stroke(at, y, at, y, 7*u, ink.y, 1)

	if t.Sub(t.Truncate(time.Second)) < flashLength {
		c.rect(s.flashRect(), lamp)
	}

	v := bars(t)
	for i := range barColumns * barRows {
		p := black
		if v>>(barColumns*barRows-1-i)&1 != 0 {
			p = white
		}
		c.rect(barRect(i, s.width, s.height), p)
	}
	return c
}
