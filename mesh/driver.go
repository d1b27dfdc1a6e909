package mesh

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

const (
	// machineWindow is how many chunks the machine keeps track of: 8 s, four times the protocol's deadline.
	machineWindow = 32
	// assembliesKept is a little more: the machine must never know a chunk whose bytes are gone.
	assembliesKept = machineWindow + 8
	// backfill is how far back the machine fetches when the first neighbours speak: to the newest independent chunk, where
	// keyframes are not further apart. Fragment by fragment, from several neighbours, and never what the trees bring. What
	// newcomers need of the past beyond it, the log brings (start.go).
	backfill  = 4 * time.Second
	tickEvery = 50 * time.Millisecond
	// rollEvery is how often the neighbours are compared with the topic's peers, besides when one comes or goes.
	rollEvery = time.Second
	// lastRepairs is how long repairs go on after the end mark: what is missing later is left to the log.
	lastRepairs = 3 * time.Second
	firstRTT    = 100 * time.Millisecond // of a neighbour, until it is measured
)

// driver runs the dissemination protocol for one track: it feeds the state machine what happens, one event at a time,
// and carries out its actions over pubsub's partial messages.
type driver struct {
	t        *Track
	topic    string
	overhead int // bytes that a message costs besides its body
	start    time.Time
	inbox    *inbox
	uplink   *uplink
	roll     chan struct{} // one token: the topic's peers changed

	mu      sync.Mutex
	origin  bool
	machine *episub.Machine
	slots   map[peer.ID]episub.Peer
	peers   [episub.MaxNeighbours]peer.ID // by slot
	others  map[peer.ID]bool              // on the topic with the extension, without a slot
	coming  map[peer.ID]time.Duration     // said to come to the topic, and when, but not listed among its peers yet
	stock   map[peer.ID]bool              // on the topic without the extension
	chunks  map[episub.ID]*assembly
	newest  episub.ID
	fresh   time.Duration // when newest was first heard of
	line    timeline
	ended   bool // the newest chunk is the end mark
	endedAt time.Duration
	reports []report         // for the peer score, when the lock is released
	whole   []envelope.Chunk // to publish for stock peers, when the lock is released
	copies  float64          // fragments sent, in chunks
	given   uint64           // bytes of them
	taken   uint64           // bytes of fragments that came, each once
}

var _ episub.Host = (*driver)(nil)

func newDriver(t *Track, topic string, origin bool) *driver {
	d := &driver{
		t: t, topic: topic, overhead: len(topic) + maxGroup/2 + pieceFraming + episub.HeaderSize, start: t.node.now(),
		inbox: newInbox(), uplink: newUplink(t.node.budget.share()), roll: make(chan struct{}, 1),
		slots: map[peer.ID]episub.Peer{}, others: map[peer.ID]bool{}, coming: map[peer.ID]time.Duration{}, stock: map[peer.ID]bool{},
		chunks: map[episub.ID]*assembly{},
	}
	d.make(origin)
	return d
}

// make makes the machine, for an origin or for everybody else.
func (d *driver) make(origin bool) {
	n := d.t.node
	seed := n.cfg.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	d.origin = origin
	d.machine = episub.New(episub.Config{
		ID: shortID(n.ID()), Origin: origin, Seed: seed, Budget: n.budget.share(), Neighbours: n.preset.machine,
		Window: machineWindow, Overhead: d.overhead, Tick: tickEvery, Backfill: backfill,
	}, d)
}

func (d *driver) now() time.Duration { return d.t.node.now().Sub(d.start) }

// run feeds the machine until the track is closed.
func (d *driver) run() {
	defer d.t.wg.Done()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	look := time.NewTicker(rollEvery)
	defer look.Stop()
	var batch []input
	for {
		select {
		case <-d.t.ctx.Done():
			return
		case <-d.inbox.ready:
			batch = d.inbox.take(batch)
			d.mu.Lock()
			for i := range batch {
				d.handle(&batch[i])
			}
			d.mu.Unlock()
		case <-tick.C:
			d.mu.Lock()
			if now := d.now(); !d.ended || now-d.endedAt < lastRepairs {
				d.perform(d.machine.Tick(now))
			}
			due := len(d.coming) > 0
			d.mu.Unlock()
			if due {
				d.rollCall()
			}
		case <-d.roll:
			d.rollCall()
		case <-look.C:
			d.rollCall()
			d.survey()
		}
		d.settle()
	}
}

