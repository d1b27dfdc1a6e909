package episub

import (
	"math/rand/v2"
	"time"
)

// Host is what the machine needs from whoever drives it, during an event.
type Host interface {
	// Keep checks data against the envelope's hash of fragment index of the chunk id, keeps it if it is good, and
	// reports whether it is. It is called once for each fragment that is new here and after the chunk's Envelope.
	Keep(id ID, index int, data []byte) bool
}

// Machine is one peer's part in spreading one track. It is not safe for concurrent use: its host feeds it one event
// at a time, with a clock that never goes back, and carries out the actions that each event returns. A returned slice
// is valid until the next event.
type Machine struct {
	cfg  Config
	host Host
	rng  *rand.Rand
	out  []Action
	buf  []byte  // control frames of this event
	in   Control // the frame being handled
	made Control // the frame being made

	n      []neighbour
	live   uint64 // neighbours that are up
	dirty  uint64 // neighbours with control to send at the end of this event
	lanes  int    // stripes and the envelope lane
	lane   [lanes]lane
	ring   []chunk
	sent   []bitset // by ring place and neighbour: what went to it
	sentEn []uint64 // by ring place: neighbours that the envelope went to

	epoch   uint64
	newest  uint64 // newest chunk whose envelope is here
	last    uint64 // newest chunk that must have been published by now, by the clock
	started bool   // newest is set
	floor   uint64 // chunks before it are not wanted
	low     uint64 // chunks before it are delivered or given up
	backTo  uint64 // newest chunk when we joined: up to it, chunks are fetched rather than pushed
	joined  bool   // floor is set
	held    []held // fragments that wait for an envelope
	freed   []held // those whose envelope has just come

	refSeq   uint64        // the chunk that the clock rests on
	refTime  time.Duration // its decode time
	refKnown bool          // refTime is set
	base     int64         // local time at which it was published, as far as we know
	based    int           // samples that base rests on

	chunkSz float64 // smoothed chunk size
	dur     int64   // duration of the newest chunk
	lastInd uint64  // newest complete independent chunk
	hasInd  bool

	busy     int64 // when what was sent so far has left the uplink, by the budget
	urgent   int64 // the same for what goes before fragments for leaves
	load     float64
	lossy    float64 // how lossy our connections are, 0 to 1
	nextLook int64   // not before: next search for better parents
	stateGen uint32
	told     [lanes]int64 // cost of each lane at the last generation, -1 unfed
	toldAt   int64        // time of the last generation
	requests []request
	stats    Stats
}

// Stats counts what a machine did since it was made.
type Stats struct {
	Fragments    uint64 // new fragments taken
	Duplicates   uint64 // fragments that were here already
	Repaired     uint64 // new fragments that had been requested
	Requested    uint64 // fragments requested
	Refused      uint64 // lanes refused to askers
	Changes      uint64 // parents changed for a better one
	Lost         uint64 // lanes whose feed was lost
	Shed         uint64 // fragments not sent for want of budget
	Frames       uint64 // control frames sent
	ControlBytes uint64 // bytes of control frames sent
	Bad          uint64 // fragments that failed their hash
	Asked        uint64 // lanes asked for
	Preempted    uint64 // children dropped in favour of others
}

// New returns a machine that has no neighbours and no chunks.
func New(cfg Config, host Host) *Machine {
	cfg = cfg.withDefaults()
	m := &Machine{
		cfg: cfg, host: host,
		rng:      rand.New(rand.NewPCG(cfg.Seed, cfg.ID)),
		lanes:    cfg.Stripes + 1,
		n:        make([]neighbour, cfg.Neighbours),
		ring:     make([]chunk, cfg.Window),
		sent:     make([]bitset, cfg.Window*cfg.Neighbours),
		sentEn:   make([]uint64, cfg.Window),
		requests: make([]request, 0, maxRequests),
		out:      make([]Action, 0, 64),
		buf:      make([]byte, 0, 1<<10),
		chunkSz:  93_750, // 3 Mbit/s until chunks say otherwise
		dur:      int64(250 * time.Millisecond),
	}
	for i := range m.lane {
		m.lane[i] = lane{parent: nobody, next: nobody, was: nobody}
		m.told[i] = -1
	}
	return m
}

// begin opens an event.
func (m *Machine) begin() {
	m.out, m.buf = m.out[:0], m.buf[:0]
}

// end closes an event: control that came up in it leaves, one frame a neighbour.
func (m *Machine) end(now int64) []Action {
	m.flush(now)
	return m.out
}

// Up takes in a neighbour with its short ID and a first estimate of its round trip. It returns its place in the table;
// ok is false where the table is full.
func (m *Machine) Up(now time.Duration, id uint64, rtt time.Duration) (p Peer, acts []Action, ok bool) {
	m.begin()
	for i := range m.n {
		if m.live&(1<<i) != 0 {
			continue
		}
		m.live |= 1 << i
		m.n[i].reset(id, int64(rtt), int64(now))
		for c := range m.ring {
			m.sent[c*len(m.n)+i] = bitset{}
			m.sentEn[c] &^= 1 << i
		}
		if m.started {
			m.tell(Peer(i))
		}
		return Peer(i), m.end(int64(now)), true
	}
	return nobody, m.out, false
}

