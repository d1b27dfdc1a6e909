package model

import (
	"math"
	"math/rand/v2"

	"murmuration/mesh/episub"
)

// Sizes in bytes of what surrounds a message.
const (
	payload = 1420 // of a packet, once quic-go has found out that 1452 bytes of UDP fit
	headers = 60   // of a packet: IPv4, UDP, QUIC short header and tag, stream frame
	framing = 53   // of a message: topic of 26, group, protobuf tags
)

// ahead is how far ahead of its uplink's pace a node sends, in nanoseconds. What is ahead shares the access link with
// what was sent before it, packet by packet, so a message that others follow is through that much later.
const ahead = 3e6

// end is one side of a connection.
type end struct {
	node int32
	slot episub.Peer
	last int64   // when what was sent last arrives at the other side: a connection keeps order
	pace float64 // virtual time up to which the pacer has let bytes go
	reno *reno   // where windows shrink
	down bool    // this side knows that the connection is gone
}

// conn is a connection between two nodes.
type conn struct {
	ends [2]end
	owd  int64 // one way
	loss float64
	gen  uint32
	open bool // handshake done, and neither side has gone
	cut  bool // a partition runs through it
	free bool
}

// message is what is under way on a connection.
type message struct {
	conn    int32
	gen     uint32
	to      int32       // node
	slot    episub.Peer // of the sender there
	from    uint8       // side
	class   episub.Class
	control bool
	bad     bool
	hops    uint8
	index   int16
	size    int32 // bytes above QUIC
	length  int32 // of the control frame
	ser     int32 // time on the receiver's downlink
	next    int32 // behind it in the uplink's queue
	seq     uint32
	age     int64
	since   int64 // when the machine sent it
}

// nodeLink is a node's access link. What waits for its uplink goes out by class.
type nodeLink struct {
	upRate, downRate float64 // bytes a nanosecond
	upFree           int64   // when the uplink has sent what is on it
	waiting          int64   // bytes that wait
	armed            bool    // an evUplink is due
	first, last      [episub.Classes]int32
	downFree         int64
}

// wait returns how long a message of the last class would wait now.
func (l *nodeLink) wait(now int64) int64 {
	return max(l.upFree-now, 0) + int64(float64(l.waiting)/l.upRate)
}

func wire(size int32) int32 { return size + (size+payload-1)/payload*headers }

// send puts a message of node id on a connection; frame is its bytes where it is a control frame.
func (sh *shard) send(now int64, id int32, frame []byte, m message) {
	w := sh.w
	c := &w.conns[m.conn]
	e := &c.ends[m.from]
	w.count(now, id, &m)
	m.since, m.to, m.slot = now, c.ends[1-m.from].node, c.ends[1-m.from].slot
	if m.slot < 0 || c.cut {
		return
	}
	if w.reno {
		if at := e.leave(now, 2*c.owd+1e6, m.size, w.window, w.burst); at > now+5e5 {
			sh.push(at, evEnqueue, id, sh.keep(&m, frame))
			return
		}
	} else if w.pacing {
		window := w.burst
		rate := 1.25 * w.window / float64(2*c.owd+1e6)
		e.pace = max(e.pace, float64(now)-window/rate) + float64(wire(m.size))/rate
		if at := int64(e.pace); at > now+5e5 {
			sh.push(at, evEnqueue, id, sh.keep(&m, frame))
			return
		}
	}
	if l := &w.nodes[id].link; l.upFree <= now && l.waiting == 0 {
		sh.transmit(now, l, &m, frame)
		return
	}
	ref := sh.keep(&m, frame)
	sh.enqueue(now, id, &sh.messages[ref], ref)
}

// enqueue puts a message that is kept on the sender's uplink, or in its queue.
func (sh *shard) enqueue(now int64, id int32, m *message, ref int32) {
	l := &sh.w.nodes[id].link
	if l.upFree <= now && l.waiting == 0 {
		sh.leave(now, l, ref)
		return
	}
	m.next = -1
	if l.first[m.class] < 0 {
		l.first[m.class] = ref
	} else {
		sh.messages[l.last[m.class]].next = ref
	}
	l.last[m.class] = ref
	l.waiting += int64(wire(m.size))
	if !l.armed {
		l.armed = true
		sh.push(max(l.upFree, now), evUplink, id, 0)
	}
}

// uplink sends what waits at a node and comes first.
func (sh *shard) uplink(now int64, id int32) {
	l := &sh.w.nodes[id].link
	l.armed = false
	for k := range l.first {
		ref := l.first[k]
		if ref < 0 {
			continue
		}
		m := &sh.messages[ref]
		l.first[k] = m.next
		l.waiting -= int64(wire(m.size))
		sh.leave(now, l, ref)
		break
	}
	if l.waiting > 0 {
		l.armed = true
		sh.push(max(l.upFree, now), evUplink, id, 0)
	}
}

