package model

import (
	"murmuration/sim"
	"murmuration/sim/model/gossip"
)

// params are those of every stock node.
var params = gossip.Stock()

// Whom a stock node looks for is as in sim/stack.
const (
	lonely = 8   // a node with fewer neighbours looks for more
	seek   = 5e9 // nanoseconds between looks
)

// join brings a node online: it dials the origin and some others.
func (s *stock) join(now int64, id int32) {
	n := &s.nodes[id]
	cfg := gossip.Config{Seed: s.plan.Seed<<20 | uint64(id)}
	if id != 0 && n.how != sim.Honest { // for whole messages all of these are the same, but for what garbage adds
		cfg.Relay = func(*gossip.Message) bool { return false }
	}
	n.router, n.lanes, n.online = gossip.New(cfg), map[gossip.Peer]*lane{}, true
	s.meet(now, id)
	s.where[id] = int32(len(s.online))
	s.online = append(s.online, id)
	s.queue.push(now+int64(params.HeartbeatInitialDelay), stBeat, id, 0)
	s.queue.push(now+seek, stLook, id, 0)
}

// look finds further neighbours when there are few.
func (s *stock) look(now int64, id int32) {
	n := &s.nodes[id]
	if !n.online {
		return
	}
	s.queue.push(now+seek, stLook, id, 0)
	if len(n.lanes) < lonely {
		s.meet(now, id)
	}
}

// meet dials the origin and as many others as a mesh node looks for.
func (s *stock) meet(now int64, id int32) {
	if id != 0 && s.nodes[0].online {
		s.dial(now, id, 0)
	}
	others := make([]int32, 0, len(s.online))
	for _, o := range s.online {
		if o != id && o != 0 && !s.nodes[o].nat {
			others = append(others, o)
		}
	}
	s.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	for _, o := range others[:min(s.plan.Mesh.Near+s.plan.Mesh.Random, len(others))] {
		s.dial(now, id, o)
	}
}

// dial starts a handshake, unless there is a connection or it cannot be.
func (s *stock) dial(now int64, a, b int32) {
	for _, l := range s.nodes[a].lines {
		if l.lanes[0].to == b || l.lanes[1].to == b {
			return
		}
	}
	if s.nodes[b].nat || s.parted(a, b) || len(s.nodes[a].lines) >= s.most(a) || len(s.nodes[b].lines) >= s.most(b) {
		return
	}
	x, y := &s.plan.Nodes[a], &s.plan.Nodes[b]
	l := &line{
		number: int32(len(s.lines)), owd: int64(s.plan.Delay(int(a), int(b))), loss: max(x.Class.Loss, y.Class.Loss),
	}
	for i, ends := range [2][2]int32{{a, b}, {b, a}} {
		fills := s.nodes[ends[0]].uplink.rate * float64(2*l.owd+20e6)
		l.lanes[i] = lane{line: l, from: ends[0], to: ends[1], window: s.window, most: max(2*fills, s.window)}
		n := &s.nodes[ends[0]]
		n.lines = append(n.lines, l)
	}
	s.lines = append(s.lines, l)
	s.queue.push(now+4*l.owd, stLink, l.number, 0) // a round trip for QUIC, one for identify and the streams
}

// stockMost is how many neighbours a stock node holds at most: with it the model was compared with real nodes (doc.go).
const stockMost = 48

// most returns how many neighbours a node holds: never more than with our own protocol. An origin that everybody knew would
// advertise to a quarter of them, and drown in what they ask for.
func (s *stock) most(id int32) int {
	if id == 0 {
		return s.plan.Mesh.Origin + 8
	}
	return min(s.plan.Mesh.Most, stockMost)
}

// parted reports whether a partition lies between two nodes.
func (s *stock) parted(a, b int32) bool {
	for i, c := range s.plan.Cuts {
		if s.cuts[i] && c.Inside[a] != c.Inside[b] {
			return true
		}
	}
	return false
}

// linked makes two nodes neighbours.
func (s *stock) linked(now int64, l *line) {
	if l.lanes[0].gone || l.lanes[1].gone || l.cut {
		s.unlink(now, l, 0)
		s.unlink(now, l, 1)
		return
	}
	l.up = true
	for i := range l.lanes {
		s.nodes[l.lanes[i].from].lanes[gossip.Peer(l.lanes[i].to)] = &l.lanes[i]
	}
	for i := range l.lanes {
		id := l.lanes[i].from
		s.perform(now, id, s.nodes[id].router.Up(dur(now), gossip.Peer(l.lanes[i].to), i == 0))
	}
}

// leave takes a node offline. Its neighbours notice at once if it says goodbye, else when their connections time out.
func (s *stock) leave(now int64, id int32) {
	n := &s.nodes[id]
	if !n.online {
		return
	}
	if now < s.to {
		n.after = n.router.Stats()
	}
	n.online = false
	last := s.online[len(s.online)-1]
	s.online[s.where[id]] = last
	s.where[last] = s.where[id]
	s.where[id] = -1
	s.online = s.online[:len(s.online)-1]
	for _, l := range n.lines {
		side := int32(0)
		if l.lanes[1].from == id {
			side = 1
		}
		l.lanes[side].gone = true
		at := now + int64(s.plan.Links.Detect)
		if s.plan.Nodes[id].Graceful {
			at = now + l.owd
		}
		s.queue.push(at, stUnlink, l.number, 1-side)
	}
	n.lines, n.lanes = nil, nil
}

// unlink lets one side notice that a connection is gone.
func (s *stock) unlink(now int64, l *line, side int32) {
	lane := &l.lanes[side]
	if lane.gone {
		return
	}
	lane.gone = true
	n := &s.nodes[lane.from]
	for i, o := range n.lines {
		if o == l {
			n.lines = append(n.lines[:i], n.lines[i+1:]...)
			break
		}
	}
	if n.lanes[gossip.Peer(lane.to)] == lane {
		delete(n.lanes, gossip.Peer(lane.to))
		s.perform(now, lane.from, n.router.Down(dur(now), gossip.Peer(lane.to)))
	}
}

// cut parts or heals a partition. What was under way then is sent again when it has healed.
func (s *stock) cut(now int64, i int, parted bool) {
	s.cuts[i] = parted
	for _, l := range s.lines {
		was := l.cut
		if l.cut = s.parted(l.lanes[0].from, l.lanes[0].to); l.cut || !was {
			continue
		}
		for _, ref := range l.parked {
			s.queue.push(now+l.owd, stArrive, ref, 0)
		}
		l.parked = nil
		for k := range l.lanes {
			l.lanes[k].last = max(l.lanes[k].last, now+l.owd)
			s.wake(now, &l.lanes[k])
		}
	}
}