// handle takes in one event. Call with the lock held, as all that follows.
func (d *driver) handle(e *input) {
	switch e.kind {
	case evMessage:
		d.message(e)
	case evWhole:
		d.tookWhole(e.chunk, e.late)
	case evGone:
		d.down(e.from)
	}
}

// message takes in a partial message.
func (d *driver) message(e *input) {
	slot, ok := d.slots[e.from]
	if !ok {
		if slot, ok = d.up(e.from); !ok {
			return
		}
	}
	id, err := decodeGroup(e.group)
	if err != nil {
		d.perform(d.machine.Misbehaved(d.now(), slot, episub.BadControl))
		return
	}
	if len(e.control) > 0 {
		d.perform(d.machine.Control(d.now(), slot, e.control))
	}
	if len(e.piece) == 0 {
		return
	}
	p, err := decodePiece(e.piece)
	if err != nil {
		d.perform(d.machine.Misbehaved(d.now(), slot, episub.BadControl))
		return
	}
	p.header.ID = id
	if p.header.Index == episub.EnvelopeIndex {
		d.envelope(e.from, slot, p)
		return
	}
	d.perform(d.machine.Fragment(d.now(), slot, p.header, p.fragment))
}

// decodeGroup reads the group of a partial message.
func decodeGroup(b []byte) (episub.ID, error) {
	if len(b) > maxGroup {
		return episub.ID{}, episub.ErrWire
	}
	return episub.DecodeGroup(b)
}

// envelope takes in a chunk's envelope.
func (d *driver) envelope(from peer.ID, slot episub.Peer, p piece) {
	now := d.now()
	a, verdict := d.judge(from, p)
	switch verdict {
	case envelopeBad:
		d.t.count.rejected.Add(1)
		d.t.node.metrics.rejected.Inc()
		d.perform(d.machine.Misbehaved(now, slot, episub.BadEnvelope))
	case envelopeEnd:
		d.end(a.chunk, from, byStripes)
	case envelopeGood:
		x := a.outline(d.line.place(a.chunk.Envelope))
		d.perform(d.machine.Envelope(now, slot, p.header, x))
		if a.chunk.Block != nil { // the log was faster
			d.perform(d.machine.Whole(now, x))
		}
	}
}

// publish takes in a chunk of this node's own.
func (d *driver) publish(c envelope.Chunk) {
	d.mu.Lock()
	if !d.origin { // it was not said on joining
		d.become()
	}
	if c.Flags.Has(envelope.End) {
		d.end(c, d.t.node.ID(), byPublish)
	} else {
		a := wholeAssembly(c)
		d.keep(episub.ID(c.ID()), a)
		now := d.now()
		d.perform(d.machine.Publish(now, a.outline(now)))
	}
	d.whole = append(d.whole, c)
	d.mu.Unlock()
	d.settle()
}

// become makes an origin of a node that published without having said so when it joined.
func (d *driver) become() {
	d.make(true)
	peers := slices.Collect(maps.Keys(d.slots))
	clear(d.slots)
	for _, p := range peers {
		d.up(p)
	}
}

// tookWhole takes in a chunk that came by another way.
func (d *driver) tookWhole(c envelope.Chunk, late bool) {
	if c.Flags.Has(envelope.End) {
		if !late {
			d.end(c, "", byTopic)
		}
		return
	}
	id := episub.ID(c.ID())
	if floor, ok := d.machine.Floor(); late && ok && id.Epoch == floor.Epoch && id.Seq < floor.Seq {
		return // it is of the past: no child has asked for it
	}
	a := d.chunks[id]
	if d.origin || !carried(c.Envelope) || late && (id.Epoch != d.newest.Epoch || id.Seq+machineWindow <= d.newest.Seq) {
		return
	}
	if a == nil {
		a = wholeAssembly(c)
		d.keep(id, a)
	} else if a.chunk.Block == nil {
		*a = *wholeAssembly(c)
	}
	d.perform(d.machine.Whole(d.now(), a.outline(d.line.place(c.Envelope))))
}
