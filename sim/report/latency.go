package report

import (
	"fmt"
	"html/template"
	"strconv"

	"murmuration/sim"
)

func ms(v float64) string { return number(v) + " ms" }

// short writes milliseconds for an axis.
func short(v float64) string {
	if v >= 1000 {
		return number(v/1000) + " s"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// cdf draws which share of the chunks was complete after which time.
func (p *Page) cdf() template.HTML {
	end := 0.0
	for _, s := range p.Report.Systems {
		end = max(end, s.Latency.Max)
	}
	pl := newPlot(plotHeight, scale{from: 20, to: max(top(end), 100), log: true}, scale{from: 0, to: 1})
	pl.axes("milliseconds since the origin published", "share of chunks complete", short, percent)
	late := float64(p.Scenario.Late.Milliseconds())
	pl.rule(late, "lost when later")
	drawn := false
	for i, d := range p.Report.Details {
		if d == nil {
			continue
		}
		total, sum := d.Missing, 0
		for _, n := range d.Latency {
			total += n
		}
		if total == 0 {
			continue
		}
		var line []point
		for bin, n := range d.Latency {
			sum += n
			if bin < len(d.Latency)-1 {
				line = append(line, point{float64(bin+1) * d.BinMS, float64(sum) / float64(total)})
			}
		}
		pl.line(stroke(i), line)
		drawn = true
	}
	if !drawn { // the engine gives quantiles only
		for i, s := range p.Report.Systems {
			q := s.Latency
			line := []point{{q.P5, 0.05}, {q.P50, 0.5}, {q.P95, 0.95}, {q.P99, 0.99}, {q.Max, 1}}
			pl.line(stroke(i), line)
			for _, at := range line {
				pl.dot(fill(i), at, 3, percent(at.y)+" within "+ms(at.x))
			}
		}
	}
	return pl.svg("share of chunks complete by time since they were published")
}

// histogram draws how many chunks took how long, a panel for each system on one scale of time.
func (p *Page) histogram() template.HTML {
	end := 0.0
	for _, s := range p.Report.Systems {
		end = max(end, s.Latency.P99)
	}
	end = min(top(end*1.1), sim.BinMS*sim.Bins)
	step := max(sim.BinMS, round(end/60))
	var out template.HTML
	for i, d := range p.Report.Details {
		if d == nil {
			continue
		}
		bins, total, most := make([]float64, int(end/step)+1), 0.0, 0.0
		for bin, n := range d.Latency {
			if at := int(float64(bin) * d.BinMS / step); at < len(bins) {
				bins[at] += float64(n)
			}
			total += float64(n)
		}
		if total == 0 {
			continue
		}
		for j := range bins {
			bins[j] /= total
			most = max(most, bins[j])
		}
		height := 150.0
		if len(p.Report.Systems) == 1 {
			height = plotHeight
		}
		pl := newPlot(height, scale{from: 0, to: end}, scale{from: 0, to: top(most)})
		pl.axes("milliseconds", p.Report.Systems[i].Name+": share of chunks", short, percent)
		for j, share := range bins {
			from := float64(j) * step
			if from < end {
				pl.bar(fill(i), from, min(from+step, end), share, fmt.Sprintf("%s to %s: %s of the chunks", ms(from), ms(from+step), percent(share)))
			}
		}
		out += pl.svg("chunks of " + p.Report.Systems[i].Name + " by latency")
	}
	return out
}

// byHop draws the latency of chunks that came over so many peers: a dot for the median, a line up to the 99th percentile.
func (p *Page) byHop() template.HTML {
	hops, end := 0, 0.0
	for _, s := range p.Report.Systems {
		for _, h := range s.ByHops {
			hops, end = max(hops, h.Hops), max(end, h.P99)
		}
	}
	if hops == 0 {
		return ""
	}
	pl := newPlot(plotHeight, scale{from: 0.5, to: float64(hops) + 0.5}, scale{from: 0, to: top(end)})
	pl.axes("hops from the origin", "ms: median, and up to p99", whole, short)
	for i, s := range p.Report.Systems {
		for _, h := range s.ByHops {
			x := float64(h.Hops) + 0.16*float64(2*i-len(p.Report.Systems)+1)
			pl.line(stroke(i), []point{{x, h.P50}, {x, h.P99}})
			pl.dot(fill(i), point{x, h.P50}, 4.5, fmt.Sprintf("%s, %d hops: median %s, p99 %s, %d chunks", s.Name, h.Hops, ms(h.P50), ms(h.P99), h.Chunks))
		}
	}
	return pl.svg("latency by number of hops")
}

// whole writes whole numbers only.
func whole(v float64) string {
	if v != float64(int(v)) {
		return ""
	}
	return strconv.Itoa(int(v))
}

// series draws latency over time.
func (p *Page) series() template.HTML {
	end := 0.0
	for _, s := range p.Report.Systems {
		for _, q := range s.Series {
			end = max(end, q.P99)
		}
	}
	pl := newPlot(plotHeight, p.seconds(), scale{from: 0, to: top(end)})
	pl.axes("seconds since the warm-up", "ms: median, and thin p99", short, short)
	for i, s := range p.Report.Systems {
		var mid, high []point
		for _, q := range s.Series {
			mid = append(mid, point{float64(q.Second), q.P50})
			high = append(high, point{float64(q.Second), q.P99})
		}
		pl.line(stroke(i)+" thin", high)
		pl.line(stroke(i), mid)
	}
	return pl.svg("median and 99th percentile of latency by second")
}

func (p *Page) seconds() scale {
	return scale{from: 0, to: max(p.Report.Seconds-1, 1)}
}

// losses draws what was lost over time, where something was.
func (p *Page) losses() template.HTML {
	end := 0.0
	for _, s := range p.Report.Systems {
		for _, q := range s.Series {
			end = max(end, q.Lost)
		}
	}
	if end == 0 {
		return ""
	}
	pl := newPlot(150, p.seconds(), scale{from: 0, to: min(top(end), 1)})
	pl.axes("seconds since the warm-up", "share of chunks lost", short, percent)
	for i, s := range p.Report.Systems {
		var line []point
		for _, q := range s.Series {
			line = append(line, point{float64(q.Second), q.Lost})
		}
		pl.line(stroke(i), line)
	}
	return pl.svg("share of chunks lost by second")
}

// crowd draws how many peers there were over time, where that changed.
func (p *Page) crowd() template.HTML {
	low, high := 1<<30, 0
	for _, s := range p.Report.Systems {
		for _, q := range s.Series {
			if q.Peers > 0 {
				low, high = min(low, q.Peers), max(high, q.Peers)
			}
		}
	}
	if high <= low+low/20 {
		return ""
	}
	pl := newPlot(150, p.seconds(), scale{from: 0, to: top(float64(high))})
	pl.axes("seconds since the warm-up", "peers that count", short, short)
	var line []point
	for _, q := range p.Report.Systems[0].Series {
		if q.Peers > 0 {
			line = append(line, point{float64(q.Second), float64(q.Peers)})
		}
	}
	pl.line("line plain", line)
	return pl.svg("peers by second")
}
