package report

import (
	"fmt"
	"html/template"
	"slices"
)

// uploads draws what each peer gave, from the least to the most.
func (p *Page) uploads() template.HTML {
	var lines [][]float64
	end := 0.0
	for _, d := range p.Report.Details {
		var x []float64
		if d != nil {
			for _, dot := range d.Peers[min(1, len(d.Peers)):] {
				if dot.P50 > 0 {
					x = append(x, dot.Copies)
					end = max(end, dot.Copies)
				}
			}
		}
		slices.Sort(x)
		lines = append(lines, x)
	}
	if end == 0 {
		return ""
	}
	pl := newPlot(plotHeight, scale{from: 0, to: 1}, scale{from: 0, to: top(end)})
	pl.axes("share of the peers", "copies of the stream sent", percent, number)
	for i, x := range lines {
		var line []point
		for j, copies := range x {
			line = append(line, point{(float64(j) + 0.5) / float64(len(x)), copies})
		}
		pl.line(stroke(i), line)
	}
	return pl.svg("copies of the stream that each peer sent, sorted")
}

// startups draws which share of the peers had a picture after which time.
func (p *Page) startups() template.HTML {
	end := 0.0
	for _, s := range p.Report.Systems {
		end = max(end, s.Startup.Max)
	}
	if end == 0 {
		return ""
	}
	pl := newPlot(plotHeight, scale{from: 0, to: top(end)}, scale{from: 0, to: 1})
	pl.axes("milliseconds from a peer's start", "share with a first picture", short, percent)
	for i, d := range p.Report.Details {
		if d == nil {
			continue
		}
		line := []point{{0, 0}}
		for j, t := range d.Startup {
			line = append(line, point{t, float64(j) / float64(len(d.Startup))}, point{t, float64(j+1) / float64(len(d.Startup))})
		}
		pl.line(stroke(i), line)
	}
	return pl.svg("share of peers that have a first independent chunk, by time since their start")
}

// stretches draws each peer's median latency over its direct delay from the origin; nothing can be below the diagonal.
func (p *Page) stretches() template.HTML {
	var xs, ys []float64
	for _, d := range p.Report.Details {
		if d == nil {
			continue
		}
		for _, dot := range d.Peers {
			if dot.P50 > 0 {
				xs, ys = append(xs, dot.Direct), append(ys, dot.P50)
			}
		}
	}
	if len(xs) == 0 {
		return ""
	}
	endX, endY := top(slices.Max(xs)), top(slices.Max(ys))
	pl := newPlot(plotHeight, scale{from: 0, to: endX}, scale{from: 0, to: max(endY, endX)})
	pl.axes("direct one-way delay from the origin, ms", "median latency, ms", short, short)
	pl.line("line floor", []point{{0, 0}, {endX, endX}})
	pl.add(`<text class="tick" x="%.1f" y="%.1f" text-anchor="end">the direct path</text>`, pl.x.at(endX), pl.y.at(endX)-5)
	for i, d := range p.Report.Details {
		if d == nil {
			continue
		}
		for id, dot := range d.Peers {
			if dot.P50 > 0 {
				pl.dot(fill(i)+" soft", point{dot.Direct, dot.P50}, 3, fmt.Sprintf("peer %d: %s, direct %s", id, ms(dot.P50), ms(dot.Direct)))
			}
		}
	}
	return pl.svg("median latency of each peer over its direct delay")
}

// stalls draws how often players with several buffers would have stopped.
func (p *Page) stalls() template.HTML {
	end := 0.0
	var names []float64
	for _, s := range p.Report.Systems {
		if len(s.Waiting.BufferMS) > 0 {
			names = s.Waiting.BufferMS
		}
		for _, v := range s.Waiting.PerHour {
			end = max(end, v)
		}
	}
	if len(names) == 0 {
		return ""
	}
	pl := newPlot(plotHeight, scale{from: -0.5, to: float64(len(names)) - 0.5}, scale{from: 0, to: top(end)})
	pl.axes("buffer of the player, ms", "stalls in an hour", func(v float64) string {
		if i := int(v); float64(i) == v && i < len(names) {
			return short(names[i])
		}
		return ""
	}, number)
	n := float64(len(p.Report.Systems))
	for i, s := range p.Report.Systems {
		for j, v := range s.Waiting.PerHour {
			from := float64(j) - 0.36 + 0.72*float64(i)/n
			pl.bar(fill(i), from, from+0.72/n, v, fmt.Sprintf("%s, %s of buffer: %s stalls in an hour", s.Name, ms(names[j]), number(v)))
		}
	}
	return pl.svg("stalls in an hour by the player's buffer")
}

// overheads draws what a peer received for each byte of media, as bars from left to right.
func (p *Page) overheads() template.HTML {
	end := 1.0
	for _, s := range p.Report.Systems {
		end = max(end, s.Wire)
	}
	const row = 44
	pl := newPlot(float64(above+below+10+row*len(p.Report.Systems)), scale{from: 0, to: top(end)}, scale{from: 0, to: 1})
	pl.axes("bytes received for each byte of media", "", number, func(float64) string { return "" })
	for i, s := range p.Report.Systems {
		y := float64(above + row*i)
		pl.add(`<text class="name" x="%d" y="%.0f">%s: %s on streams, %s on the wire</text>`, left+2, y+10, template.HTMLEscapeString(s.Name), number(s.Overhead), number(s.Wire))
		for _, part := range []struct {
			class    string
			from, to float64
			what     string
		}{
			{fill(i), 0, min(s.Overhead, 1), "media"},
			{fill(i) + " soft", min(s.Overhead, 1), s.Overhead, "duplicates, control and envelopes"},
			{fill(i) + " faint", s.Overhead, s.Wire, "headers of QUIC, UDP and IP, acknowledgements"},
		} {
			x0, x1 := pl.x.at(part.from), pl.x.at(part.to)
			if x1 > x0 {
				pl.add(`<rect class="%s" x="%.1f" y="%.0f" width="%.1f" height="16"><title>%s: %s</title></rect>`, part.class, x0, y+16, max(x1-x0-1, 0.6), part.what, number(part.to-part.from))
			}
		}
	}
	return pl.svg("bytes received for each byte of media")
}

// repairs draws what did not go as it should: fragments that had to be asked for, and those that came twice.
func (p *Page) repairs() template.HTML {
	end := 0.005
	for _, s := range p.Report.Systems {
		end = max(end, s.Repair, s.Duplicate)
	}
	const row = 62
	pl := newPlot(float64(above+below+10+row*len(p.Report.Systems)), scale{from: 0, to: top(end)}, scale{from: 0, to: 1})
	pl.axes("share of what came", "", percent, func(float64) string { return "" })
	for i, s := range p.Report.Systems {
		y := float64(above + row*i)
		pl.add(`<text class="name" x="%d" y="%.0f">%s: %s asked for, %s twice</text>`, left+2, y+10, template.HTMLEscapeString(s.Name), percent(s.Repair), percent(s.Duplicate))
		for j, bar := range []struct {
			class, what string
			share       float64
		}{
			{fill(i), "came on request", s.Repair},
			{fill(i) + " soft", "was there already", s.Duplicate},
		} {
			pl.add(`<rect class="%s" x="%.1f" y="%.0f" width="%.1f" height="12"><title>%s: %s</title></rect>`,
				bar.class, pl.x.at(0), y+16+float64(15*j), max(pl.x.at(bar.share)-pl.x.at(0), 0.6), bar.what, percent(bar.share))
		}
	}
	return pl.svg("share of fragments that came on request, and of those that came twice")
}
