package model

import (
	"math/rand/v2"
	"slices"

	"murmuration/mesh/episub"
)

// own is an event of one node.
type own struct {
	at   int64
	node int32
	ref  int32
	kind kind
}

// flight is a message on its way to a node.
type flight struct {
	message
	at   int64
	data int32 // where its control frame begins in the bytes beside it
}

// window is what happens to a shard's nodes in one window of time.
type window struct {
	events  []own
	flights []flight
	bytes   []byte // of control frames
}

func (b *window) reset() { b.events, b.flights, b.bytes = b.events[:0], b.flights[:0], b.bytes[:0] }

// carry adds a flight with its control frame and returns its place.
func (b *window) carry(f *flight, frame []byte) int32 {
	b.flights = append(b.flights, *f)
	b.flights[len(b.flights)-1].data = int32(len(b.bytes))
	b.bytes = append(b.bytes, frame...)
	return int32(len(b.flights) - 1)
}

// shard runs some of the nodes: in every window one after the other, each through all that happens to it there. That
// is possible since nothing that a node sends arrives within the window, and it is fast since a node's machine, which
// is larger than a processor's cache can hold for thousands, is at hand for several events in a row. Shards share
// nothing but what the world writes between windows, so they run in parallel; what they send each other is exchanged
// between windows, in the order of shards, so the outcome does not depend on how many run at a time.
type shard struct {
	w           *world
	number      int
	first, last int32 // nodes, last excluded
	rng         *rand.Rand
	events      uint64

	// The windows to come, in a ring by their number. What is further ahead waits in the ring's last.
	ring  []*window
	spare []*window
	out   [2][]window // flights to each shard, from even windows and from odd ones

	// The node that is run, and its events in the window, in order.
	node    int32 // or -1
	run     []own
	at      int // in run
	current *window
	from    []int32 // scratch: where each node's events begin
	sorted  []own

	messages []message // that wait for an uplink or a pacer
	unused   []int32
	buffers  [][]byte // their control frames, by message
	hung     []hung
}

// hung is a connection that a node closed in the window.
type hung struct {
	conn int32
	side uint8
	at   int64
}

// horizon is the number of windows that a shard's ring holds.
const horizon = 512

func newShard(w *world, number int, first, last int32, shards int) *shard {
	sh := &shard{
		w: w, number: number, first: first, last: last, node: -1,
		rng:  rand.New(rand.NewPCG(w.plan.Seed, 0x73686172<<8|uint64(number))),
		ring: make([]*window, horizon), from: make([]int32, last-first+1),
	}
	for i := range sh.out {
		sh.out[i] = make([]window, shards)
	}
	return sh
}

// in returns the window in which something at a time is to wait.
func (sh *shard) in(at int64) *window {
	k := max(at/sh.w.span, sh.w.now)
	k = min(k, sh.w.now+horizon-1)
	b := sh.ring[k%horizon]
	if b == nil {
		if n := len(sh.spare); n > 0 {
			b, sh.spare = sh.spare[n-1], sh.spare[:n-1]
		} else {
			b = &window{}
		}
		sh.ring[k%horizon] = b
	}
	return b
}

// push has something happen to a node: later in this window to the one that is run, in a later window to any.
func (sh *shard) push(at int64, k kind, node, ref int32) {
	e := own{at, node, ref, k}
	if node == sh.node && at < sh.w.until {
		i := len(sh.run)
		sh.run = append(sh.run, e)
		for ; i > sh.at+1 && sh.run[i-1].at > at; i-- {
			sh.run[i] = sh.run[i-1]
		}
		sh.run[i] = e
		return
	}
	b := sh.in(at)
	b.events = append(b.events, e)
}

// pull takes in what shards sent in the window before.
func (sh *shard) pull() {
	side := (sh.w.now + 1) & 1
	for _, from := range sh.w.shards {
		box := &from.out[side][sh.number]
		for i := range box.flights {
			f := &box.flights[i]
			at := max(f.at, sh.w.now*sh.w.span)
			var frame []byte
			if f.control {
				frame = box.bytes[f.data : f.data+f.length]
			}
			b := sh.in(at)
			b.events = append(b.events, own{at, f.to, b.carry(f, frame), evArrive})
		}
	}
}

