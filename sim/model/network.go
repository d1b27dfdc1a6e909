package model

import (
	"math"

	"murmuration/mesh/episub"
)

// Sizes in bytes of what surrounds a message.
const (
	payload = 1200 // of a packet
	headers = 60   // of a packet: IPv4, UDP, QUIC short header and tag, stream frame
	framing = 67   // of a message: topic of 40, group, protobuf tags
)

// end is one side of a connection.
type end struct {
	node int32
	slot episub.Peer
	last int64   // when what was sent last arrives at the other side: a connection keeps order
	pace float64 // virtual time up to which the pacer has let bytes go
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
	ser     int32 // time on the receiver's downlink
	buf     int32
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

// send puts a message on a connection.
func (w *world) send(now int64, m message) {
	c := &w.conns[m.conn]
	e := &c.ends[m.from]
	w.count(now, e.node, &m)
	m.since, m.to, m.slot = now, c.ends[1-m.from].node, c.ends[1-m.from].slot
	if m.slot < 0 || c.cut {
		if m.control {
			w.spareBuffers = append(w.spareBuffers, m.buf)
		}
		return
	}
	id := w.newMessage(m)
	if w.pacing {
		window := w.burst
		rate := 1.25 * w.window / float64(2*c.owd+1e6)
		e.pace = max(e.pace, float64(now)-window/rate) + float64(wire(m.size))/rate
		if at := int64(e.pace); at > now+5e5 {
			w.queue.push(at, evEnqueue, 0, id)
			return
		}
	}
	w.enqueue(now, id)
}

// enqueue puts a message on the sender's uplink, or in its queue.
func (w *world) enqueue(now int64, id int32) {
	m := &w.messages[id]
	node := w.conns[m.conn].ends[m.from].node
	l := &w.nodes[node].link
	if l.upFree <= now && l.waiting == 0 {
		w.transmit(now, l, id)
		return
	}
	m.next = -1
	if l.first[m.class] < 0 {
		l.first[m.class] = id
	} else {
		w.messages[l.last[m.class]].next = id
	}
	l.last[m.class] = id
	l.waiting += int64(wire(m.size))
	if !l.armed {
		l.armed = true
		w.queue.push(l.upFree, evUplink, node, 0)
	}
}

// uplink sends what waits at a node and comes first.
func (w *world) uplink(now int64, node int32) {
	l := &w.nodes[node].link
	l.armed = false
	for k := range l.first {
		id := l.first[k]
		if id < 0 {
			continue
		}
		m := &w.messages[id]
		l.first[k] = m.next
		l.waiting -= int64(wire(m.size))
		if c := &w.conns[m.conn]; c.gen == m.gen && c.open {
			w.transmit(now, l, id)
		} else {
			w.freeMessage(id)
		}
		break
	}
	if l.waiting > 0 {
		l.armed = true
		w.queue.push(max(l.upFree, now), evUplink, node, 0)
	}
}

// transmit puts a message on the wire.
func (w *world) transmit(now int64, l *nodeLink, id int32) {
	m := &w.messages[id]
	c := &w.conns[m.conn]
	e := &c.ends[m.from]
	l.upFree = now + int64(float64(wire(m.size))/l.upRate)
	m.age += l.upFree - m.since
	at := l.upFree + c.owd + w.jitter(e.node) + w.jitter(c.ends[1-m.from].node)
	if c.loss > 0 {
		at += w.lossDelay(c, m.size)
	}
	at = max(at, e.last)
	e.last = at
	m.ser = int32(float64(wire(m.size)) / w.nodes[c.ends[1-m.from].node].link.downRate)
	w.queue.push(at+int64(m.ser), evArrive, 0, id)
}

// jitter draws a node's share of a message's jitter.
func (w *world) jitter(node int32) int64 {
	j := w.nodes[node].jitter
	if j == 0 {
		return 0
	}
	return int64(-math.Log(1-w.rng.Float64()) * j)
}

// lossDelay draws by how much retransmissions delay a message, after RFC 9002: a lost packet that another follows is
// noticed by the time threshold of 9/8 round trips, the last one of a burst by the probe timeout (a round trip, four
// times its deviation, and the 25 ms by which the peer may delay its ack).
func (w *world) lossDelay(c *conn, size int32) int64 {
	n := int((size + payload - 1) / payload)
	if w.rng.Float64() > 1-math.Pow(1-c.loss, float64(n)) {
		return 0
	}
	delay := 9*c.owd/4 + 1e6
	if w.rng.IntN(n) == n-1 {
		delay = 2*c.owd + 40e6
	}
	for w.rng.Float64() < c.loss {
		delay += 4*c.owd + 80e6
	}
	return delay
}

// arrive takes in a message whose last bit would be here now if it had the downlink for itself; if not, it has to wait.
func (w *world) arrive(now int64, id int32) {
	m := &w.messages[id]
	l := &w.nodes[m.to].link
	l.downFree = max(l.downFree, now-int64(m.ser)) + int64(m.ser)
	if m.control || l.downFree <= now {
		w.receive(now, id)
		return
	}
	w.queue.push(l.downFree, evReceive, 0, id)
}

// receive hands a message to the receiver's machine.
func (w *world) receive(now int64, id int32) {
	m := w.messages[id]
	n := &w.nodes[m.to]
	if !n.online || n.slots[m.slot] != m.conn || w.parted > 0 && w.conns[m.conn].cut {
		w.freeMessage(id)
		return
	}
	w.got(now, m.to, &m)
	if m.control {
		acts := n.machine.Control(dur(now), m.slot, w.buffers[m.buf])
		w.freeMessage(id)
		w.perform(now, m.to, acts)
		return
	}
	w.freeMessage(id)
	h := episub.Header{ID: episub.ID{Seq: uint64(m.seq)}, Index: int(m.index), Age: m.age, Hops: m.hops}
	if m.index == episub.EnvelopeIndex {
		if m.bad {
			w.perform(now, m.to, n.machine.Misbehaved(dur(now), m.slot, episub.BadEnvelope))
			return
		}
		w.perform(now, m.to, n.machine.Envelope(dur(now), m.slot, h, w.chunks[m.seq]))
		return
	}
	var data []byte
	if m.bad {
		data = garbage
	}
	w.perform(now, m.to, n.machine.Fragment(dur(now), m.slot, h, data))
}

var garbage = []byte{0}

func (w *world) newMessage(m message) int32 {
	if n := len(w.spare); n > 0 {
		id := w.spare[n-1]
		w.spare = w.spare[:n-1]
		w.messages[id] = m
		return id
	}
	w.messages = append(w.messages, m)
	return int32(len(w.messages) - 1)
}

func (w *world) freeMessage(id int32) {
	if m := &w.messages[id]; m.control {
		w.spareBuffers = append(w.spareBuffers, m.buf)
	}
	w.spare = append(w.spare, id)
}

// buffer keeps a copy of a control frame.
func (w *world) buffer(b []byte) int32 {
	var id int32
	if n := len(w.spareBuffers); n > 0 {
		id = w.spareBuffers[n-1]
		w.spareBuffers = w.spareBuffers[:n-1]
	} else {
		w.buffers = append(w.buffers, nil)
		id = int32(len(w.buffers) - 1)
	}
	w.buffers[id] = append(w.buffers[id][:0], b...)
	return id
}
