package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"murmuration/sim"
)

const mapHeight = 300

// overlay draws the peers where they are, and who feeds whom.
func overlay(system int, d *sim.Detail) template.HTML {
	if d == nil || len(d.Peers) == 0 {
		return ""
	}
	var b strings.Builder
	place := placing(d)
	thin := min(1, 14/math.Sqrt(float64(max(len(d.Feeds), 1)))) // many lines make a carpet
	fmt.Fprintf(&b, `<svg class="map" viewBox="0 0 %d %d" role="img" aria-label="peers on a map, and who feeds whom">`, plotWidth, mapHeight)
	if d.Globe {
		graticule(&b, place)
	}
	for _, f := range d.Feeds {
		if f.From >= len(d.Peers) || f.To >= len(d.Peers) {
			continue
		}
		x0, y0 := place(f.From, d.Peers[f.From])
		x1, y1 := place(f.To, d.Peers[f.To])
		// Bent a little, to the right of the way the chunks go, so that two directions are two lines.
		mx, my := (x0+x1)/2-(y1-y0)*0.12, (y0+y1)/2+(x1-x0)*0.12
		fmt.Fprintf(&b, `<path class="feed s%d" data-f="%d" data-t="%d" style="--w:%.2f;--n:%.2f" d="M%.1f %.1fQ%.1f %.1f %.1f %.1f"/>`,
			system, f.From, f.To, math.Sqrt(f.Share), thin, x0, y0, mx, my, x1, y1)
	}
	feeders, children := degrees(d)
	for id := len(d.Peers) - 1; id >= 0; id-- { // the origin last, on top
		dot := d.Peers[id]
		if !dot.Present && id > 0 {
			continue
		}
		x, y := place(id, dot)
		class, r := fill(system), min(max(40/math.Sqrt(float64(len(d.Peers))), 1.3), 4)
		what := fmt.Sprintf("peer %d (%s): median %s, sends %s copies, fed by %d, feeds %d", id, dot.Class, ms(dot.P50), number(dot.Copies), feeders[id], children[id])
		switch {
		case id == 0:
			class, r = "origin", r+2
			what = fmt.Sprintf("origin: sends %s copies, feeds %d", number(dot.Copies), children[id])
		case dot.P50 == 0:
			class = "idle"
			what = fmt.Sprintf("peer %d (%s): not measured", id, dot.Class)
		}
		fmt.Fprintf(&b, `<circle class="peer %s" data-p="%d" cx="%.1f" cy="%.1f" r="%.1f"><title>%s</title></circle>`, class, id, x, y, r, template.HTMLEscapeString(what))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func degrees(d *sim.Detail) (feeders, children map[int]int) {
	feeders, children = map[int]int{}, map[int]int{}
	for _, f := range d.Feeds {
		feeders[f.To]++
		children[f.From]++
	}
	return feeders, children
}

// placing returns where peers are on the map: the globe as a plain grid of degrees from 60 south to 75 north, or the
// plane as large as fits. Peers of one city are spread around it.
func placing(d *sim.Detail) func(id int, dot sim.Dot) (x, y float64) {
	const margin = 12
	if d.Globe {
		return func(id int, dot sim.Dot) (float64, float64) {
			r, angle := 0.0, 2.4*float64(id)
			if id > 0 {
				r = 1.2 * math.Sqrt(float64(id%23))
			}
			x := margin + (dot.X+180)/360*(plotWidth-2*margin)
			y := margin + (75-dot.Y)/135*(mapHeight-2*margin)
			return x + r*math.Cos(angle), y + r*math.Sin(angle)
		}
	}
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, dot := range d.Peers {
		x0, x1, y0, y1 = min(x0, dot.X), max(x1, dot.X), min(y0, dot.Y), max(y1, dot.Y)
	}
	per := min((plotWidth-2*margin)/max(x1-x0, 1e-9), (mapHeight-2*margin)/max(y1-y0, 1e-9))
	return func(_ int, dot sim.Dot) (float64, float64) {
		return plotWidth/2 + (dot.X-(x0+x1)/2)*per, mapHeight/2 + (dot.Y-(y0+y1)/2)*per
	}
}

// graticule draws every 30 degrees.
func graticule(b *strings.Builder, place func(int, sim.Dot) (float64, float64)) {
	line := func(lon0, lat0, lon1, lat1 float64) {
		x0, y0 := place(0, sim.Dot{X: lon0, Y: lat0})
		x1, y1 := place(0, sim.Dot{X: lon1, Y: lat1})
		fmt.Fprintf(b, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x0, y0, x1, y1)
	}
	for lon := -180.0; lon <= 180; lon += 30 {
		line(lon, -60, lon, 75)
	}
	for lat := -60.0; lat <= 60; lat += 30 {
		line(-180, lat, 180, lat)
	}
}
