package model

import "murmuration/sim/model/gossip"

// Links of the stock nodes. An RPC is a long message, and several go out side by side, so here a node's uplink is shared
// among its connections piece by piece as the stack engine's links share it, by the deficits of FQ-CoDel (RFC 8290): who
// had nothing to send for a while comes first. A connection sends no more than its congestion window ahead of the acks
// and paces as quic-go does. The window starts at 32 packets, grows in slow start, and never shrinks, acks travel for
// nothing, and what waits does so in the sender's outbound queue, where IDONTWANT overtakes it, not on the link.
//
// All of this is in the protocol's favour. On real nodes queues on the links drop packets and Reno's windows shrink: that
// is most of what they are slower by. With both modelled, a run of venue50 that took 4.1 s (median) on real nodes took 4.9
// to 5.8 s instead of 1.6 to 3.0 s, so they were left out rather than overdone.
const (
	packets = 4                 // in a piece
	portion = packets * payload // bytes of a piece, at most
	quantum = portion + packets*headers
)

// lane is one direction of a connection.
type lane struct {
	line     *line
	from, to int32
	rpc      *gossip.RPC // that is being written, and how much of it is left
	left     int32
	flight   float64 // bytes that are not acknowledged
	window   float64 // bytes
	most     float64 // what the window grows to: twice what the uplink alone could fill
	pace     float64 // virtual time up to which the pacer has let bytes go
	last     int64   // when what was sent last arrives
	credit   int32
	listed   bool // at its uplink
	asleep   bool // until the pacer lets it go on
	gone     bool // the sender has noticed that the connection is
	carried  int64
}

// line is a connection between two stock nodes. lanes[0] leads away from the one that dialled.
type line struct {
	number int32
	lanes  [2]lane
	owd    int64
	loss   float64
	up     bool // the handshake is done
	cut    bool // a partition runs through it
	parked []int32
}

// piece is a part of an RPC under way. Its last part carries the RPC.
type piece struct {
	lane    *lane
	rpc     *gossip.RPC
	size    int32
	ser     int32 // time on the receiver's downlink
	limited bool  // it took most of the window
}

// lineup is a queue of lanes.
type lineup struct {
	lanes []*lane
	head  int
}

func (q *lineup) empty() bool { return q.head == len(q.lanes) }

func (q *lineup) push(l *lane) { q.lanes = append(q.lanes, l) }

func (q *lineup) peek() *lane { return q.lanes[q.head] }

func (q *lineup) pop() *lane {
	l := q.lanes[q.head]
	q.lanes[q.head] = nil
	if q.head++; q.head == len(q.lanes) {
		q.lanes, q.head = q.lanes[:0], 0
	} else if q.head > 64 && q.head > len(q.lanes)/2 {
		q.lanes = q.lanes[:copy(q.lanes, q.lanes[q.head:])]
		q.head = 0
	}
	return l
}

// uplink is a stock node's access link, outwards.
type uplink struct {
	rate       float64 // bytes a nanosecond
	busy       bool
	fresh, old lineup
}

// wake puts a lane that may send on its uplink.
func (s *stock) wake(now int64, l *lane) {
	if l.listed || !s.may(now, l) {
		return
	}
	u := &s.nodes[l.from].uplink
	l.listed, l.credit = true, quantum
	u.fresh.push(l)
	if !u.busy {
		s.serve(now, l.from)
	}
}

// may reports whether a lane has something to send and may send it now.
func (s *stock) may(now int64, l *lane) bool {
	if l.gone || l.line.cut || l.asleep || l.flight >= l.window {
		return false
	}
	if l.left == 0 {
		if l.rpc = s.nodes[l.from].router.Next(gossip.Peer(l.to)); l.rpc == nil {
			return false
		}
		l.left = int32(l.rpc.Size())
	}
	if s.pacing && int64(l.pace) > now+5e5 {
		l.asleep = true
		s.queue.push(int64(l.pace), stPace, l.line.number, l.side())
		return false
	}
	return true
}

func (l *lane) side() int32 {
	if l == &l.line.lanes[0] {
		return 0
	}
	return 1
}

