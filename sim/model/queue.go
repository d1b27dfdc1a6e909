package model

// kind says what an event is.
type kind uint8

// Events of one node: its shard handles them.
const (
	evTick    kind = iota // the machine's time passes
	evEnqueue             // ref: waiting message, which its connection's pacing held back
	evUplink              // the uplink is free for what waits
	evArrive              // ref: flight, at the downlink
	evReceive             // ref: flight, received
	evPublish             // ref: chunk
)

// Events that concern several nodes: the world handles them between windows.
const (
	evJoin     kind = iota + evPublish + 1 // a: node
	evLeave                                // a: node
	evLink                                 // b: connection, its handshake is done; a: its generation
	evUnlink                               // b: connection, its end has been noticed; a: generation and by which side
	evTend                                 // a: node, which looks after its number of neighbours
	evHeal                                 // a: cut
	evCut                                  // a: cut
	evSnapshot                             // a: 0 at the start of the measurement, 1 at its end
	evChunk                                // a: chunk, about to be published
	evSecond                               // progress
)

// event is something that will happen to several nodes.
type event struct {
	at   int64
	turn uint32 // order among events of the same instant
	kind kind
	a    int32
	b    int32
}

func (e *event) before(f *event) bool { return e.at < f.at || e.at == f.at && int32(e.turn-f.turn) < 0 }

// queue is a 4-ary heap of events.
type queue struct {
	heap []event
	turn uint32
}

func (q *queue) push(at int64, k kind, a, b int32) {
	q.turn++
	q.heap = append(q.heap, event{})
	h := q.heap
	e := event{at, q.turn, k, a, b}
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

func (q *queue) pop() event {
	h := q.heap
	top, n := h[0], len(h)-1
	e := h[n]
	q.heap = h[:n]
	h = q.heap
	i := 0
	for {
		child := 4*i + 1
		if child >= n {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, n); c++ {
			if h[c].before(&h[least]) {
				least = c
			}
		}
		if !h[least].before(&e) {
			break
		}
		h[i] = h[least]
		i = least
	}
	if n > 0 {
		h[i] = e
	}
	return top
}
