package model

import (
	"math/rand/v2"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
	"murmuration/sim"
)

func dur(ns int64) time.Duration { return time.Duration(ns) }

// node is one peer of the world.
type node struct {
	machine *episub.Machine
	link    nodeLink
	jitter  float64
	conns   []int32                     // connections, being opened or open
	slots   [episub.MaxNeighbours]int32 // connection by the machine's slot
	opened  int
	online  bool
	mute    bool
	bad     bool
	nat     bool
	shard   int32
	inquiry inquiry
}

// world is one run.
type world struct {
	rng    *rand.Rand
	queue  queue
	nodes  []node
	online []int32 // nodes that are there, in no order
	where  []int32 // index in online, or -1
	conns  []conn
	unused []int32 // conns
	chunks []episub.Chunk

	shards []*shard
	span   int64 // of a window: nothing arrives sooner after it was sent
	now    int64 // number of the window
	until  int64 // its end

	pacing, reno  bool
	burst, window float64
	end           int64
	events        uint64
	book
	trees
	cuts   []bool // partitions that are on
	parted int    // how many are
	sample []int32
}

// Keep implements episub.Host: a fragment is good unless it is marked.
func (w *world) Keep(_ episub.ID, _ int, data []byte) bool { return data == nil }

func newWorld(p *sim.Plan) *world {
	w := &world{
		book: newBook(p), rng: rand.New(rand.NewPCG(p.Seed, 0x776f726c)),
		nodes: make([]node, len(p.Nodes)), where: make([]int32, len(p.Nodes)),
		pacing: *p.Links.Pacing, reno: p.Links.Reno, burst: float64(p.Links.Burst), window: float64(p.Links.Window),
		end: int64(p.End),
	}
	w.share()
	w.cuts = make([]bool, len(p.Cuts))
	w.before, w.after = make([]episub.Stats, len(p.Nodes)), make([]episub.Stats, len(p.Nodes))
	for i, size := range p.Chunks {
		f := envelope.FragmentSize(size)
		n := (size + f - 1) / f
		w.chunks = append(w.chunks, episub.Chunk{
			ID: episub.ID{Seq: uint64(i)}, Fragments: n, FragmentSize: f, Size: size, EnvelopeSize: envelopeSize(size),
			Time: time.Duration(i) * p.Track.Chunk, Duration: p.Track.Chunk, Independent: i%p.Track.Group == 0,
		})
	}
	for i := range p.Nodes {
		x, n := &p.Nodes[i], &w.nodes[i]
		n.link = nodeLink{upRate: x.Up / 8e9, downRate: float64(x.Class.Down) / 8e9}
		for k := range n.link.first {
			n.link.first[k] = -1
		}
		n.jitter = float64(x.Class.Jitter)
		n.mute, n.bad = x.Class.Behaviour == sim.Mute, x.Class.Behaviour == sim.Garbage
		n.nat = x.Class.NAT
		w.where[i] = -1
		w.queue.push(int64(x.Join), evJoin, int32(i), 0)
		if leave := int64(x.Leave); leave < w.end {
			w.queue.push(leave, evLeave, int32(i), 0)
		}
	}
	for i, c := range p.Cuts {
		w.queue.push(int64(c.At), evCut, int32(i), 0)
		w.queue.push(int64(c.At+c.For), evHeal, int32(i), 0)
	}
	w.queue.push(1e9, evSecond, 0, 0)
	w.queue.push(0, evChunk, 0, 0)
	w.queue.push(w.from, evSnapshot, 0, 0)
	w.queue.push(w.to, evSnapshot, 1, 0)
	return w
}

// envelopeSize returns the bytes of a chunk's envelope, fragment hashes included.
func envelopeSize(size int) int {
	f := envelope.FragmentSize(size)
	return 560 + 18*((size+f-1)/f)
}

// Bounds of a window. Delays below the least are lengthened to it, by at most as much.
const (
	leastSpan = int64(time.Millisecond)
	mostSpan  = int64(20 * time.Millisecond)
)

// perShard is how many nodes a shard has at least, and mostShards how many shards there are at most.
const (
	perShard   = 500
	mostShards = 16
)

// share deals the nodes out to shards.
func (w *world) share() {
	w.span = min(max(int64(w.plan.Least()), leastSpan), mostSpan)
	n := len(w.nodes)
	shards := min(max(n/perShard, 1), mostShards)
	for k := range shards {
		first, last := k*n/shards, (k+1)*n/shards
		w.shards = append(w.shards, newShard(w, k, int32(first), int32(last), shards))
		for i := first; i < last; i++ {
			w.nodes[i].shard = int32(k)
		}
	}
}

// of returns the shard of a node.
func (w *world) of(id int32) *shard { return w.shards[w.nodes[id].shard] }

// between lets happen what concerns several nodes and was due by the beginning of the window now, and reports how far
// the run is whenever a second has passed.
func (w *world) between(second func()) {
	start := w.now * w.span
	w.until = start + w.span
	for _, sh := range w.shards {
		for i := range sh.out[w.now&1] {
			sh.out[w.now&1][i].reset()
		}
	}
	for _, sh := range w.shards {
		gone := sh.hung
		sh.hung = nil
		for _, h := range gone {
			w.hangUp(start, h.conn, h.side)
		}
	}
	for len(w.queue.heap) > 0 && w.queue.heap[0].at <= start {
		e := w.queue.pop()
		w.events++
		if e.kind == evSecond {
			w.queue.push(e.at+1e9, evSecond, 0, 0)
			second()
			continue
		}
		e.at = start
		w.handle(&e)
	}
}

// handle lets one event happen.
func (w *world) handle(e *event) {
	switch e.kind {
	case evJoin:
		w.join(e.at, e.a)
	case evLeave:
		w.leave(e.at, e.a)
	case evLink:
		if w.conns[e.b].gen == uint32(e.a) {
			w.linked(e.at, e.b)
		}
	case evUnlink:
		if w.conns[e.b].gen == uint32(e.a)>>1 {
			w.unlink(e.at, e.b, int(e.a&1))
		}
	case evTend:
		if w.nodes[e.a].online {
			w.tend(e.at, e.a)
			w.inquire(e.at, e.a)
			w.queue.push(e.at+1e9, evTend, e.a, 0)
		}
	case evSnapshot:
		w.snapshot([][]episub.Stats{w.before, w.after}[e.a])
		if e.a == 1 {
			w.feeds = w.edges()
		}
	case evCut, evHeal:
		w.cut(int(e.a), e.kind == evCut)
	case evChunk:
		w.of(0).push(int64(e.a)*int64(w.plan.Track.Chunk)+1, evPublish, 0, e.a)
		if next := e.a + 1; int(next) < len(w.chunks) {
			w.queue.push(int64(e.a)*int64(w.plan.Track.Chunk), evChunk, next, 0)
		}
	}
}

// slotConn returns the connection in a slot of the machine's table, or -1.
func (n *node) slotConn(w *world, p episub.Peer) int32 {
	if c := n.slots[p]; c >= 0 && w.conns[c].open {
		return c
	}
	return -1
}

// side returns which end of c is id.
func (w *world) side(c, id int32) uint8 {
	if w.conns[c].ends[0].node == id {
		return 0
	}
	return 1
}