// Down removes a neighbour whose connection is gone.
func (m *Machine) Down(now time.Duration, p Peer) []Action {
	m.begin()
	if !m.up(p) {
		return m.out
	}
	m.live &^= 1 << p
	m.dirty &^= 1 << p
	for s := range m.lanes {
		m.dropChild(s, p)
		l := &m.lane[s]
		if l.was == p {
			l.was = nobody
		}
		if l.next == p {
			l.next = nobody
		}
		if l.parent == p {
			m.lose(int64(now), s)
		}
	}
	m.forget(p)
	m.seek(int64(now))
	return m.end(int64(now))
}

// RTT gives a new estimate of a neighbour's round trip.
func (m *Machine) RTT(p Peer, rtt time.Duration) {
	if m.up(p) {
		m.n[p].rtt = int64(rtt)
	}
}

// SetLoss sets the share of our packets that are lost on their way. Where it is a noticeable one, congestion windows stay
// small and one connection is given fewer lanes.
func (m *Machine) SetLoss(share float64) { m.lossy = min(max(share/noticeable, 0), 1) }

// SetBudget sets the upload budget in bytes a second: the configured cap or what was measured, whichever is less.
func (m *Machine) SetBudget(bytesPerSecond float64) { m.cfg.Budget = max(bytesPerSecond, 1) }

// Queue says how long what was sent really waits for the uplink now. The machine's own account of it, by the budget,
// is raised to that where it is lower.
func (m *Machine) Queue(now, wait time.Duration) { m.busy = max(m.busy, int64(now+wait)) }

// Tick lets time pass: call it every Config.Tick.
func (m *Machine) Tick(now time.Duration) []Action {
	m.begin()
	m.expire(int64(now))
	m.watch(int64(now))
	m.seek(int64(now))
	m.adverts(int64(now))
	return m.end(int64(now))
}

// Misbehaved tells the machine that its host caught p at something: nothing is asked of it any more.
func (m *Machine) Misbehaved(now time.Duration, p Peer, what What) []Action {
	m.begin()
	if m.up(p) {
		m.condemn(int64(now), p, what)
	}
	return m.end(int64(now))
}

// Stats returns the counts so far.
func (m *Machine) Stats() Stats { return m.stats }

// Parent returns the neighbour that pushes lane s to us, and whether its fragments come. Lane Stripes is the envelopes'.
func (m *Machine) Parent(s int) (Peer, bool) { return m.lane[s].parent, m.lane[s].fed }

// Children returns how many neighbours we push lane s to.
func (m *Machine) Children(s int) int { return int(m.lane[s].kids) }

// LaneAge returns the usual time from publish to here on lane s, or a negative value where it is not fed.
func (m *Machine) LaneAge(s int) time.Duration {
	if m.cfg.Origin {
		return 0
	}
	if !m.lane[s].fed {
		return -1
	}
	return time.Duration(m.lane[s].age.mid)
}

func (m *Machine) up(p Peer) bool { return p >= 0 && int(p) < len(m.n) && m.live&(1<<p) != 0 }

func (m *Machine) act(a Action) { m.out = append(m.out, a) }

// packets is what the headers of packets add to what is sent: 60 bytes on 1200.
const packets = 1.05

// spend accounts for bytes that leave now.
func (m *Machine) spend(now int64, bytes int, class Class) {
	t := int64(float64(bytes) * packets / m.cfg.Budget * 1e9)
	m.busy = max(m.busy, now) + t
	if class <= ClassRelay {
		m.urgent = max(m.urgent, now) + t
	}
}

// envelopeLane is the lane that envelopes flow down.
func (m *Machine) envelopeLane() int { return m.cfg.Stripes }

// laneOf returns the lane of a fragment.
func (m *Machine) laneOf(index int) int {
	if index == EnvelopeIndex {
		return m.cfg.Stripes
	}
	return index % m.cfg.Stripes
}

// laneBytes returns the usual bytes of a lane in one chunk, headers included.
func (m *Machine) laneBytes(s int) float64 {
	if s == m.envelopeLane() {
		return 900 + float64(m.cfg.Overhead)
	}
	return m.chunkSz/float64(m.cfg.Stripes) + float64(m.cfg.Overhead)
}

// slot returns the time that one lane of a chunk takes on our uplink.
func (m *Machine) slot(s int) int64 { return int64(m.laneBytes(s) * packets / m.cfg.Budget * 1e9) }

// laneRate returns the bytes a second of one lane.
func (m *Machine) laneRate(s int) float64 { return m.laneBytes(s) * packets * 1e9 / float64(m.dur) }

// spare returns the bytes a second that more children may take.
func (m *Machine) spare() float64 { return m.cfg.Budget*m.cfg.Use - m.load }