// serve sends a piece of what comes first at a node's uplink, which is free.
func (s *stock) serve(now int64, id int32) {
	u := &s.nodes[id].uplink
	u.busy = false
	for {
		q := &u.fresh
		if q.empty() {
			q = &u.old
		}
		if q.empty() {
			return
		}
		l := q.peek()
		switch {
		case l.credit <= 0:
			l.credit += quantum
			u.old.push(q.pop())
		case !s.may(now, l):
			if q == &u.fresh { // it goes to the end of the others first, or it would come before them time and again
				u.old.push(q.pop())
			} else {
				q.pop().listed = false
			}
		default:
			s.send(now, u, l)
			return
		}
	}
}

// send puts a piece on the wire.
func (s *stock) send(now int64, u *uplink, l *lane) {
	size := min(l.left, portion)
	on := wire(size)
	l.left -= size
	l.credit -= on
	if s.pacing {
		rate := 1.25 * l.window / float64(2*l.line.owd+1e6)
		l.pace = max(l.pace, float64(now)-s.burst/rate) + float64(on)/rate
	}
	p := piece{lane: l, size: size, limited: l.flight > l.window/2}
	l.flight += float64(size)
	if l.left == 0 {
		p.rpc, l.rpc = l.rpc, nil
	}
	if s.counts(now) && (len(p.rpcOr(l).Publish) > 0) {
		s.pages[l.from].sent += int64(size)
	}
	free := now + int64(float64(on)/u.rate)
	u.busy = true
	s.queue.push(free, stUplink, l.from, 0)
	from, to := &s.nodes[l.from], &s.nodes[l.to]
	at := free + l.line.owd + jitter(s.rng, from.jitter) + jitter(s.rng, to.jitter)
	if l.line.loss > 0 {
		at += lossDelay(s.rng, l.line.loss, l.line.owd, size)
	}
	l.last = max(at, l.last)
	p.ser = int32(float64(on) / to.down)
	s.queue.push(l.last+int64(p.ser), stArrive, s.keep(p), 0)
}

// rpcOr returns the RPC that a piece is of.
func (p *piece) rpcOr(l *lane) *gossip.RPC {
	if p.rpc != nil {
		return p.rpc
	}
	return l.rpc
}

func (s *stock) keep(p piece) int32 {
	if n := len(s.unused); n > 0 {
		ref := s.unused[n-1]
		s.unused = s.unused[:n-1]
		s.pieces[ref] = p
		return ref
	}
	s.pieces = append(s.pieces, p)
	return int32(len(s.pieces) - 1)
}

func (s *stock) free(ref int32) {
	s.pieces[ref] = piece{}
	s.unused = append(s.unused, ref)
}

// arrive takes in a piece whose last bit would be here now if it had the downlink for itself.
func (s *stock) arrive(now int64, ref int32) {
	p := &s.pieces[ref]
	l := p.lane
	if l.line.cut { // it is sent again when the partition has healed
		l.line.parked = append(l.line.parked, ref)
		return
	}
	back := &l.line.lanes[1-l.side()]
	n := &s.nodes[l.to]
	if back.gone || !n.online {
		s.free(ref)
		return
	}
	n.free = max(n.free, now-int64(p.ser)) + int64(p.ser)
	s.got(n.free, l.to, p.size)
	if s.counts(n.free) {
		l.carried += int64(p.size)
	}
	if p.rpc != nil {
		s.queue.push(n.free, stReceive, ref, 0)
	}
	s.queue.push(n.free+l.line.owd, stAck, ref, 0)
}

// receive hands an RPC that has come whole to its receiver.
func (s *stock) receive(now int64, ref int32) {
	l, rpc := s.pieces[ref].lane, s.pieces[ref].rpc
	if n := &s.nodes[l.to]; n.online && !l.line.lanes[1-l.side()].gone {
		s.perform(now, l.to, n.router.Receive(dur(now), gossip.Peer(l.from), rpc))
	}
}

// ack tells the sender that a piece has come.
func (s *stock) ack(now int64, ref int32) {
	p := &s.pieces[ref]
	l := p.lane
	l.flight -= float64(p.size)
	if p.limited {
		l.window = min(l.window+float64(p.size), l.most)
	}
	s.free(ref)
	s.wake(now, l)
}
