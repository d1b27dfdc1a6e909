package sim

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestBuiltinScenarios(t *testing.T) {
	for _, want := range []string{"venue50", "home200", "tight200", "tight500", "world500", "churn200", "flash", "liars", "planet10k"} {
		if !slices.Contains(Names(), want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, name := range Names() {
		s, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Name != name || s.About == "" {
			t.Errorf("%s calls itself %q: %q", name, s.Name, s.About)
		}
	}
	if _, err := Load("nowhere"); !errors.Is(err, ErrScenario) {
		t.Errorf("an unknown name gives %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no peers":      "classes: [{up: 1M}]",
		"no classes":    "peers: 3",
		"no uplink":     "peers: 3\nclasses: [{name: x}]",
		"unknown field": "peers: 3\nclasses: [{up: 1M}]\npear: 1",
		"bad rate":      "peers: 3\nclasses: [{up: fast}]",
		"bad behaviour": "peers: 3\nclasses: [{up: 1M, behaviour: odd}]",
		"bad fault":     "peers: 3\nclasses: [{up: 1M}]\nfaults: [{kind: flood}]",
		"crowd of more": "peers: 3\nclasses: [{up: 1M}]\njoin: {crowd: {peers: 4}}",

		"chunks back in time":    "peers: 3\nclasses: [{up: 1M}]\ntrack: {chunk: -1s}",
		"chunks without end":     "peers: 3\nclasses: [{up: 1M}]\ntrack: {chunk: 1ns}",
		"sizes of any kind":      "peers: 3\nclasses: [{up: 1M}]\ntrack: {vary: 100}",
		"keyframe of less":       "peers: 3\nclasses: [{up: 1M}]\ntrack: {keyframe: -1}",
		"churn without end":      "peers: 3\nclasses: [{up: 1M}]\nchurn: {share: 50, every: 1ns}",
		"churn without a time":   "peers: 3\nclasses: [{up: 1M}]\nchurn: {share: 0.5}",
		"negative neighbours":    "peers: 3\nclasses: [{up: 1M}]\nmesh: {near: -5}",
		"late before it is out":  "peers: 3\nclasses: [{up: 1M}]\nlate: -1s",
		"fault of more":          "peers: 3\nclasses: [{up: 1M}]\nfaults: [{kind: fail, share: 2}]",
		"crowd of yesterday":     "peers: 3\nclasses: [{up: 1M}]\njoin: {crowd: {peers: 1, at: -100s}}",
		"window of nothing":      "peers: 3\nclasses: [{up: 1M}]\nlinks: {window: -1}",
		"delays back in time":    "peers: 3\nclasses: [{up: 1M}]\nplace: {plane: {width: 1ms, height: 1ms, base: -5ms}}",
		"no number":              "peers: 3\nclasses: [{up: NaN}]",
		"loss of no number":      "peers: 3\nclasses: [{up: 1M, loss: .nan}]",
		"negative share":         "peers: 3\nclasses: [{up: 1M, share: -1}]",
		"rates that fall":        "peers: 3\nclasses: [{up_p10_p50_p90: [95M, 20M, 10M]}]",
		"rates without a middle": "peers: 3\nclasses: [{up: 1M, up_p10_p50_p90: [1M, 0, 3M]}]",
		"share without end":      "peers: 3\nclasses: [{up: 1M, share: .inf}]",
		"nothing measured":       "peers: 3\nduration: 1ms\nclasses: [{up: 1M}]",
		"last mile backwards":    "peers: 3\nclasses: [{up: 1M, last_mile: [20ms, 3ms]}]",
		"negative jitter":        "peers: 3\nclasses: [{up: 1M, jitter: -3ms}]",
		"origin that loses all":  "peers: 3\norigin: {loss: 0.9}\nclasses: [{up: 1M}]",
	} {
		if _, err := Parse([]byte(text)); !errors.Is(err, ErrScenario) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlan(t *testing.T) {
	s, err := Load("churn200")
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewPlan(s, 4)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := NewPlan(s, 4)
	c, _ := NewPlan(s, 5)
	if !reflect.DeepEqual(a.Chunks, b.Chunks) || a.Delay(3, 7) != b.Delay(3, 7) || len(a.Nodes) != len(b.Nodes) {
		t.Error("the same seed gives another plan")
	}
	if a.Delay(3, 7) == c.Delay(3, 7) {
		t.Error("another seed gives the same plan")
	}
	if n := len(a.Nodes) - 201; n < 80 || n > 130 { // half of 200 in a minute, and a bit before and after
		t.Errorf("%d peers were replaced", n)
	}
	total, keys := 0, 0
	for i, size := range a.Chunks {
		total += size
		if i%s.Track.Group == 0 {
			keys += size
		}
	}
	if rate := float64(total) * 8 / (float64(len(a.Chunks)) * s.Track.Chunk.Seconds()); math.Abs(rate/3e6-1) > 0.03 {
		t.Errorf("the track has %.0f bits a second", rate)
	}
	if share := float64(keys) / float64(total) * float64(s.Track.Group); share < 2.8 || share > 3.2 {
		t.Errorf("independent chunks are %.2f times the average", share)
	}
}

func TestUplinkSpread(t *testing.T) {
	s, err := Load("world500")
	if err != nil {
		t.Fatal(err)
	}
	s.Peers = 5000
	p, err := NewPlan(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	var up []float64
	poor := 0
	for _, n := range p.Nodes[1:] {
		if n.Class.Name == "poor" {
			poor++
		} else {
			up = append(up, n.Up/1e6)
		}
	}
	slices.Sort(up)
	for q, want := range map[float64]float64{0.1: 10, 0.5: 20, 0.9: 95} {
		if got := up[int(q*float64(len(up)))]; math.Abs(got/want-1) > 0.1 {
			t.Errorf("p%.0f of the uplinks is %.1f Mbit/s, want %.0f", q*100, got, want)
		}
	}
	if poor != 500 {
		t.Errorf("%d of 5000 are poor", poor)
	}
}

// TestRoundTripFits compares the built-in model with measurements between 234 cities.
func TestRoundTripFits(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "data", "rtt")
	if d := os.Getenv("MURMURATION_RTT"); d != "" {
		dir = d
	}
	read := func(name string) [][]string {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Skipf("no measured round trips here: put rtt.csv and cities.csv into %s or name their folder in MURMURATION_RTT", dir)
		}
		defer func() { _ = f.Close() }()
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows[1:]
	}
	rtt, list := read("rtt.csv"), read("cities.csv")
	var cities []City
	for _, row := range list {
		lat, _ := strconv.ParseFloat(row[1], 64)
		lon, _ := strconv.ParseFloat(row[2], 64)
		cities = append(cities, City{Name: row[0], Lat: lat, Lon: lon})
	}
	var ratios, measured, modelled []float64
	for i, row := range rtt {
		for j := range i {
			ms, err := strconv.ParseFloat(row[j+1], 64)
			if err != nil || cities[i].Name != row[0] {
				t.Fatalf("row %d: %v", i, err)
			}
			model := RoundTrip(Distance(cities[i], cities[j]))
			ratios = append(ratios, model/ms)
			measured, modelled = append(measured, ms), append(modelled, model)
		}
	}
	r, a, b := QuantilesOf(ratios), QuantilesOf(measured), QuantilesOf(modelled)
	t.Logf("model over measured p5 %.2f p50 %.2f p95 %.2f; measured p5 %.0f p50 %.0f p95 %.0f ms, modelled %.0f %.0f %.0f",
		r.P5, r.P50, r.P95, a.P5, a.P50, a.P95, b.P5, b.P50, b.P95)
	if r.P50 < 0.9 || r.P50 > 1.1 {
		t.Errorf("the model is off by %.2f in the middle", r.P50)
	}
	if math.Abs(b.P50/a.P50-1) > 0.1 || math.Abs(b.P95/a.P95-1) > 0.2 {
		t.Errorf("modelled round trips p50 %.0f p95 %.0f, measured %.0f and %.0f", b.P50, b.P95, a.P50, a.P95)
	}
}

func TestCities(t *testing.T) {
	cities := Cities()
	if len(cities) < 250 {
		t.Fatalf("only %d cities", len(cities))
	}
	at := map[string]City{}
	for _, c := range cities {
		if _, twice := at[c.Name]; twice || math.Abs(c.Lat) > 70 || math.Abs(c.Lon) > 180 || c.People < 100 {
			t.Errorf("%+v", c)
		}
		at[c.Name] = c
	}
	for _, x := range []struct {
		a, b string
		km   float64
	}{{"London", "New York", 5570}, {"Tokyo", "Sydney", 7820}, {"Paris", "Berlin", 880}} {
		if d := Distance(at[x.a], at[x.b]); math.Abs(d/x.km-1) > 0.02 {
			t.Errorf("%s to %s is %.0f km, want %.0f", x.a, x.b, d, x.km)
		}
	}
}

func TestMatrix(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.csv")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &Scenario{Peers: 20, Classes: []Class{{Up: 1e6}}, Place: Place{Matrix: file}}
	s.defaults()
	write("city,\"A\",\"B\"\n\"A\",0.0,80.0\n\"B\",80.0,0.0\n")
	p, err := NewPlan(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[time.Duration]bool{}
	for i := range p.Nodes {
		seen[p.Delay(0, i)] = true
	}
	if !seen[40*time.Millisecond] || !seen[250*time.Microsecond] || len(seen) != 2 {
		t.Errorf("delays %v", seen)
	}
	for _, bad := range []string{"", "city,A,B\nA,0,1\n", "city,A\nA,far\n", "city,A\nA,-1\n"} {
		write(bad)
		if _, err := NewPlan(s, 1); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestMedianAndMisses(t *testing.T) {
	var runs []Result
	for _, p99 := range []float64{900, 300, 500} {
		runs = append(runs, Result{Latency: Quantiles{P50: 1000 - p99, P99: p99}, Overhead: p99 / 1000})
	}
	m := Median(runs)
	if m.Latency.P99 != 500 || m.Latency.P50 != 500 || m.Overhead != 0.5 {
		t.Errorf("median %+v", m)
	}
	if m := Median(runs[1:]); m.Latency.P99 != 500 || m.Latency.P50 != 700 || m.Overhead != 0.5 {
		t.Errorf("median of two %+v", m)
	}
	none := 0.0
	got := Target{P50: 400, P99: 600, Lost: &none, Overhead: 1}.Misses(&m)
	if len(got) != 1 || got[0].What != "p50" {
		t.Errorf("misses %+v", got)
	}
}

// TestReportJSON holds the names that readers of the JSON rely on.
func TestReportJSON(t *testing.T) {
	b, err := json.Marshal(Report{Scenario: "x", Engine: "model", Seeds: 3, Systems: []Result{{Name: "murmuration"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"scenario":"x"`, `"engine":"model"`, `"seeds":3`, `"name":"murmuration"`, `"latency_ms":{`, `"p50":`, `"p95":`, `"p99":`, `"max":`, `"startup_ms":{`, `"lost":`, `"overhead":`, `"origin_copies":`} {
		if !bytes.Contains(b, []byte(name)) {
			t.Errorf("no %s in %s", name, b)
		}
	}
}