// leave transmits a message that was kept, if its connection is still there.
func (sh *shard) leave(now int64, l *nodeLink, ref int32) {
	m := &sh.messages[ref]
	if c := &sh.w.conns[m.conn]; c.gen == m.gen && c.open {
		sh.transmit(now, l, m, sh.buffers[ref][:m.length])
	}
	sh.unused = append(sh.unused, ref)
}

// transmit puts a message on the wire.
func (sh *shard) transmit(now int64, l *nodeLink, m *message, frame []byte) {
	w := sh.w
	c := &w.conns[m.conn]
	e := &c.ends[m.from]
	took := int64(float64(wire(m.size)) / l.upRate)
	l.upFree = now + took
	gone := l.upFree + min(int64(float64(l.waiting)/l.upRate), ahead)
	// What a real node says of a chunk's age ends where it hands the message over: what the uplink takes from there is not in it.
	m.age += now - m.since
	at := gone + c.owd + jitter(sh.rng, w.nodes[e.node].jitter) + jitter(sh.rng, w.nodes[m.to].jitter)
	if c.loss > 0 {
		late := lossDelay(sh.rng, c.loss, c.owd, m.size)
		if late > 0 && e.reno != nil {
			e.reno.lose(now, now+2*c.owd+c.owd/4)
		}
		at += late
	}
	at = max(at, e.last)
	e.last = at
	m.ser = int32(float64(wire(m.size)) / w.nodes[m.to].link.downRate)
	sh.out[w.now&1][w.nodes[m.to].shard].carry(&flight{message: *m, at: at + int64(m.ser)}, frame)
}

// jitter draws a node's share of a message's jitter, of which the mean is given.
func jitter(rng *rand.Rand, mean float64) int64 {
	if mean == 0 {
		return 0
	}
	return int64(rng.ExpFloat64() * mean)
}

// lossDelay draws by how much retransmissions delay a message of some bytes on a path that loses a share of its packets,
// after RFC 9002: a lost packet that another follows is noticed by the time threshold of 9/8 round trips, the last one of
// a burst by the probe timeout (a round trip, four times its deviation, and the 25 ms by which the peer may delay its ack).
func lossDelay(rng *rand.Rand, loss float64, owd int64, size int32) int64 {
	n := int((size + payload - 1) / payload)
	if rng.Float64() > 1-math.Pow(1-loss, float64(n)) {
		return 0
	}
	delay := 9*owd/4 + 1e6
	if rng.IntN(n) == n-1 {
		delay = 2*owd + 40e6
	}
	for rng.Float64() < loss {
		delay += 4*owd + 80e6
	}
	return delay
}

// arrive takes in a flight whose last bit would be here now if it had the downlink for itself; if not, it has to wait.
func (sh *shard) arrive(now int64, id, ref int32) {
	f := &sh.current.flights[ref]
	l := &sh.w.nodes[id].link
	l.downFree = max(l.downFree, now-int64(f.ser)) + int64(f.ser)
	switch {
	case f.control || l.downFree <= now:
		sh.receive(now, id, f)
	case l.downFree < sh.w.until:
		sh.push(l.downFree, evReceive, id, ref)
	default:
		sh.wait(own{l.downFree, id, ref, evReceive}, sh.current)
	}
}

// receive hands a flight to the receiver's machine.
func (sh *shard) receive(now int64, id int32, m *flight) {
	w := sh.w
	n := &w.nodes[id]
	if !n.online || n.slots[m.slot] != m.conn || w.conns[m.conn].gen != m.gen || w.parted > 0 && w.conns[m.conn].cut {
		return
	}
	w.got(now, id, m.size)
	if m.control {
		frame := sh.current.bytes[m.data : m.data+m.length]
		sh.perform(now, id, n.machine.Control(dur(now), m.slot, frame))
		return
	}
	h := episub.Header{ID: episub.ID{Seq: uint64(m.seq)}, Index: int(m.index), Age: m.age, Hops: m.hops}
	switch {
	case m.index == episub.EnvelopeIndex && m.bad:
		sh.perform(now, id, n.machine.Misbehaved(dur(now), m.slot, episub.BadEnvelope))
	case m.index == episub.EnvelopeIndex:
		sh.perform(now, id, n.machine.Envelope(dur(now), m.slot, h, w.chunks[m.seq]))
	case m.bad:
		sh.perform(now, id, n.machine.Fragment(dur(now), m.slot, h, garbage))
	default:
		sh.perform(now, id, n.machine.Fragment(dur(now), m.slot, h, nil))
	}
}

var garbage = []byte{0}

// keep keeps a message that has to wait at its sender, with a copy of its control frame.
func (sh *shard) keep(m *message, frame []byte) int32 {
	var ref int32
	if n := len(sh.unused); n > 0 {
		ref, sh.unused = sh.unused[n-1], sh.unused[:n-1]
		sh.messages[ref] = *m
	} else {
		ref = int32(len(sh.messages))
		sh.messages, sh.buffers = append(sh.messages, *m), append(sh.buffers, nil)
	}
	sh.buffers[ref] = append(sh.buffers[ref][:0], frame...)
	return ref
}
