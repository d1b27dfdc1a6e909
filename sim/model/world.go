package model

import (
	"math/rand/v2"
	"time"

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
	class   int
	online  bool
	mute    bool
	bad     bool
	nat     bool
	leave   int64
	join    int64
}

// world is one run.
type world struct {
	plan   *sim.Plan
	rng    *rand.Rand
	queue  queue
	nodes  []node
	online []int32 // nodes that are there, in no order
	where  []int32 // index in online, or -1
	conns  []conn
	unused []int32 // conns
	chunks []episub.Chunk

	messages     []message
	spare        []int32
	buffers      [][]byte
	spareBuffers []int32

	pacing        bool
	burst, window float64
	end           int64
	events        uint64
	measure
	sample []int32
	feeds  []sim.Feed // the trees at the end of the measurement
}

// Keep implements episub.Host: a fragment is good unless it is marked.
func (w *world) Keep(_ episub.ID, _ int, data []byte) bool { return data == nil }

func newWorld(p *sim.Plan) *world {
	w := &world{
		plan: p, rng: rand.New(rand.NewPCG(p.Seed, 0x776f726c)),
		nodes: make([]node, len(p.Nodes)), where: make([]int32, len(p.Nodes)),
		pacing: *p.Links.Pacing, burst: float64(p.Links.Burst), window: float64(p.Links.Window),
		end: int64(p.End),
	}
	w.queue.heap = make([]event, 0, 64*len(p.Nodes))
	for i, size := range p.Chunks {
		f := episub.FragmentSize(size, episub.MaxStripes)
		n := (size + f - 1) / f
		w.chunks = append(w.chunks, episub.Chunk{
			ID: episub.ID{Seq: uint64(i)}, Fragments: n, FragmentSize: f, Size: size, EnvelopeSize: 560 + 18*n,
			Time: time.Duration(i) * p.Track.Chunk, Duration: p.Track.Chunk, Independent: i%p.Track.Group == 0,
		})
		w.queue.push(int64(i)*int64(p.Track.Chunk)+1, evPublish, int32(i), 0)
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
		n.join, n.leave = int64(x.Join), int64(x.Leave)
		n.class = -1
		for k := range p.Classes {
			if x.Class == &p.Classes[k] {
				n.class = k
			}
		}
		w.where[i] = -1
		w.queue.push(n.join, evJoin, int32(i), 0)
		if n.leave < w.end {
			w.queue.push(n.leave, evLeave, int32(i), 0)
		}
	}
	for i, c := range p.Cuts {
		w.queue.push(int64(c.At), evCut, int32(i), 0)
		w.queue.push(int64(c.At+c.For), evHeal, int32(i), 0)
	}
	w.queue.push(1e9, evSecond, 0, 0)
	w.init(w)
	w.queue.push(w.from, evSnapshot, 0, 0)
	w.queue.push(w.to, evSnapshot, 1, 0)
	return w
}

// handle lets one event happen.
func (w *world) handle(e *event) {
	switch e.kind {
	case evTick:
		if n := &w.nodes[e.a]; n.online {
			w.queue.push(e.at+tick, evTick, e.a, 0)
			n.machine.Queue(dur(e.at), dur(n.link.wait(e.at)))
			w.perform(e.at, e.a, n.machine.Tick(dur(e.at)))
		}
	case evEnqueue:
		w.enqueue(e.at, e.b)
	case evUplink:
		w.uplink(e.at, e.a)
	case evArrive:
		w.arrive(e.at, e.b)
	case evReceive:
		w.receive(e.at, e.b)
	case evPublish:
		w.perform(e.at, 0, w.nodes[0].machine.Publish(dur(e.at), w.chunks[e.a]))
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
			w.queue.push(e.at+1e9, evTend, e.a, 0)
		}
	case evSnapshot:
		w.snapshot([][]episub.Stats{w.before, w.after}[e.a])
		if e.a == 1 {
			w.draw()
			w.feeds = w.edges()
		}
	case evCut, evHeal:
		w.cut(int(e.a), e.kind == evCut)
	}
}

const tick = int64(50 * time.Millisecond)

// perform carries out what a machine asked for.
func (w *world) perform(now int64, id int32, acts []episub.Action) {
	n := &w.nodes[id]
	for i := range acts {
		a := &acts[i]
		switch a.Kind {
		case episub.SendControl:
			if c := n.slotConn(w, a.Peer); c >= 0 {
				w.send(now, message{
					conn: c, gen: w.conns[c].gen, from: w.side(c, id), class: a.Class, control: true,
					size: int32(len(a.Data)) + framing, buf: w.buffer(a.Data),
				})
			}
		case episub.SendFragment:
			if n.mute {
				continue
			}
			if c := n.slotConn(w, a.Peer); c >= 0 {
				ch := &w.chunks[a.ID.Seq]
				size := ch.EnvelopeSize
				if a.Index >= 0 {
					size = ch.FragmentSize
					if int(a.Index) == ch.Fragments-1 {
						size = ch.Size - int(a.Index)*ch.FragmentSize
					}
				}
				w.send(now, message{
					conn: c, gen: w.conns[c].gen, from: w.side(c, id), class: a.Class, bad: n.bad, hops: a.Hops,
					index: a.Index, size: int32(size) + framing + episub.HeaderSize, seq: uint32(a.ID.Seq), age: int64(a.Age),
				})
			}
		case episub.Deliver:
			w.delivered(now, id, a)
		case episub.Report:
			if a.What == episub.BadFragment || a.What == episub.BadControl || a.What == episub.BadEnvelope {
				if c := n.slotConn(w, a.Peer); c >= 0 {
					w.hangUp(now, c, w.side(c, id))
				}
			}
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
