package model

import (
	"murmuration/mesh/episub"
	"murmuration/sim"
)

// book is what is written down during a run, of any system.
type book struct {
	plan    *sim.Plan
	pages   []page
	latency [][]int32 // by node and chunk, microseconds, 0: never
	depth   [][]uint8
	start   []int64 // when the first independent chunk was complete, by node
	from    int64   // measured from here
	to      int64
	first   int        // first measured chunk
	last    int        // one past the last
	feeds   []sim.Feed // the overlay at the end of the measurement
}

// page is what a book holds of a node: what it is, and what is counted of it during the measurement.
type page struct {
	join, leave int64
	class       int  // of the plan's, or -1: the origin
	honest      bool // it is measured

	media    int64 // bytes of chunks completed
	received int64 // bytes above QUIC
	wired    int64 // bytes with packet headers
	sent     int64 // bytes of fragments, or of whole messages
	control  int64 // control messages sent
}

func newBook(p *sim.Plan) book {
	n := len(p.Nodes)
	b := book{
		plan: p, pages: make([]page, n), latency: make([][]int32, n), depth: make([][]uint8, n), start: make([]int64, n),
		from: int64(p.Warmup), to: int64(p.Warmup + p.Duration),
		first: int(p.Warmup / p.Track.Chunk), last: len(p.Chunks),
	}
	for i := range p.Nodes {
		x := &p.Nodes[i]
		b.pages[i] = page{join: int64(x.Join), leave: int64(x.Leave), class: -1}
		b.pages[i].honest = x.Class.Behaviour != sim.Mute && x.Class.Behaviour != sim.Garbage
		for k := range p.Classes {
			if x.Class == &p.Classes[k] {
				b.pages[i].class = k
			}
		}
	}
	return b
}

// counts reports whether what happens now is counted.
func (b *book) counts(now int64) bool { return now >= b.from && now < b.to }

// got notes bytes that a node received, above QUIC, in a message or a part of one.
func (b *book) got(now int64, id, size int32) {
	if b.counts(now) {
		b.pages[id].received += int64(size)
		b.pages[id].wired += int64(wire(size))
	}
}

// completed notes a chunk that is complete at a node.
func (b *book) completed(now int64, id int32, seq int, hops uint8) {
	if b.latency[id] == nil {
		b.latency[id] = make([]int32, len(b.plan.Chunks))
		b.depth[id] = make([]uint8, len(b.plan.Chunks))
	}
	published := int64(seq) * int64(b.plan.Track.Chunk)
	b.latency[id][seq] = max(int32((now-published)/1e3), 1)
	b.depth[id][seq] = hops
	if seq%b.plan.Track.Group == 0 && b.start[id] == 0 {
		b.start[id] = now
	}
	if b.counts(now) {
		b.pages[id].media += int64(b.plan.Chunks[seq])
	}
}

// curtail ends the measurement of a run that was stopped: chunks count that have had their time.
func (b *book) curtail(now int64) {
	b.to = max(now, b.from)
	b.last = min(max(int((now-int64(b.plan.Late))/int64(b.plan.Track.Chunk)), b.first), b.last)
}

// measured returns for how long was measured, in seconds, and the bytes that were published meanwhile.
func (b *book) measured() (seconds float64, published int) {
	for i, size := range b.plan.Chunks {
		if b.counts(int64(i) * int64(b.plan.Track.Chunk)) {
			published += size
		}
	}
	return float64(b.to-b.from) / 1e9, published
}

// here returns for how many seconds of the measurement a node was there; negative: it was not.
func (b *book) here(id int) float64 {
	return float64(min(b.pages[id].leave, b.to)-max(b.pages[id].join, b.from)) / 1e9
}

// due reports whether a chunk counts for a node: it was there for a while before, and long enough after.
func (b *book) due(id, seq int) bool {
	at := int64(seq) * int64(b.plan.Track.Chunk)
	n := &b.pages[id]
	return at >= n.join+int64(b.plan.Settle) && at+int64(b.plan.Late) <= n.leave
}

