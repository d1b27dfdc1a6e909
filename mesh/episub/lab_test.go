package episub

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"
)

// lab is a small network of machines for tests: links with a delay of their own, which keep order and may drop what
// they carry, and peers that come and go.
type lab struct {
	t     *testing.T
	rng   *rand.Rand
	now   time.Duration
	peers []*labPeer
	queue labQueue
	turn  int
	drop  float64 // share of messages dropped
	seq   uint64
	sizes func(seq uint64) int
	epoch uint64
	// delivered[id][peer] is when a chunk was complete.
	delivered map[ID]map[int]time.Duration
	published map[ID]time.Duration
	onSend    func(from, to int, a *Action)
	trace     uint64 // a hash of everything sent
}

type labPeer struct {
	id    int
	m     *Machine
	links map[Peer]*labLink
	gone  bool
	bad   bool // sends wrong bytes
	mute  bool // sends no fragment
}

type labLink struct {
	to    int
	slot  Peer // of us at the other side
	delay time.Duration
	last  *time.Duration // when what went last arrives
	up    *bool
}

type labEvent struct {
	at   time.Duration
	turn int
	do   func()
}

type labQueue []labEvent

func (q labQueue) Len() int { return len(q) }
func (q labQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].turn < q[j].turn
}
func (q labQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *labQueue) Push(x any)   { *q = append(*q, x.(labEvent)) }
func (q *labQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func newLab(t *testing.T, seed uint64, peers int, budget float64) *lab {
	l := &lab{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), delivered: map[ID]map[int]time.Duration{},
		published: map[ID]time.Duration{}, sizes: func(uint64) int { return 90_000 },
	}
	for i := range peers {
		l.add(Config{ID: uint64(i) + 1, Origin: i == 0, Seed: seed, Budget: budget})
	}
	return l
}

func (l *lab) add(cfg Config) *labPeer {
	p := &labPeer{id: len(l.peers), m: New(cfg, labHost{}), links: map[Peer]*labLink{}}
	l.peers = append(l.peers, p)
	l.after(time.Duration(l.rng.IntN(50))*time.Millisecond, func() { l.tick(p) })
	return p
}

// labHost takes fragments whose data is nil for good.
type labHost struct{}

func (labHost) Keep(_ ID, _ int, data []byte) bool { return data == nil }

func (l *lab) after(d time.Duration, do func()) {
	l.turn++
	heap.Push(&l.queue, labEvent{l.now + d, l.turn, do})
}

// run lets time pass.
func (l *lab) run(d time.Duration) {
	end := l.now + d
	for len(l.queue) > 0 && l.queue[0].at <= end {
		e := heap.Pop(&l.queue).(labEvent)
		l.now = e.at
		e.do()
	}
	l.now = end
}

func (l *lab) tick(p *labPeer) {
	if p.gone {
		return
	}
	l.after(50*time.Millisecond, func() { l.tick(p) })
	l.perform(p, p.m.Tick(l.now))
}

// link connects two peers.
func (l *lab) link(a, b int, delay time.Duration) {
	x, y := l.peers[a], l.peers[b]
	sx, actsX, _ := x.m.Up(l.now, uint64(b)+1, 2*delay)
	first := append([]Action(nil), actsX...)
	sy, actsY, _ := y.m.Up(l.now, uint64(a)+1, 2*delay)
	up := true
	x.links[sx] = &labLink{b, sy, delay, new(time.Duration), &up}
	y.links[sy] = &labLink{a, sx, delay, new(time.Duration), &up}
	l.perform(y, actsY)
	l.perform(x, first)
}

// cut ends the link between two peers; both notice at once.
func (l *lab) cut(p *labPeer, slot Peer) {
	k := p.links[slot]
	if k == nil {
		return
	}
	*k.up = false
	delete(p.links, slot)
	q := l.peers[k.to]
	delete(q.links, k.slot)
	l.perform(p, p.m.Down(l.now, slot))
	if !q.gone {
		l.perform(q, q.m.Down(l.now, k.slot))
	}
}

// kill takes a peer away without a word; its neighbours notice after a while.
func (l *lab) kill(p *labPeer) {
	p.gone = true
	for _, k := range p.links {
		q, slot := l.peers[k.to], k.slot
		up := k.up
		l.after(2*time.Second, func() {
			if *up {
				*up = false
				delete(q.links, slot)
				if !q.gone {
					l.perform(q, q.m.Down(l.now, slot))
				}
			}
		})
	}
}

// publish makes the origin publish n chunks, one each 250 ms from now on.
func (l *lab) publish(n int) {
	for i := range n {
		l.after(time.Duration(i)*250*time.Millisecond, func() {
			id := ID{l.epoch, l.seq}
			l.published[id], l.delivered[id] = l.now, map[int]time.Duration{}
			l.seq++
			l.perform(l.peers[0], l.peers[0].m.Publish(l.now, l.chunk(id)))
		})
	}
}

