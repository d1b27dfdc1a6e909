package model

import (
	"murmuration/mesh/episub"
	"murmuration/sim"
)

// measure is what is written down during a run.
type measure struct {
	cuts    []bool    // partitions that are on
	parted  int       // how many are
	latency [][]int32 // by node and chunk, microseconds, 0: never
	depth   [][]uint8
	start   []int64 // when the first independent chunk was complete, by node
	from    int64   // measured from here
	to      int64
	first   int // first measured chunk
	last    int // one past the last

	before []episub.Stats // what machines had counted when the measurement began
	after  []episub.Stats // and when it ended or they left
	total  episub.Stats
}

// tally is what is counted of a node during the measurement.
type tally struct {
	media    int64 // bytes of chunks completed
	received int64 // bytes above QUIC
	wired    int64 // bytes with packet headers
	sent     int64 // bytes of fragments
	control  int64 // control messages sent
}

func (m *measure) init(w *world) {
	n := len(w.nodes)
	p := w.plan
	m.cuts = make([]bool, len(p.Cuts))
	m.latency, m.depth = make([][]int32, n), make([][]uint8, n)
	m.start = make([]int64, n)
	m.from, m.to = int64(p.Warmup), int64(p.Warmup+p.Duration)
	m.first, m.last = int(p.Warmup/p.Track.Chunk), len(p.Chunks)
	m.before, m.after = make([]episub.Stats, n), make([]episub.Stats, n)
}

// count notes a message that a node sends.
func (w *world) count(now int64, id int32, m *message) {
	if now < w.from || now >= w.to {
		return
	}
	if m.control {
		w.nodes[id].control++
	} else if m.index >= 0 {
		w.nodes[id].sent += int64(m.size)
	}
}

// got notes a message that a node received.
func (w *world) got(now int64, id int32, m *message) {
	if now >= w.from && now < w.to {
		w.nodes[id].received += int64(m.size)
		w.nodes[id].wired += int64(wire(m.size))
	}
}

// delivered notes a chunk that is complete at a node.
func (w *world) delivered(now int64, id int32, a *episub.Action) {
	seq := int(a.ID.Seq)
	if w.latency[id] == nil {
		w.latency[id] = make([]int32, len(w.chunks))
		w.depth[id] = make([]uint8, len(w.chunks))
	}
	published := int64(seq) * int64(w.plan.Track.Chunk)
	w.latency[id][seq] = max(int32((now-published)/1e3), 1)
	w.depth[id][seq] = a.Hops
	if w.chunks[seq].Independent && w.start[id] == 0 {
		w.start[id] = now
	}
	if now >= w.from && now < w.to {
		w.nodes[id].media += int64(w.chunks[seq].Size)
	}
}

// retire notes the counts of a machine that leaves.
func (w *world) retire(now int64, id int32) {
	if now < w.to {
		w.after[id] = w.nodes[id].machine.Stats()
	}
}

// snapshot notes the counts of all machines when the measurement begins and when it ends.
func (w *world) snapshot(into []episub.Stats) {
	for _, id := range w.online {
		into[id] = w.nodes[id].machine.Stats()
	}
}

// curtail ends the measurement of a run that was stopped: chunks count that have had their time.
func (w *world) curtail() {
	now := w.now * w.span
	if now >= w.to {
		return
	}
	if now < w.from {
		w.snapshot(w.before)
	}
	w.to = max(now, w.from)
	w.last = min(max(int((now-int64(w.plan.Late))/int64(w.plan.Track.Chunk)), w.first), w.last)
	w.snapshot(w.after)
	w.feeds = w.edges()
}

// measured returns for how long was measured, in seconds, and the bytes that were published meanwhile.
func (w *world) measured() (seconds float64, published int) {
	for i := range w.chunks {
		if at := int64(w.chunks[i].Time); at >= w.from && at < w.to {
			published += w.chunks[i].Size
		}
	}
	return float64(w.to-w.from) / 1e9, published
}

// due reports whether a chunk counts for a node: it was there for a while before, and long enough after.
func (w *world) due(id, seq int) bool {
	at := int64(seq) * int64(w.plan.Track.Chunk)
	n := &w.nodes[id]
	return at >= n.join+int64(w.plan.Settle) && at+int64(w.plan.Late) <= n.leave
}

// result sums up.
func (w *world) result() sim.Result {
	p := w.plan
	r := sim.Result{Name: "murmuration"}
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
	measured, published := w.measured()
	for id := 1; id < len(w.nodes); id++ {
		n := &w.nodes[id]
		honest := !n.mute && !n.bad
		var own []float64
		for seq := w.first; seq < w.last; seq++ {
			if !honest || !w.due(id, seq) {
				continue
			}
			second := (seq - w.first) * int(p.Track.Chunk) / 1e9
			due++
			classDue[n.class]++
			if (seq-w.first)*int(p.Track.Chunk)%1e9 == 0 {
				peers[second]++
			}
			us := int32(0)
			if w.latency[id] != nil {
				us = w.latency[id][seq]
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
			hops[w.depth[id][seq]] = append(hops[w.depth[id][seq]], ms)
		}
		if honest && w.start[id] > 0 && (p.Join.Crowd == nil || n.join >= w.from) {
			startup = append(startup, float64(w.start[id]-n.join)/1e6)
		}
		here := float64(min(n.leave, w.to)-max(n.join, w.from)) / 1e9
		if here <= 0 {
			continue
		}
		if honest {
			media, received, wired = media+w.nodes[id].media, received+w.nodes[id].received, wired+w.nodes[id].wired
		}
		present += here
		control += w.nodes[id].control
		copies := ratio(float64(n.sent), float64(published)*here/measured)
		shares = append(shares, copies)
		classSent[n.class] += copies
		classPeers[n.class]++
		direct := float64(p.Delay(0, id).Microseconds()) / 1e3
		frag := float64(p.Track.Bitrate) / 8 * p.Track.Chunk.Seconds() / episub.MaxStripes
		fl := direct + frag/w.nodes[0].link.upRate/1e6 + frag/n.link.downRate/1e6
		floor = append(floor, fl)
		if len(own) > 0 {
			stretch = append(stretch, sim.QuantilesOf(own).P50/direct)
		}
		w.add(id)
	}
	r.Latency, r.Startup = sim.QuantilesOf(all), sim.QuantilesOf(startup)
	r.Floor, r.Stretch, r.Shares = sim.QuantilesOf(floor), sim.QuantilesOf(stretch), sim.QuantilesOf(shares)
	r.Lost = ratio(float64(lost), float64(due))
	r.Overhead, r.Wire = ratio(float64(received), float64(media)), ratio(float64(wired), float64(media))
	r.Copies = ratio(float64(w.nodes[0].sent), float64(published))
	t := &w.total
	r.Repair = ratio(float64(t.Repaired), float64(t.Fragments))
	r.Duplicate = ratio(float64(t.Duplicates), float64(t.Fragments))
	r.Control = ratio(float64(control), present/p.Track.Chunk.Seconds())
	r.Changes, r.FeedsLost = ratio(float64(t.Changes)*60, present), ratio(float64(t.Lost)*60, present)
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

// add adds what a machine counted during the measurement to the totals.
func (w *world) add(id int) {
	s, b, t := &w.after[id], &w.before[id], &w.total
	t.Fragments += s.Fragments - b.Fragments
	t.Duplicates += s.Duplicates - b.Duplicates
	t.Repaired += s.Repaired - b.Repaired
	t.Changes += s.Changes - b.Changes
	t.Lost += s.Lost - b.Lost
	t.Shed += s.Shed - b.Shed
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
