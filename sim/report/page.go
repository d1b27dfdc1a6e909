package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"gopkg.in/yaml.v3"

	"murmuration/sim"
	"murmuration/sim/trial"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"ms": ms, "number": number, "percent": percent,
}).Parse(pageHTML))

// Page is what an HTML report is made of.
type Page struct {
	Report   *trial.Report
	Scenario *sim.Scenario
	Command  string // that repeats the run
}

// panel is one plot with what it shows.
type panel struct {
	Title, Text string
	Plot        template.HTML
}

// Write writes the page.
func Write(w io.Writer, p Page) error {
	scenario, err := parameters(p.Scenario)
	if err != nil {
		return err
	}
	return page.Execute(w, map[string]any{
		"CSS": template.CSS(pageCSS), "JS": template.JS(pageJS),
		"Headline": headline(p.Report), "Report": p.Report, "About": p.Scenario.About, "Command": p.Command,
		"Figures": figures(p.Report), "Panels": p.panels(), "Maps": p.maps(), "Scenario": scenario, "Two": len(p.Report.Systems) > 1,
	})
}

// panels returns the plots that there is something to show in.
func (p *Page) panels() []panel {
	if len(p.Report.Systems) == 0 {
		return nil
	}
	all := []panel{
		{Title: "Latency", Text: "How long after its publication a chunk was complete, over all chunks and peers.", Plot: p.cdf()},
		{Title: "Latency, how often", Text: "The same as a histogram.", Plot: p.histogram()},
		{Title: "Latency over time", Text: "Median and 99th percentile of the chunks published in each second.", Plot: p.series()},
		{Title: "Latency by hop", Text: "Chunks by the number of peers they came through, counted by who completed them.", Plot: p.byHop()},
		{Title: "Stretch", Text: "Each peer's median latency over its direct delay from the origin. The line is the direct path.", Plot: p.stretches()},
		{Title: "Lost over time", Text: "Later than the scenario's limit, or never.", Plot: p.losses()},
		{Title: "Audience", Text: "Peers that had been there long enough to count.", Plot: p.crowd()},
		{Title: "Upload", Text: "What the peers gave, from the least to the most, in copies of the stream.", Plot: p.uploads()},
		{Title: "Overhead", Text: "What a peer received for each byte of media: the media, what else came on streams, and headers.", Plot: p.overheads()},
		{Title: "Start-up", Text: "From a peer's start to its first independent chunk.", Plot: p.startups()},
		{Title: "Repair", Text: "What had to be asked for since it did not come by itself, and (pale) what came twice.", Plot: p.repairs()},
		{Title: "Stalls", Text: "How often a player would have stopped that starts with the first chunk and a buffer.", Plot: p.stalls()},
	}
	return shown(all)
}

// maps returns the overlay of each system.
func (p *Page) maps() []panel {
	var all []panel
	for i, d := range p.Report.Details {
		text := "Where peers are by their delays. A line bends from who sends to who receives; the thicker, the more. Point at a peer to see its own."
		if d != nil && d.Globe {
			text = "Where peers are on the globe, 60° south to 75° north. A line bends from who sends to who receives; the thicker, the more. Point at a peer to see its own."
		}
		all = append(all, panel{Title: "Who feeds whom: " + p.Report.Systems[i].Name, Text: text, Plot: overlay(i, d)})
	}
	return shown(all)
}

// shown leaves out empty panels.
func shown(all []panel) []panel {
	out := all[:0]
	for _, a := range all {
		if a.Plot != "" {
			out = append(out, a)
		}
	}
	return out
}

// parameters writes a scenario as it can be given to murmur sim.
func parameters(s *sim.Scenario) (string, error) {
	b, err := yaml.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("scenario: %w", err)
	}
	return string(b), nil
}
