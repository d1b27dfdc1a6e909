package stack

import (
	"math"
	"slices"
	"time"

	"murmuration/sim"
)

// feedLeast is the share of a node's bytes from which on a neighbour is drawn as feeding it.
const feedLeast = 0.05

// tallying sums up a run while its ledger is read.
type tallying struct {
	r      *run
	result sim.Result
	detail *sim.Detail

	all, startup, floor, stretch, shares []float64
	hops                                 map[int][]float64
	series                               [][]float64
	peers, lost                          []int
	classes                              []classSum
	due, missed                          int
	media                                int64
	sum                                  counts
	published                            int64
	present                              float64       // seconds that viewers were there
	frames                               uint64        // control frames that they sent
	until                                time.Duration // end of the measurement
	players                              sim.Players
}

type classSum struct {
	latency          []float64
	peers, due, lost int
	copies           float64
}

// result sums up what was written down. Chunks count that were published while the measurement went on, at peers that
// had settled before and stayed long enough to get them.
func (r *run) result() (sim.Result, *sim.Detail) {
	p := r.plan
	seconds := int(p.Duration.Seconds()) + 1
	s := &tallying{
		r: r, result: sim.Result{Name: r.cfg.System}, detail: &sim.Detail{Seed: p.Seed},
		hops: map[int][]float64{}, series: make([][]float64, seconds), peers: make([]int, seconds), lost: make([]int, seconds),
		classes: make([]classSum, len(p.Classes)),
	}
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	first, last := s.measured()
	s.until = max(min(p.Warmup+p.Duration, time.Duration(r.done.Load())), p.Warmup)
	for seq, size := range p.Chunks {
		if at := time.Duration(seq) * p.Track.Chunk; at >= p.Warmup && at < s.until {
			s.published += int64(size)
		}
	}
	hops := make([][]int, last-first)
	for seq := first; seq < last; seq++ {
		hops[seq-first] = r.ledger.hops(seq)
	}
	for node := range p.Nodes {
		s.node(node, first, last, hops)
	}
	s.finish()
	return s.result, s.detail
}

// measured returns the first chunk of the measurement, and the one after its last.
func (s *tallying) measured() (first, last int) {
	p := s.r.plan
	first = int((p.Warmup + p.Track.Chunk - 1) / p.Track.Chunk)
	until := min(p.Warmup+p.Duration, time.Duration(s.r.done.Load())-p.Late) // of a run that was stopped, what is complete
	last = min(int(max(until, 0)/p.Track.Chunk), len(p.Chunks))
	return min(first, last), last
}

// node adds one node's page.
func (s *tallying) node(id, first, last int, hops [][]int) {
	p, n, page := s.r.plan, &s.r.plan.Nodes[id], &s.r.ledger.nodes[id]
	x, y, onGlobe := p.Position(id)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	dot := sim.Dot{X: x, Y: y, Class: n.Class.Name, Present: n.Join < p.End && n.Leave > p.End, Direct: ms(p.Delay(0, id))}
	s.detail.Globe = onGlobe
	spent := page.after.minus(page.before.tally)
	here := max(0, min(n.Leave, s.until)-max(n.Join, p.Warmup)).Seconds()
	whole := (s.until - p.Warmup).Seconds()
	if s.published > 0 && here > 0 {
		dot.Copies = float64(spent.out) / (float64(s.published) * here / whole)
	}
	if id == 0 {
		dot.Direct = 0
		if s.published > 0 {
			s.result.Copies = float64(spent.out) / float64(s.published)
		}
		s.detail.Peers = append(s.detail.Peers, dot)
		return
	}
	class := 0
	for i := range p.Classes {
		if &p.Classes[i] == n.Class {
			class = i
		}
	}
	s.present += here
	s.frames += spent.trees.Frames
	honest := n.Class.Behaviour == sim.Honest || n.Class.Behaviour == sim.Free
	var own, late []float64
	depth, lost := 0.0, 0
	if honest {
		for seq := first; seq < last; seq++ {
			at := time.Duration(seq) * p.Track.Chunk
			if at < n.Join+p.Settle || at+p.Late > n.Leave {
				continue
			}
			l := -1.0
			if page.latency != nil && page.latency[seq] > 0 {
				l = float64(page.latency[seq]) / 1e3
			}
			late = append(late, l)
			second := int((at - p.Warmup) / time.Second)
			if (at-p.Warmup)%time.Second == 0 {
				s.peers[second]++
			}
			if l < 0 || l > ms(p.Late) {
				lost++
				s.lost[second]++
			}
			if l < 0 {
				s.detail.Missing++
				continue
			}
			own = append(own, l)
			s.series[second] = append(s.series[second], l)
			s.detail.Bin(l)
			if h := hops[seq-first][id]; h > 0 {
				s.hops[h] = append(s.hops[h], l)
				depth += float64(h)
			}
		}
		if page.started && (p.Join.Crowd == nil || n.Join >= p.Warmup) {
			s.startup = append(s.startup, ms(page.first-n.Join))
		}
	}
	s.players.Watch(late, ms(p.Track.Chunk))
	c := &s.classes[class]
	c.due, c.lost = c.due+len(late), c.lost+lost
	c.latency = append(c.latency, own...)
	s.due, s.missed = s.due+len(late), s.missed+lost
	s.all = append(s.all, own...)
	if here > 0 {
		c.peers, c.copies = c.peers+1, c.copies+dot.Copies
		s.shares = append(s.shares, dot.Copies)
		fragment := float64(p.Track.Bitrate) * p.Track.Chunk.Seconds() / 16 // bits, of the 16 that a chunk has on average
		s.floor = append(s.floor, dot.Direct+1e3*fragment/p.Nodes[0].Up+1e3*fragment/float64(n.Class.Down))
	}
	if honest && here > 0 {
		s.sum.in, s.sum.out = s.sum.in+spent.in, s.sum.out+spent.out
		s.sum.chunks, s.sum.fetched = s.sum.chunks+spent.chunks, s.sum.fetched+spent.fetched
		s.sum.duplicates += spent.duplicates
		s.sum.trees = add(s.sum.trees, spent.trees, 1)
		s.sum.wire += page.after.wire - page.before.wire
		for seq, us := range page.latency {
			at := time.Duration(seq)*p.Track.Chunk + time.Duration(us)*time.Microsecond
			if us > 0 && at >= p.Warmup && at < s.until {
				s.media += int64(p.Chunks[seq])
			}
		}
		s.feeds(id, page, dot.Present)
	}
	s.result.Cost.Events += uint64(page.after.packets)
	if len(own) > 0 {
		q := sim.QuantilesOf(own)
		dot.P50, dot.P99, dot.Lost, dot.Hops = q.P50, q.P99, float64(lost)/float64(len(late)), depth/float64(len(own))
		s.stretch = append(s.stretch, q.P50/dot.Direct)
	}
	s.detail.Peers = append(s.detail.Peers, dot)
}

