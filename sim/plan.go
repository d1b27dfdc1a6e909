package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Plan is a scenario with the dice rolled: every engine that runs the same plan runs the same broadcast.
type Plan struct {
	*Scenario
	Seed   uint64
	Nodes  []Node // Nodes[0] is the origin; replacements of churned peers come after the first Peers
	Chunks []int  // bytes of each chunk's block; chunk i is published at i*Track.Chunk and independent if i%Group == 0
	End    time.Duration
	Cuts   []Cut
	place  placer
}

// Node is one peer.
type Node struct {
	Class    *Class
	Up       float64       // bits a second
	LastMile time.Duration // one way
	Join     time.Duration
	Leave    time.Duration // after End: never
	Graceful bool
	Place    int // where it is, for Delay
}

// Cut is a partition: the peers Inside cannot reach the others from At on for For.
type Cut struct {
	At, For time.Duration
	Inside  []bool // by node
}

// placer knows the one-way delay between places, without last miles.
type placer interface {
	add(rng *rand.Rand) int
	delay(a, b int) time.Duration
	least() time.Duration // no two places are nearer
	where(place int) (x, y float64)
}

// NewPlan rolls the dice of s with a seed.
func NewPlan(s *Scenario, seed uint64) (*Plan, error) {
	rng := rand.New(rand.NewPCG(seed, 0x6d75726d))
	place, err := newPlacer(&s.Place)
	if err != nil {
		return nil, err
	}
	p := &Plan{Scenario: s, Seed: seed, End: s.Warmup + s.Duration + s.Late + time.Second, place: place}
	p.Nodes = append(p.Nodes, p.node(rng, &s.Origin, 0))
	crowd := 0
	if s.Join.Crowd != nil {
		crowd = s.Join.Crowd.Peers
	}
	classes := p.deal(rng, s.Peers)
	for i := range s.Peers {
		at := time.Duration(rng.Float64() * float64(s.Join.Over))
		if i >= s.Peers-crowd {
			at = s.Warmup + s.Join.Crowd.At + time.Duration(rng.Float64()*float64(s.Join.Crowd.Over))
		}
		p.Nodes = append(p.Nodes, p.node(rng, classes[i], at))
	}
	p.churn(rng)
	p.faults(rng)
	p.chunks(rng)
	return p, nil
}

// Delay returns the one-way delay between two nodes, last miles included.
func (p *Plan) Delay(a, b int) time.Duration {
	x, y := &p.Nodes[a], &p.Nodes[b]
	return p.place.delay(x.Place, y.Place) + x.LastMile + y.LastMile
}

// Least returns a bound that no Delay between two nodes is below.
func (p *Plan) Least() time.Duration {
	near, next := time.Duration(1)<<62, time.Duration(1)<<62
	for i := range p.Nodes {
		switch d := p.Nodes[i].LastMile; {
		case d < near:
			near, next = d, near
		case d < next:
			next = d
		}
	}
	return p.place.least() + near + next
}

// Where returns where a node is: on a plane in milliseconds, in the built-in cities as longitude and latitude. Of
// the cities of a matrix nothing is known; they are at 0, 0.
func (p *Plan) Where(node int) (x, y float64) { return p.place.where(p.Nodes[node].Place) }

// deal hands out classes by their shares, exactly but for rounding, in random order.
func (p *Plan) deal(rng *rand.Rand, n int) []*Class {
	total := 0.0
	for i := range p.Classes {
		total += p.Classes[i].Share
	}
	out, sum := make([]*Class, 0, n), 0.0
	for i := range p.Classes {
		sum += p.Classes[i].Share
		for len(out) < int(math.Round(sum/total*float64(n))) {
			out = append(out, &p.Classes[i])
		}
	}
	rng.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (p *Plan) node(rng *rand.Rand, c *Class, join time.Duration) Node {
	n := Node{Class: c, Up: float64(c.Up), Join: join, Leave: p.End + 1, Place: p.place.add(rng)}
	if m := c.UpSpread; m[1] != 0 {
		z := rng.NormFloat64()
		side := m[2] / m[1]
		if z < 0 {
			side = m[1] / m[0]
		}
		n.Up = float64(m[1]) * math.Exp(z*math.Log(float64(side))/1.2816)
		n.Up = min(max(n.Up, 2e6), 1e9)
	}
	n.LastMile = c.LastMile[0] + time.Duration(rng.Float64()*float64(c.LastMile[1]-c.LastMile[0]))
	return n
}

// churn makes peers leave and others of the same class come in their place.
func (p *Plan) churn(rng *rand.Rand) {
	if p.Churn.Share <= 0 || p.Churn.Every <= 0 {
		return
	}
	gap := float64(p.Churn.Every) / (p.Churn.Share * float64(p.Peers))
	for t := float64(p.Warmup); t < float64(p.End); t += gap * rng.ExpFloat64() {
		i := 1 + rng.IntN(len(p.Nodes)-1)
		for p.Nodes[i].Leave < p.End || p.Nodes[i].Join > time.Duration(t) {
			i = 1 + rng.IntN(len(p.Nodes)-1)
		}
		p.Nodes[i].Leave, p.Nodes[i].Graceful = time.Duration(t), p.Churn.Graceful
		p.Nodes = append(p.Nodes, p.node(rng, p.Nodes[i].Class, time.Duration(t)))
	}
}

func (p *Plan) faults(rng *rand.Rand) {
	for _, f := range p.Faults {
		centre := 1 + rng.IntN(len(p.Nodes)-1)
		order := make([]int, 0, len(p.Nodes))
		for i := range p.Nodes[1:] {
			order = append(order, i+1)
		}
		slices.SortStableFunc(order, func(a, b int) int { return int(p.Delay(centre, a) - p.Delay(centre, b)) })
		order = order[:int(f.Share*float64(len(order)))]
		cut := Cut{At: p.Warmup + f.At, For: f.For, Inside: make([]bool, len(p.Nodes))}
		for _, i := range order {
			cut.Inside[i] = true
			if f.Kind == "fail" {
				p.Nodes[i].Leave = min(p.Nodes[i].Leave, cut.At)
			}
		}
		if f.Kind == "part" {
			p.Cuts = append(p.Cuts, cut)
		}
	}
}

// chunks draws the sizes: an independent chunk is Keyframe times the average, the others share the rest and vary.
func (p *Plan) chunks(rng *rand.Rand) {
	t := p.Track
	average := float64(t.Bitrate) / 8 * t.Chunk.Seconds()
	rest := average * (float64(t.Group) - t.Keyframe) / float64(t.Group-1)
	for at := time.Duration(0); at < p.Warmup+p.Duration; at += t.Chunk {
		size := average * t.Keyframe
		if len(p.Chunks)%t.Group != 0 {
			size = rest * math.Exp(rng.NormFloat64()*t.Vary-t.Vary*t.Vary/2)
		} else {
			size *= math.Exp(rng.NormFloat64()*t.Vary/2 - t.Vary*t.Vary/8)
		}
		p.Chunks = append(p.Chunks, min(max(int(size), 2000), 1<<20-1))
	}
}
