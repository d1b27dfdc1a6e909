package report

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// Sizes in SVG units; a unit is about a pixel on a phone.
const (
	plotWidth  = 440
	plotHeight = 230
	left       = 48
	right      = 14
	above      = 24
	below      = 40
)

// point is a place on a plot, in values.
type point struct{ x, y float64 }

// plot is a chart under construction: axes and marks on two scales.
type plot struct {
	x, y   scale
	height float64
	b      strings.Builder
}

func newPlot(height float64, x, y scale) *plot {
	p := &plot{x: x, y: y, height: height}
	p.x.lo, p.x.hi = left, plotWidth-right
	p.y.lo, p.y.hi = height-below, above
	return p
}

func (p *plot) add(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

// axes draws the grid, the figures along it and what they are. Without a name for y there is nothing to read off it.
func (p *plot) axes(xName, yName string, xText, yText func(float64) string) {
	ticks := 6
	if p.x.log {
		ticks = 0
	}
	for _, v := range p.y.ticks(5) {
		if yName == "" {
			break
		}
		y := p.y.at(v)
		p.add(`<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, plotWidth-right, y, y)
		p.add(`<text class="tick" x="%d" y="%.1f" text-anchor="end">%s</text>`, left-6, y+4, html.EscapeString(yText(v)))
	}
	last := -100.0
	for _, v := range p.x.ticks(ticks) {
		x := p.x.at(v)
		if x-last < 32 {
			continue
		}
		last = x
		p.add(`<line class="notch" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x, x, p.y.lo, p.y.lo+4)
		p.add(`<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, x, p.y.lo+17, html.EscapeString(xText(v)))
	}
	p.add(`<line class="base" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, plotWidth-right, p.y.lo, p.y.lo)
	p.add(`<text class="name" x="%d" y="%.1f" text-anchor="end">%s</text>`, plotWidth-right, p.height-5, html.EscapeString(xName))
	p.add(`<text class="name" x="%d" y="%.1f">%s</text>`, left, 11.0, html.EscapeString(yName))
}

// line draws points joined by lines.
func (p *plot) line(class string, points []point) {
	if len(points) == 0 {
		return
	}
	p.add(`<polyline class="%s" points="`, class)
	for _, q := range points {
		p.add("%.1f,%.1f ", p.x.at(q.x), p.y.at(q.y))
	}
	p.add(`"/>`)
}

// dot draws a point that tells what it is.
func (p *plot) dot(class string, q point, r float64, title string) {
	p.add(`<circle class="%s" cx="%.1f" cy="%.1f" r="%.1f"><title>%s</title></circle>`, class, p.x.at(q.x), p.y.at(q.y), r, html.EscapeString(title))
}

// bar draws a rectangle between two values of x, from the base to y.
func (p *plot) bar(class string, from, to, y float64, title string) {
	x0, x1, y1 := p.x.at(from), p.x.at(to), p.y.at(y)
	if y <= 0 {
		return
	}
	p.add(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
		class, x0, y1, max(x1-x0-1, 0.6), max(p.y.lo-y1, 0.5), html.EscapeString(title))
}

// rule draws a line across the plot at a value of x, with a word beside it.
func (p *plot) rule(x float64, word string) {
	if x < p.x.from || x > p.x.to {
		return
	}
	at, anchor := p.x.at(x), "start"
	dx := 4.0
	if at > plotWidth*0.7 {
		anchor, dx = "end", -4
	}
	p.add(`<line class="rule" x1="%.1f" x2="%.1f" y1="%d" y2="%.1f"/>`, at, at, above+8, p.y.lo)
	p.add(`<text class="tick" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, at+dx, p.y.lo-6, anchor, html.EscapeString(word))
}

// svg returns the chart; label says what it shows to who cannot see it.
func (p *plot) svg(label string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %d %.0f" role="img" aria-label="%s">%s</svg>`, plotWidth, p.height, html.EscapeString(label), p.b.String()))
}

// stroke and fill are the classes of a system's marks.
func stroke(system int) string { return fmt.Sprintf("line s%d", system) }
func fill(system int) string   { return fmt.Sprintf("fill s%d", system) }