// feeds adds the overlay's links into a node.
func (s *tallying) feeds(id int, page *record, present bool) {
	total := float64(page.after.wire - page.before.wire)
	if !present || total <= 0 {
		return
	}
	for from := range page.after.by {
		b := page.after.by[from]
		if page.before.by != nil {
			b -= page.before.by[from]
		}
		if share := float64(b) / total; share >= feedLeast {
			s.detail.Feeds = append(s.detail.Feeds, sim.Feed{From: from, To: id, Share: math.Round(share*1000) / 1000})
		}
	}
}

func ratio[T int | int64 | uint64 | float64](a, b T) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// finish makes figures of the sums.
func (s *tallying) finish() {
	r := &s.result
	r.Latency, r.Startup = sim.QuantilesOf(s.all), sim.QuantilesOf(s.startup)
	s.detail.Startup = slices.Clone(s.startup)
	r.Floor, r.Stretch, r.Shares = sim.QuantilesOf(s.floor), sim.QuantilesOf(s.stretch), sim.QuantilesOf(s.shares)
	r.Lost = ratio(s.missed, s.due)
	r.Overhead, r.Wire = ratio(s.sum.in, s.media), ratio(s.sum.wire, s.media)
	r.Repair = ratio(s.sum.fetched, s.sum.chunks)
	r.Duplicate = ratio(s.sum.duplicates, s.sum.duplicates+s.sum.chunks)
	if t := &s.sum.trees; t.Fragments > 0 {
		r.Repair = ratio(t.Repaired, t.Fragments)
		r.Duplicate = ratio(t.Duplicates, t.Fragments)
		r.Control = ratio(float64(s.frames), s.present/s.r.plan.Track.Chunk.Seconds())
		r.Changes, r.FeedsLost = ratio(float64(t.Changes)*60, s.present), ratio(float64(t.Lost)*60, s.present)
	}
	r.Waiting = s.players.Stalls()
	for h := 1; h <= len(s.r.plan.Nodes); h++ {
		if x := s.hops[h]; len(x) > 0 {
			q := sim.QuantilesOf(x)
			r.ByHops = append(r.ByHops, sim.Hop{Hops: h, Chunks: len(x), P50: q.P50, P99: q.P99})
		}
	}
	for i := range s.classes {
		c := &s.classes[i]
		r.ByClass = append(r.ByClass, sim.ClassResult{
			Name: s.r.plan.Classes[i].Name, Peers: c.peers, Latency: sim.QuantilesOf(c.latency),
			Lost: ratio(c.lost, c.due), Copies: ratio(c.copies, float64(c.peers)),
		})
	}
	for i := range s.series {
		if len(s.series[i]) == 0 && s.lost[i] == 0 {
			continue
		}
		never := max(s.peers[i]*int(time.Second/s.r.plan.Track.Chunk)-len(s.series[i]), 0)
		q := sim.QuantilesOf(s.series[i])
		r.Series = append(r.Series, sim.Point{
			Second: i, Peers: s.peers[i], P50: q.P50, P99: q.P99, Lost: ratio(s.lost[i], len(s.series[i])+never),
		})
	}
}
