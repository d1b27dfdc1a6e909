package sim

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

//go:embed cities.csv
var citiesCSV string

// City is a place on the globe.
type City struct {
	Name     string
	Lat, Lon float64
	People   float64 // thousands
}

// Cities returns the built-in cities.
func Cities() []City {
	var out []City
	for line := range strings.Lines(citiesCSV) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) != 4 {
			continue
		}
		lat, _ := strconv.ParseFloat(f[1], 64)
		lon, _ := strconv.ParseFloat(f[2], 64)
		people, _ := strconv.ParseFloat(f[3], 64)
		out = append(out, City{f[0], lat, lon, people})
	}
	return out
}

// Distance returns the length of the great circle between two cities in kilometres.
func Distance(a, b City) float64 {
	rad := math.Pi / 180
	x := math.Sin((b.Lat - a.Lat) * rad / 2)
	y := math.Sin((b.Lon - a.Lon) * rad / 2)
	h := x*x + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*y*y
	return 2 * 6371 * math.Asin(math.Sqrt(min(h, 1)))
}

// RoundTrip returns the round trip that the built-in model expects between servers that are km apart, in milliseconds.
// It follows the medians by distance of the measurements between 234 cities; see TestRoundTripFits.
func RoundTrip(km float64) float64 { return 11 + km*0.0183 }

func newPlacer(p *Place) (placer, error) {
	switch {
	case p.Plane != nil:
		return &plane{Plane: *p.Plane}, nil
	case p.Matrix != "":
		return readMatrix(p.Matrix)
	}
	cities := Cities()
	g := &globe{n: len(cities), at: cities}
	for _, c := range cities {
		g.weight(c.People)
	}
	for _, a := range cities {
		for _, b := range cities {
			g.owd = append(g.owd, float32(RoundTrip(Distance(a, b))/2))
		}
	}
	return g, nil
}

// plane places peers on a rectangle of delays.
type plane struct {
	Plane
	x, y []float64
}

func (p *plane) add(rng *rand.Rand) int {
	p.x = append(p.x, rng.Float64()*float64(p.Width))
	p.y = append(p.y, rng.Float64()*float64(p.Height))
	return len(p.x) - 1
}

func (p *plane) where(place int) (x, y float64) { return p.x[place] / 1e6, p.y[place] / 1e6 }

func (p *plane) delay(a, b int) time.Duration {
	return p.Base + time.Duration(math.Hypot(p.x[a]-p.x[b], p.y[a]-p.y[b]))
}

func (p *plane) least() time.Duration { return p.Base }

// globe places peers in cities, by the number of people there.
type globe struct {
	n   int
	sum []float64
	owd []float32 // n by n, milliseconds one way
	at  []City    // empty for a matrix
}

func (g *globe) where(place int) (x, y float64) {
	if len(g.at) == 0 {
		return 0, 0
	}
	return g.at[place].Lon, g.at[place].Lat
}

func (g *globe) weight(people float64) {
	last := 0.0
	if len(g.sum) > 0 {
		last = g.sum[len(g.sum)-1]
	}
	g.sum = append(g.sum, last+max(people, 1))
}

func (g *globe) add(rng *rand.Rand) int {
	return min(sort.SearchFloat64s(g.sum, rng.Float64()*g.sum[g.n-1]), g.n-1)
}

func (g *globe) delay(a, b int) time.Duration {
	return time.Duration(float64(g.owd[a*g.n+b]) * 1e6)
}

func (g *globe) least() time.Duration { return time.Duration(float64(slices.Min(g.owd)) * 1e6) }

// readMatrix reads round trips in milliseconds between cities: a header row and a first column of names. Peers are
// spread evenly over the cities.
func readMatrix(path string) (*globe, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(io.LimitReader(f, 64<<20)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	g := &globe{n: len(rows) - 1}
	if g.n < 1 {
		return nil, fmt.Errorf("%s: no cities", path)
	}
	for _, row := range rows[1:] {
		g.weight(1)
		for _, cell := range row[1:] {
			ms, err := strconv.ParseFloat(cell, 64)
			if err != nil || ms < 0 {
				return nil, fmt.Errorf("%s: %q is not a round trip in milliseconds", path, cell)
			}
			g.owd = append(g.owd, float32(max(ms, 0.5)/2))
		}
	}
	if len(g.owd) != g.n*g.n {
		return nil, fmt.Errorf("%s: not a square matrix", path)
	}
	return g, nil
}
