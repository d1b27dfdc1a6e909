package gossip

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Config says what a Router is to be. The zero value is an honest node with the stock parameters.
type Config struct {
	Params Params // the zero value: Stock
	Seed   uint64

	// Relay reports whether the node passes a message on: its validator's verdict. The default passes on what is not Bad.
	Relay func(m *Message) bool
}

// Kind says what an Action is.
type Kind uint8

// The actions.
const (
	Ready   Kind = iota // there is something to send to Peer: ask Next for it when its stream is free
	Deliver             // Message has come for the first time, from Peer
)

// Action is what a Router wants done.
type Action struct {
	Kind    Kind
	Peer    Peer
	Message Message
}

// Stats are what a Router has counted.
type Stats struct {
	Messages   uint64 // that came for the first time
	Fetched    uint64 // of these, for an IWANT
	Duplicates uint64 // that were there already
	Asked      uint64 // messages that it asked for by IWANT
	Answered   uint64 // messages that it sent for an IWANT
	Control    uint64 // RPCs without a message that it put in its queues
	Dropped    uint64 // RPCs that a full queue dropped
	Spared     uint64 // messages that it did not push, for an IDONTWANT
}

// Router is one node. Its methods return actions that are valid until the next call, and are to be carried out in
// order. It is not safe for concurrent use.
type Router struct {
	cfg     Config
	p       Params
	rng     *rand.Rand
	links   []*link // in the order in which they came
	by      map[Peer]*link
	backoff map[Peer]time.Duration // until when, for peers that are gone, too
	seen    map[ID]struct{}
	cache   cache
	beats   uint64
	now     time.Duration
	stats   Stats
	acts    []Action
	scratch []*link
}

// link is a neighbour.
type link struct {
	peer       Peer
	outbound   bool // we dialled
	subscribed bool
	mesh       bool
	box        outbox
	unwanted   map[ID]int // heartbeats that an IDONTWANT is still good for
	gossip     []ID       // IHAVE that waits for the end of the heartbeat
	graft      bool       // that a full queue dropped
	prune      bool
	haves      int // RPCs with a control part in this heartbeat
	asked      int // messages that we asked for in this heartbeat
	dontwants  int // IDONTWANTs in this heartbeat
}

// New returns a Router.
func New(cfg Config) *Router {
	if cfg.Params == (Params{}) {
		cfg.Params = Stock()
	}
	if cfg.Relay == nil {
		cfg.Relay = func(m *Message) bool { return !m.Bad }
	}
	return &Router{
		cfg: cfg, p: cfg.Params, rng: rand.New(rand.NewPCG(cfg.Seed, 0x676f7373)),
		by: map[Peer]*link{}, backoff: map[Peer]time.Duration{}, seen: map[ID]struct{}{}, cache: newCache(&cfg.Params),
	}
}

// begin starts an event.
func (r *Router) begin(now time.Duration) { r.now, r.acts = now, r.acts[:0] }

// Up says that there is a stream to a neighbour, and whether we dialled it. The first RPC for it is our subscription.
func (r *Router) Up(now time.Duration, p Peer, outbound bool) []Action {
	r.begin(now)
	if r.by[p] == nil {
		l := &link{peer: p, outbound: outbound, box: outbox{most: r.p.OutboundQueue}}
		r.by[p], r.links = l, append(r.links, l)
		r.push(l, &RPC{Subscribe: true}, false)
	}
	return r.acts
}

// Down says that a neighbour is gone.
func (r *Router) Down(now time.Duration, p Peer) []Action {
	r.begin(now)
	if l := r.by[p]; l != nil {
		delete(r.by, p)
		r.links = slices.DeleteFunc(r.links, func(o *link) bool { return o == l })
	}
	return r.acts
}

// Next takes the next RPC for a neighbour from its queue, or returns nil.
func (r *Router) Next(p Peer) *RPC {
	if l := r.by[p]; l != nil {
		return l.box.pop()
	}
	return nil
}

