package model

import (
	"context"
	"math/rand/v2"
	"runtime"
	"time"

	"murmuration/sim"
	"murmuration/sim/model/gossip"
)

// Gossipsub runs s with a seed as stock gossipsub would, and returns what came of it: gossip.Router in every node, on
// the links that lane.go describes. Whom a node knows is as in sim/stack, not as with Run: the origin and some others at
// random. progress and ctx are as with Run.
func Gossipsub(ctx context.Context, s *sim.Scenario, seed uint64, progress func(Progress)) (sim.Result, *sim.Detail, error) {
	plan, err := sim.NewPlan(s, seed)
	if err != nil {
		return sim.Result{}, nil, err
	}
	w := newStock(plan)
	err = play(ctx, w.play, plan.End, progress)
	if err != nil && w.now < w.to {
		if w.now < w.from {
			w.snapshot(false)
		}
		w.curtail(w.now)
		w.snapshot(true)
	}
	var players sim.Players
	r, d := w.result(), w.detail(&players, func(id int) bool { return w.nodes[id].online })
	r.Waiting = players.Stalls()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	r.Cost = sim.Cost{Events: w.events, Bytes: mem.HeapAlloc}
	return r, d, err
}

// Events of a stock run.
const (
	stJoin     kind = iota // a: node
	stLeave                // a: node
	stBeat                 // a: node, its heartbeat
	stLook                 // a: node, which looks for more neighbours
	stLink                 // a: line, its handshake is done
	stUnlink               // a: line, b: side that notices that it is gone
	stUplink               // a: node, whose uplink is free
	stPace                 // a: line, b: side, which its pacer lets go on
	stArrive               // a: piece, at the downlink
	stReceive              // a: piece, of an RPC that is whole
	stAck                  // a: piece
	stPublish              // a: chunk
	stSpoil                // a: node, b: chunk of which it publishes a damaged copy
	stCut                  // a: cut
	stHeal                 // a: cut
	stSnapshot             // a: 0 at the start of the measurement, 1 at its end
	stSecond               // progress
)

// stock is one run of stock gossipsub.
type stock struct {
	book
	rng    *rand.Rand
	queue  queue
	nodes  []stockNode
	online []int32
	where  []int32 // index in online, or -1
	lines  []*line
	pieces []piece
	unused []int32
	cuts   []bool
	now    int64
	end    int64
	events uint64

	pacing        bool
	burst, window float64
}

// stockNode is one node of it.
type stockNode struct {
	router *gossip.Router
	lines  []*line // being opened or open
	lanes  map[gossip.Peer]*lane
	uplink uplink
	down   float64 // bytes a nanosecond
	free   int64   // when the downlink is
	jitter float64
	how    sim.Behaviour
	nat    bool
	online bool
	before gossip.Stats // when the measurement began
	after  gossip.Stats // when it ended or the node left
}

func newStock(p *sim.Plan) *stock {
	s := &stock{
		book: newBook(p), rng: rand.New(rand.NewPCG(p.Seed, 0x73746f63)),
		nodes: make([]stockNode, len(p.Nodes)), where: make([]int32, len(p.Nodes)), cuts: make([]bool, len(p.Cuts)),
		end: int64(p.End), pacing: *p.Links.Pacing, burst: float64(p.Links.Burst), window: float64(p.Links.Window),
	}
	for i := range p.Nodes {
		x, n := &p.Nodes[i], &s.nodes[i]
		n.uplink.rate, n.down = x.Up/8e9, float64(x.Class.Down)/8e9
		n.jitter, n.nat, n.how = float64(x.Class.Jitter), x.Class.NAT, x.Class.Behaviour
		s.where[i] = -1
		s.queue.push(int64(x.Join), stJoin, int32(i), 0)
		if leave := int64(x.Leave); leave < s.end {
			s.queue.push(leave, stLeave, int32(i), 0)
		}
	}
	for i, c := range p.Cuts {
		s.queue.push(int64(c.At), stCut, int32(i), 0)
		s.queue.push(int64(c.At+c.For), stHeal, int32(i), 0)
	}
	for i := range p.Chunks {
		s.queue.push(int64(i)*int64(p.Track.Chunk)+1, stPublish, int32(i), 0)
	}
	s.queue.push(s.from, stSnapshot, 0, 0)
	s.queue.push(s.to, stSnapshot, 1, 0)
	s.queue.push(1e9, stSecond, 0, 0)
	return s
}

// play lets everything happen until the end, or until second says no.
func (s *stock) play(second func(done time.Duration) bool) {
	for len(s.queue.heap) > 0 {
		e := s.queue.pop()
		if e.at > s.end {
			return
		}
		s.now = e.at
		s.events++
		if e.kind == stSecond {
			s.queue.push(e.at+1e9, stSecond, 0, 0)
			if !second(dur(e.at)) {
				return
			}
			continue
		}
		s.handle(&e)
	}
}