// advance lets the window now happen.
func (sh *shard) advance() {
	sh.pull()
	b := sh.ring[sh.w.now%horizon]
	if b == nil {
		return
	}
	sh.ring[sh.w.now%horizon] = nil
	sh.current = b
	// By node, in the order in which they were pushed.
	clear(sh.from)
	for i := range b.events {
		sh.from[b.events[i].node-sh.first]++
	}
	sum := int32(0)
	for i, n := range sh.from {
		sh.from[i] = sum
		sum += n
	}
	sh.sorted = slices.Grow(sh.sorted[:0], len(b.events))[:len(b.events)]
	for i := range b.events {
		place := &sh.from[b.events[i].node-sh.first]
		sh.sorted[*place] = b.events[i]
		*place++
	}
	for i := 0; i < len(sh.sorted); {
		sh.node = sh.sorted[i].node
		sh.run = sh.run[:0]
		for ; i < len(sh.sorted) && sh.sorted[i].node == sh.node; i++ {
			e := sh.sorted[i]
			if e.at >= sh.w.until { // it waited at the end of the ring
				sh.wait(e, b)
				continue
			}
			j := len(sh.run)
			sh.run = append(sh.run, e)
			for ; j > 0 && sh.run[j-1].at > e.at; j-- {
				sh.run[j] = sh.run[j-1]
			}
			sh.run[j] = e
		}
		for sh.at = 0; sh.at < len(sh.run); sh.at++ {
			sh.handle(&sh.run[sh.at])
		}
	}
	sh.node, sh.current = -1, nil
	b.reset()
	sh.spare = append(sh.spare, b)
}

// wait puts an event of window b off to a later one.
func (sh *shard) wait(e own, b *window) {
	to := sh.in(e.at)
	if e.kind == evArrive || e.kind == evReceive {
		f := &b.flights[e.ref]
		var frame []byte
		if f.control {
			frame = b.bytes[f.data : f.data+f.length]
		}
		e.ref = to.carry(f, frame)
	}
	to.events = append(to.events, e)
}

// handle lets one event happen.
func (sh *shard) handle(e *own) {
	sh.events++
	w, now, id, ref := sh.w, e.at, e.node, e.ref // e may move
	n := &w.nodes[id]
	switch e.kind {
	case evTick:
		if n.online {
			sh.push(now+tick, evTick, id, 0)
			n.machine.Queue(dur(now), dur(n.link.wait(now)))
			sh.perform(now, id, n.machine.Tick(dur(now)))
		}
	case evEnqueue:
		sh.enqueue(now, id, &sh.messages[ref], ref)
	case evUplink:
		sh.uplink(now, id)
	case evArrive:
		sh.arrive(now, id, ref)
	case evReceive:
		sh.receive(now, id, &sh.current.flights[ref])
	case evPublish:
		sh.perform(now, 0, n.machine.Publish(dur(now), w.chunks[ref]))
	}
}

const tick = int64(50e6)

// perform carries out what a machine asked for.
func (sh *shard) perform(now int64, id int32, acts []episub.Action) {
	w := sh.w
	n := &w.nodes[id]
	for i := range acts {
		a := &acts[i]
		switch a.Kind {
		case episub.SendControl:
			if c := n.slotConn(w, a.Peer); c >= 0 {
				sh.send(now, id, a.Data, message{
					conn: c, gen: w.conns[c].gen, from: w.side(c, id), class: a.Class, control: true,
					size: int32(len(a.Data)) + framing, length: int32(len(a.Data)),
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
				sh.send(now, id, nil, message{
					conn: c, gen: w.conns[c].gen, from: w.side(c, id), class: a.Class, bad: n.bad, hops: a.Hops,
					index: a.Index, size: int32(size) + framing + episub.HeaderSize, seq: uint32(a.ID.Seq), age: int64(a.Age),
				})
			}
		case episub.Deliver:
			w.completed(now, id, int(a.ID.Seq), a.Hops)
		case episub.Report:
			if a.What == episub.BadFragment || a.What == episub.BadControl || a.What == episub.BadEnvelope {
				if c := n.slotConn(w, a.Peer); c >= 0 {
					sh.hung = append(sh.hung, hung{c, w.side(c, id), now})
				}
			}
		}
	}
}