// Publish sends a message of the node's own to the mesh.
func (r *Router) Publish(now time.Duration, m Message) []Action {
	r.begin(now)
	r.seen[m.ID] = struct{}{}
	r.forward(m, nil)
	return r.acts
}

// forward caches a message and sends it to the mesh, but for whom it came from and those that do not want it.
func (r *Router) forward(m Message, from *link) {
	r.cache.put(m)
	m.Hops++
	m.Answer = false
	out := &RPC{Publish: []Message{m}}
	for _, l := range r.links {
		if !l.mesh || l == from {
			continue
		}
		if _, unwanted := l.unwanted[m.ID]; unwanted {
			r.stats.Spared++
			continue
		}
		r.send(l, out, false)
	}
}

// Receive handles an RPC that has come whole.
func (r *Router) Receive(now time.Duration, from Peer, rpc *RPC) []Action {
	r.begin(now)
	l := r.by[from]
	if l == nil {
		return r.acts
	}
	if rpc.Subscribe {
		l.subscribed = true
	}
	r.take(l, rpc)
	if rpc.control {
		r.control(l, rpc)
	}
	return r.acts
}

// take handles the messages of an RPC: who is in the mesh is told first that they need not send them.
func (r *Router) take(l *link, rpc *RPC) {
	var fresh []*Message
	var large []ID
	for i := range rpc.Publish {
		m := &rpc.Publish[i]
		if _, seen := r.seen[m.ID]; seen {
			r.stats.Duplicates++
			continue
		}
		fresh = append(fresh, m)
		if m.Size >= r.p.IDontWantMessageThreshold {
			large = append(large, m.ID)
		}
	}
	if len(large) > 0 {
		r.shuffle(large)
		for _, o := range r.links {
			if o.mesh && o != l {
				r.send(o, &RPC{IDontWant: large, control: true}, true)
			}
		}
	}
	for _, m := range fresh {
		r.seen[m.ID] = struct{}{}
		r.stats.Messages++
		if m.Answer {
			r.stats.Fetched++
		}
		r.acts = append(r.acts, Action{Kind: Deliver, Peer: l.peer, Message: *m})
		if r.cfg.Relay(m) {
			r.forward(*m, l)
		}
	}
}

// Mesh calls yield for each neighbour in the mesh.
func (r *Router) Mesh(yield func(Peer) bool) {
	for _, l := range r.links {
		if l.mesh && !yield(l.peer) {
			return
		}
	}
}

// Stats returns what has been counted.
func (r *Router) Stats() Stats { return r.stats }

// send queues an RPC, with what waits for one to the same neighbour before it.
func (r *Router) send(l *link, out *RPC, urgent bool) {
	waiting := &RPC{control: true, IHave: l.gossip}
	waiting.Graft, waiting.Prune = l.graft && l.mesh, l.prune && !l.mesh // what is stale by now is forgotten
	l.graft, l.prune, l.gossip = false, false, nil
	if waiting.Graft || waiting.Prune || len(waiting.IHave) > 0 {
		r.push(l, waiting, urgent)
	}
	for _, part := range out.split(r.p.MaxMessageSize) {
		r.push(l, part, urgent)
	}
}

// push puts an RPC into a neighbour's queue. Of what does not fit, GRAFT and PRUNE are kept for later.
func (r *Router) push(l *link, out *RPC, urgent bool) {
	if !l.box.push(out, urgent) {
		r.stats.Dropped++
		if out.Graft || out.Prune {
			l.graft, l.prune = out.Graft, out.Prune
		}
		return
	}
	if len(out.Publish) == 0 {
		r.stats.Control++
	}
	if l.box.len() == 1 {
		r.acts = append(r.acts, Action{Kind: Ready, Peer: l.peer})
	}
}

func (r *Router) shuffle(ids []ID) {
	r.rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
}