// handle lets one event happen.
func (s *stock) handle(e *event) {
	now := e.at
	switch e.kind {
	case stJoin:
		s.join(now, e.a)
	case stLeave:
		s.leave(now, e.a)
	case stBeat:
		if n := &s.nodes[e.a]; n.online {
			s.queue.push(now+int64(params.HeartbeatInterval), stBeat, e.a, 0)
			s.perform(now, e.a, n.router.Heartbeat(dur(now)))
		}
	case stLook:
		s.look(now, e.a)
	case stLink:
		s.linked(now, s.lines[e.a])
	case stUnlink:
		s.unlink(now, s.lines[e.a], e.b)
	case stUplink:
		s.serve(now, e.a)
	case stPace:
		l := &s.lines[e.a].lanes[e.b]
		l.asleep = false
		s.wake(now, l)
	case stArrive:
		s.arrive(now, e.a)
	case stReceive:
		s.receive(now, e.a)
	case stAck:
		s.ack(now, e.a)
	case stPublish:
		s.perform(now, 0, s.nodes[0].router.Publish(dur(now), s.message(int(e.a))))
	case stSpoil:
		s.spoil(now, e.a, int(e.b))
	case stCut, stHeal:
		s.cut(now, int(e.a), e.kind == stCut)
	case stSnapshot:
		s.snapshot(e.a == 1)
	}
}

// perform carries out what a node's router asked for.
func (s *stock) perform(now int64, id int32, acts []gossip.Action) {
	n := &s.nodes[id]
	for i := range acts {
		switch a := &acts[i]; a.Kind {
		case gossip.Ready:
			if l := n.lanes[a.Peer]; l != nil {
				s.wake(now, l)
			}
		case gossip.Deliver:
			if a.Message.Bad {
				continue
			}
			s.completed(now, id, int(a.Message.ID), a.Message.Hops)
			if n.how == sim.Garbage {
				s.queue.push(now, stSpoil, id, int32(a.Message.ID))
			}
		}
	}
}

// Bytes of a chunk's message beside its block: the frame of sim/stack, an envelope, and with independent chunks the init
// segment.
const (
	frameBytes = 13
	initBytes  = 1200
)

// message returns the message of a chunk.
func (s *stock) message(seq int) gossip.Message {
	size := s.plan.Chunks[seq]
	m := gossip.Message{ID: gossip.ID(seq), Size: size + frameBytes + envelopeSize(size)}
	if seq%s.plan.Track.Group == 0 {
		m.Size += initBytes
	}
	return m
}

// spoil publishes a damaged copy of a chunk, which is another message.
func (s *stock) spoil(now int64, id int32, seq int) {
	if n := &s.nodes[id]; n.online {
		m := s.message(seq)
		m.ID, m.Bad = -1-m.ID, true
		s.perform(now, id, n.router.Publish(dur(now), m))
	}
}

// snapshot notes what all nodes have counted when the measurement begins and when it ends, and then the overlay.
func (s *stock) snapshot(end bool) {
	for _, id := range s.online {
		if n := &s.nodes[id]; end {
			n.after = n.router.Stats()
		} else {
			n.before = n.router.Stats()
		}
	}
	if end {
		s.feeds = s.edges()
	}
}

// edges returns by whom each node was fed during the measurement.
func (s *stock) edges() []sim.Feed {
	var feeds []sim.Feed
	for id := 1; id < len(s.nodes); id++ {
		n := &s.nodes[id]
		if !n.online || s.pages[id].received == 0 {
			continue
		}
		for _, line := range n.lines {
			l := &line.lanes[0]
			if l.from == int32(id) {
				l = &line.lanes[1]
			}
			if share := float64(l.carried) / float64(s.pages[id].received); share >= feedLeast {
				feeds = append(feeds, sim.Feed{From: int(l.from), To: id, Share: share})
			}
		}
	}
	return feeds
}

// result sums up.
func (s *stock) result() sim.Result {
	var t gossip.Stats
	for id := 1; id < len(s.nodes); id++ {
		if n := &s.nodes[id]; s.here(id) > 0 && s.pages[id].honest {
			s.pages[id].control = int64(n.after.Control - n.before.Control)
			t.Messages += n.after.Messages - n.before.Messages
			t.Fetched += n.after.Fetched - n.before.Fetched
			t.Duplicates += n.after.Duplicates - n.before.Duplicates
		}
	}
	r := s.book.result(gossipsub)
	r.Repair = ratio(float64(t.Fetched), float64(t.Messages))
	r.Duplicate = ratio(float64(t.Duplicates), float64(t.Duplicates+t.Messages))
	return r
}