// result sums up what any system is judged by.
func (b *book) result(name string) sim.Result {
	p := b.plan
	r := sim.Result{Name: name}
	var all, startup, floor, stretch, shares []float64
	hops := map[uint8][]float64{}
	series := make([][]float64, int(p.Duration.Seconds())+1)
	peers, lostAt := make([]int, len(series)), make([]int, len(series))
	perClass := make([][]float64, len(p.Classes))
	classDue, classLost, classSent := make([]int, len(p.Classes)), make([]int, len(p.Classes)), make([]float64, len(p.Classes))
	classPeers := make([]int, len(p.Classes))
	due, lost := 0, 0
	var media, received, wired, control int64
	present := 0.0 // seconds of peers
	measured, published := b.measured()
	for id := 1; id < len(b.pages); id++ {
		n := &b.pages[id]
		var own []float64
		for seq := b.first; seq < b.last; seq++ {
			if !n.honest || !b.due(id, seq) {
				continue
			}
			second := (seq - b.first) * int(p.Track.Chunk) / 1e9
			due++
			classDue[n.class]++
			if (seq-b.first)*int(p.Track.Chunk)%1e9 == 0 {
				peers[second]++
			}
			us := int32(0)
			if b.latency[id] != nil {
				us = b.latency[id][seq]
			}
			ms := float64(us) / 1e3
			if us == 0 || ms > float64(p.Late.Milliseconds()) {
				lost++
				classLost[n.class]++
				lostAt[second]++
			}
			if us == 0 {
				continue
			}
			all = append(all, ms)
			own = append(own, ms)
			perClass[n.class] = append(perClass[n.class], ms)
			series[second] = append(series[second], ms)
			hops[b.depth[id][seq]] = append(hops[b.depth[id][seq]], ms)
		}
		if n.honest && b.start[id] > 0 && (p.Join.Crowd == nil || n.join >= b.from) {
			startup = append(startup, float64(b.start[id]-n.join)/1e6)
		}
		here := b.here(id)
		if here <= 0 {
			continue
		}
		if n.honest {
			media, received, wired = media+n.media, received+n.received, wired+n.wired
		}
		present += here
		control += n.control
		copies := ratio(float64(n.sent), float64(published)*here/measured)
		shares = append(shares, copies)
		classSent[n.class] += copies
		classPeers[n.class]++
		direct := float64(p.Delay(0, id).Microseconds()) / 1e3
		frag := float64(p.Track.Bitrate) / 8 * p.Track.Chunk.Seconds() / episub.MaxStripes
		fl := direct + frag*8e3/p.Nodes[0].Up + frag*8e3/float64(p.Nodes[id].Class.Down)
		floor = append(floor, fl)
		if len(own) > 0 {
			stretch = append(stretch, sim.QuantilesOf(own).P50/direct)
		}
	}
	r.Latency, r.Startup = sim.QuantilesOf(all), sim.QuantilesOf(startup)
	r.Floor, r.Stretch, r.Shares = sim.QuantilesOf(floor), sim.QuantilesOf(stretch), sim.QuantilesOf(shares)
	r.Lost = ratio(float64(lost), float64(due))
	r.Overhead, r.Wire = ratio(float64(received), float64(media)), ratio(float64(wired), float64(media))
	r.Copies = ratio(float64(b.pages[0].sent), float64(published))
	r.Control = ratio(float64(control), present/p.Track.Chunk.Seconds())
	for h := 0; h < 256; h++ {
		if x := hops[uint8(h)]; len(x) > 0 {
			q := sim.QuantilesOf(x)
			r.ByHops = append(r.ByHops, sim.Hop{Hops: h, Chunks: len(x), P50: q.P50, P99: q.P99})
		}
	}
	for k := range p.Classes {
		c := sim.ClassResult{Name: p.Classes[k].Name, Peers: classPeers[k], Latency: sim.QuantilesOf(perClass[k])}
		c.Lost = ratio(float64(classLost[k]), float64(classDue[k]))
		c.Copies = ratio(classSent[k], float64(classPeers[k]))
		r.ByClass = append(r.ByClass, c)
	}
	for s := range series {
		if len(series[s]) > 0 {
			q := sim.QuantilesOf(series[s])
			r.Series = append(r.Series, sim.Point{Second: s, Peers: peers[s], P50: q.P50, P99: q.P99, Lost: ratio(float64(lostAt[s]), float64(lostAt[s]+len(series[s])))})
		}
	}
	return r
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
