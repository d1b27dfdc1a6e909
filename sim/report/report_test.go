package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"murmuration/sim"
	"murmuration/sim/trial"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is a trial of two systems with every kind of figure.
func sample(t *testing.T) Page {
	t.Helper()
	s, err := sim.Load("venue50")
	if err != nil {
		t.Fatal(err)
	}
	lost := 0.0
	rep := &trial.Report{
		Report: sim.Report{
			Scenario: "venue50", Engine: "stack", Seeds: 3, Peers: 2, Seconds: 3,
			Target: sim.Target{P50: 190, P99: 280, Lost: &lost, Overhead: 1.05},
		},
		Dissemination: map[string]string{"murmuration": "<striped>", "gossipsub": "whole messages"}, Note: "a note",
	}
	for i, name := range []string{"murmuration", "gossipsub"} {
		f := float64(i + 1)
		rep.Systems = append(rep.Systems, sim.Result{
			Name: name, Latency: sim.Quantiles{P5: 50 * f, P50: 150 * f, P95: 200 * f, P99: 250 * f, Max: 400 * f},
			Startup: sim.Quantiles{P50: 500 * f, P95: 900 * f, Max: 900 * f}, Lost: 0.001 * float64(i), Overhead: 1.03 * f, Wire: 1.1 * f, Copies: 8 * f,
			ByHops: []sim.Hop{{Hops: 1, Chunks: 10, P50: 100, P99: 200}, {Hops: 2, Chunks: 12, P50: 150, P99: 250}},
			Floor:  sim.Quantiles{P50: 40}, Stretch: sim.Quantiles{P50: 3 * f}, Shares: sim.Quantiles{P50: 0.9, Max: 3},
			ByClass: []sim.ClassResult{{Name: "home", Peers: 2, Copies: 1}},
			Series:  []sim.Point{{Second: 0, Peers: 1, P50: 140, P99: 240}, {Second: 1, Peers: 2, P50: 150, P99: 250, Lost: 0.01}},
			Waiting: sim.Waiting{BufferMS: sim.Buffers(), PerHour: []float64{100, 20, 3, 0, 0, 0}},
		})
		d := &sim.Detail{Startup: []float64{400, 900}, Globe: i == 1}
		for ms := 60.0; ms < 400*f; ms += 7 {
			d.Bin(ms)
		}
		d.Peers = []sim.Dot{{Class: "origin", Present: true}, {X: 10, Y: 20, Class: "home", Present: true, Direct: 30, P50: 120, Copies: 1.5}, {X: 70, Y: 50, Class: "home", Present: true, Direct: 60, P50: 180}}
		d.Feeds = []sim.Feed{{From: 0, To: 1, Share: 1}, {From: 1, To: 2, Share: 0.6}, {From: 0, To: 2, Share: 0.4}}
		rep.Details = append(rep.Details, d)
	}
	return Page{Report: rep, Scenario: s, Command: "murmur sim venue50 --against gossipsub"}
}

func render(t *testing.T, p Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPage: the page holds every plot, loads nothing, and escapes what it is given.
func TestPage(t *testing.T) {
	text := render(t, sample(t))
	for _, title := range []string{
		"Latency", "Latency, how often", "Latency over time", "Latency by hop", "Stretch", "Lost over time", "Audience", "Upload",
		"Overhead", "Start-up", "Repair", "Stalls", "Who feeds whom: murmuration", "Who feeds whom: gossipsub", "All figures", "By class of peers",
	} {
		if !strings.Contains(text, "<h2>"+title+"</h2>") {
			t.Errorf("no section %q", title)
		}
	}
	for _, s := range []string{"murmur sim venue50 --against gossipsub", "width=device-width", "prefers-color-scheme: dark", "a note", "&lt;striped&gt;", "peers: 50", "<td>2</td><td>–</td><td>–</td><td>–</td><td>1</td>"} {
		if !strings.Contains(text, s) {
			t.Errorf("the page lacks %q", s)
		}
	}
	if loads := regexp.MustCompile(`(?i)(src|href)=|@import|url\(|https?://`).FindString(text); loads != "" {
		t.Errorf("the page loads something: %s", loads)
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "ZgotmplZ") {
		t.Error("the page holds what is no number")
	}
	drawings := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1)
	if len(drawings) < 14 {
		t.Errorf("%d drawings", len(drawings))
	}
	for _, d := range drawings {
		for dec := xml.NewDecoder(strings.NewReader(d)); ; {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("a drawing is not well-formed: %v\n%.300s", err, d)
			}
		}
	}
	if n := strings.Count(text, `class="feed`); n != 6 {
		t.Errorf("%d feeds drawn", n)
	}
}

// TestPageOfLittle: engines that give no details, runs that were stopped at once, and no peers make a page too.
func TestPageOfLittle(t *testing.T) {
	p := sample(t)
	p.Report.Details = []*sim.Detail{nil, {}}
	if text := render(t, p); !strings.Contains(text, "<h2>Latency</h2>") {
		t.Error("no latency without details")
	}
	p.Report.Systems[0] = sim.Result{Name: "murmuration"}
	render(t, p)
	p.Report.Systems, p.Report.Details, p.Report.Stopped = nil, nil, true
	if text := render(t, p); !strings.Contains(text, "Nothing was measured") || !strings.Contains(text, "Stopped") {
		t.Error("an empty page does not say so")
	}
}

// TestTable compares with a golden file.
func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := Table(&b, sample(t).Report); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "table.txt")
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the table changed (-update accepts it):\n%s", &b)
	}
}

// TestGrowth: the plot is well-formed and by itself, and the fit finds the line that points lie on.
func TestGrowth(t *testing.T) {
	var points []Audience
	for _, n := range []int{50, 500, 10_000} {
		y := 100 + 40*math.Log(float64(n))
		points = append(points, Audience{Engine: "model", Peers: n, P50: y, P99: 2 * y, Floor: 90})
	}
	if a, b := Fit(points, func(x *Audience) float64 { return x.P50 }); math.Abs(a-100) > 1e-6 || math.Abs(b-40) > 1e-6 {
		t.Errorf("fit %v + %v ln", a, b)
	}
	points = append(points, Audience{Engine: "stack", Peers: 50, P50: 150, P99: 250, Floor: 90}, Audience{Engine: "stack", Peers: 100, P50: 170, P99: 280, Floor: 90})
	var b bytes.Buffer
	if err := Growth(&b, points); err != nil {
		t.Fatal(err)
	}
	for dec := xml.NewDecoder(&b); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := Growth(io.Discard, nil); err == nil {
		t.Error("nothing was drawn without complaint")
	}
}

// TestTicks: round values, within the scale, not too many.
func TestTicks(t *testing.T) {
	for _, s := range []scale{{from: 0, to: 1}, {from: 0, to: 7300}, {from: 0, to: 1e-6}, {from: 20, to: 9000, log: true}, {from: 0, to: 0}} {
		if n := len(s.ticks(5)); n > 12 {
			t.Errorf("%+v: %d ticks", s, n)
		}
	}
}

// TestNumber writes about three digits.
func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1234.6: "1235", 99.96: "100", 12.34: "12.3", 1.05: "1.05", 6: "6", 0.5: "0.5", 0.0123: "0.012"} {
		if got := number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}
