package report

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Audience is the latency measured with a number of peers, in milliseconds.
type Audience struct {
	Engine   string
	Peers    int
	P50, P99 float64
	Floor    float64 // the median peer's direct one-way delay, and a fragment's time on the links
}

// Fit returns the least-squares line a + b ln(peers) of a figure.
func Fit(points []Audience, get func(*Audience) float64) (a, b float64) {
	var n, sx, sy, sxx, sxy float64
	for i := range points {
		x, y := math.Log(float64(points[i].Peers)), get(&points[i])
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if d := n*sxx - sx*sx; d != 0 {
		b = (n*sxy - sx*sy) / d
	}
	if n > 0 {
		a = (sy - b*sx) / n
	}
	return a, b
}

// Growth writes a plot of latency over the logarithm of the number of peers as an SVG file: a line through each
// engine's points, and for the engine with the most points the straight line that fits them.
func Growth(w io.Writer, points []Audience) error {
	least, most, high := math.Inf(1), 0.0, 0.0
	var engines []string
	for i := range points {
		x := &points[i]
		least, most, high = min(least, float64(x.Peers)), max(most, float64(x.Peers)), max(high, x.P99)
		if len(engines) == 0 || engines[len(engines)-1] != x.Engine {
			engines = append(engines, x.Engine)
		}
	}
	if len(points) == 0 {
		return fmt.Errorf("growth: nothing to draw")
	}
	pl := newPlot(plotHeight+50, scale{from: least * 0.8, to: most * 1.25, log: true}, scale{from: 0, to: top(high)})
	pl.axes("peers (logarithmic)", "ms from the origin's publishing to complete at the peer", func(v float64) string { return fmt.Sprintf("%.0f", v) }, short)
	var floor []point
	for i, engine := range engines {
		var of []Audience
		for _, x := range points {
			if x.Engine == engine {
				of = append(of, x)
			}
		}
		for _, f := range []struct {
			name, class string
			get         func(*Audience) float64
		}{
			{"p99", " thin", func(x *Audience) float64 { return x.P99 }},
			{"p50", "", func(x *Audience) float64 { return x.P50 }},
		} {
			var line []point
			for j := range of {
				at := point{float64(of[j].Peers), f.get(&of[j])}
				line = append(line, at)
				pl.dot(fill(i), at, 3.2, fmt.Sprintf("%s engine, %d peers: %s %s", engine, of[j].Peers, f.name, ms(at.y)))
				if i == 0 && f.class == "" {
					floor = append(floor, point{at.x, of[j].Floor})
				}
			}
			if i > 0 { // few points: no line is fitted
				pl.line(stroke(i)+f.class, line)
				continue
			}
			a, b := Fit(of, f.get)
			ends := []point{{least, a + b*math.Log(least)}, {most, a + b*math.Log(most)}}
			pl.line(stroke(i)+f.class, ends)
			pl.add(`<text class="name" x="%d" y="%.1f" text-anchor="end">%s: %.0f + %.0f ms · ln(peers)</text>`, plotWidth-right, pl.y.at(ends[1].y)+36, f.name, a, b)
		}
	}
	pl.line("line floor", floor)
	if len(floor) > 0 {
		pl.add(`<text class="tick" x="%d" y="%.1f">median direct delay</text>`, left+10, pl.y.at(floor[0].y)-5)
	}
	for i, engine := range engines {
		x := left + 10 + 110*i
		pl.dot(fill(i), point{pl.x.from, 0}, 0, "")
		pl.add(`<circle class="%s" cx="%d" cy="31" r="4"/><text class="name" x="%d" y="35">%s engine</text>`, fill(i), x+4, x+13, engine)
	}
	svg := string(pl.svg("latency over the logarithm of the number of peers"))
	style := strings.NewReplacer("\n", " ").Replace(growthCSS)
	svg = strings.Replace(svg, "<svg ", `<svg xmlns="http://www.w3.org/2000/svg" width="880" `, 1)
	at := strings.Index(svg, ">") + 1
	_, err := io.WriteString(w, svg[:at]+"<style>"+style+`</style><rect class="card" width="100%" height="100%"/>`+svg[at:]+"\n")
	return err
}

// growthCSS is what of the page's style sheet a plot by itself needs.
const growthCSS = `svg { --card: #fcfcfb; --soft: #52514e; --faint: #8a8882; --rule: #e2e0da; --c0: #2a78d6; --c1: #eb6834; }
@media (prefers-color-scheme: dark) { svg { --card: #1a1a19; --soft: #c3c2b7; --faint: #8a8882; --rule: #33322f; --c0: #3987e5; --c1: #d95926; } }
.card { fill: var(--card); }
text { font: 11.5px system-ui, sans-serif; fill: var(--soft); } text.tick { fill: var(--faint); }
line.grid { stroke: var(--rule); } line.base, line.notch { stroke: var(--faint); }
polyline { fill: none; } .line { stroke-width: 2; } .line.thin { stroke-width: 1.2; }
.line.s0 { stroke: var(--c0); } .line.s1 { stroke: var(--c1); } .fill.s0 { fill: var(--c0); } .fill.s1 { fill: var(--c1); }
.line.floor { stroke: var(--faint); stroke-dasharray: 4 3; stroke-width: 1; }`