func (l *lab) chunk(id ID) Chunk {
	seq := id.Seq
	size := l.sizes(seq)
	each := (size + MaxStripes*8192 - 1) / (MaxStripes * 8192) // fragments a stripe
	f := (size + each*MaxStripes - 1) / (each * MaxStripes)
	return Chunk{
		ID: id, Fragments: (size + f - 1) / f, FragmentSize: f, Size: size, EnvelopeSize: 800,
		Time: time.Duration(seq) * 250 * time.Millisecond, Duration: 250 * time.Millisecond, Independent: seq%8 == 0,
	}
}

func (l *lab) perform(p *labPeer, acts []Action) {
	for i := range acts {
		a := acts[i]
		switch a.Kind {
		case Deliver:
			if _, twice := l.delivered[a.ID][p.id]; twice {
				l.t.Errorf("chunk %d was delivered twice at %d", a.ID.Seq, p.id)
			}
			l.delivered[a.ID][p.id] = l.now
		case Report:
			if slot := a.Peer; a.What == BadFragment || a.What == BadControl {
				l.after(0, func() { l.cut(p, slot) })
			}
		case SendControl, SendFragment:
			l.send(p, a)
		}
	}
}

func (l *lab) send(p *labPeer, a Action) {
	k := p.links[a.Peer]
	if k == nil {
		return
	}
	l.trace = l.trace*0x100000001b3 ^ uint64(l.now) ^ uint64(p.id)<<40 ^ uint64(k.to)<<50 ^ uint64(a.Index) ^ uint64(a.Kind)<<60
	if l.onSend != nil {
		l.onSend(p.id, k.to, &a)
	}
	if l.rng.Float64() < l.drop || p.mute && a.Kind == SendFragment {
		return
	}
	data := append([]byte(nil), a.Data...)
	at := max(l.now+k.delay+time.Duration(l.rng.IntN(3000))*time.Microsecond, *k.last)
	*k.last = at
	up, slot, q := k.up, k.slot, l.peers[k.to]
	l.after(at-l.now, func() {
		if !*up || q.gone {
			return
		}
		h := Header{ID: a.ID, Index: int(a.Index), Age: int64(a.Age), Hops: a.Hops}
		switch {
		case a.Kind == SendControl:
			l.perform(q, q.m.Control(l.now, slot, data))
		case a.Index == EnvelopeIndex:
			l.perform(q, q.m.Envelope(l.now, slot, h, l.chunk(a.ID)))
		case p.bad:
			l.perform(q, q.m.Fragment(l.now, slot, h, []byte{1}))
		default:
			l.perform(q, q.m.Fragment(l.now, slot, h, nil))
		}
	})
}

// wire connects peers at random: each opens n links to others.
func (l *lab) wire(n int) {
	for a := range l.peers {
		for range n {
			l.connect(a)
		}
	}
}

// connect opens one link from a to some other living peer.
func (l *lab) connect(a int) {
	for range 20 {
		b := l.rng.IntN(len(l.peers))
		known := b == a || l.peers[b].gone || len(l.peers[a].links) > 30 || len(l.peers[b].links) > 30
		for _, k := range l.peers[a].links {
			known = known || k.to == b
		}
		if !known {
			l.link(a, b, time.Duration(5+l.rng.IntN(60))*time.Millisecond)
			return
		}
	}
}

// missing returns how many living honest peers miss a chunk or had it later than within.
func (l *lab) missing(seq uint64, within time.Duration) int {
	n, id := 0, ID{l.epoch, seq}
	for _, p := range l.peers[1:] {
		if p.gone || p.bad || p.mute {
			continue
		}
		if at, ok := l.delivered[id][p.id]; !ok || at-l.published[id] > within {
			n++
		}
	}
	return n
}

// loops returns lanes at peers whose chain of fed parents does not end at the origin.
func (l *lab) loops() int {
	n := 0
	for _, p := range l.peers[1:] {
		for s := 0; s <= MaxStripes && !p.gone; s++ {
			at := p
			for hops := 0; at.id != 0; hops++ {
				parent, fed := at.m.Parent(s)
				if !fed || at.links[parent] == nil {
					break
				}
				if hops > len(l.peers) {
					n++
					break
				}
				at = l.peers[at.links[parent].to]
			}
		}
	}
	return n
}

// stats adds up what all peers counted of repairs.
func (l *lab) stats() (sum Stats) {
	for _, p := range l.peers {
		s := p.m.Stats()
		sum.Requested += s.Requested
		sum.Repaired += s.Repaired
	}
	return sum
}
