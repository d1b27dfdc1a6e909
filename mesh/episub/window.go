package episub

// chunk is what we know of one chunk, in its place in the ring.
type chunk struct {
	Chunk
	used     bool   // the place holds the chunk ID
	known    bool   // the envelope is here
	done     bool   // every fragment is here
	given    bool   // delivered or given up
	late     uint32 // lanes that were late
	tries    uint8  // rounds of requests
	hops     uint8  // of the envelope
	maxHops  uint8
	envAsked int64 // envelope requested until
	have     bitset
	asked    bitset // requested and outstanding
	heldAt   int64  // when the first fragment was held for the envelope, 0: none
}

// maxHeld is how many fragments are held whose envelopes are not here yet.
const maxHeld = 128

// held is a fragment that waits for the envelope. Those of a higher epoch than ours wait for the first envelope of it.
type held struct {
	epoch uint64
	seq   uint64
	from  Peer
	index int16
	hops  uint8
	age   int64
	at    int64
	data  []byte
}

// place returns where seq goes in the ring.
func (m *Machine) place(seq uint64) *chunk { return &m.ring[seq%uint64(len(m.ring))] }

// find returns the chunk seq of the current epoch, or nil.
func (m *Machine) find(seq uint64) *chunk {
	c := m.place(seq)
	if c.used && c.ID.Seq == seq && c.ID.Epoch == m.epoch {
		return c
	}
	return nil
}

// open returns the chunk seq, making a place for it where it is new. It returns nil where seq is too old for the
// window, or further ahead than an honest peer's could be: of the newest envelope here, or of where the clock says the
// track must be by now.
func (m *Machine) open(seq uint64) *chunk {
	if m.started && seq > max(m.newest, m.last)+uint64(len(m.ring))/2 {
		return nil
	}
	return m.openVerified(seq)
}

// openVerified is open for a chunk whose envelope is at hand: it may be any distance ahead.
func (m *Machine) openVerified(seq uint64) *chunk {
	if c := m.find(seq); c != nil {
		return c
	}
	if m.started && seq+uint64(len(m.ring)) <= m.newest {
		return nil
	}
	c := m.place(seq)
	if c.used && c.ID.Epoch == m.epoch && c.ID.Seq > seq && c.known {
		return nil
	}
	i := int(seq % uint64(len(m.ring)))
	clear(m.sent[i*len(m.n) : (i+1)*len(m.n)])
	m.sentEn[i] = 0
	*c = chunk{Chunk: Chunk{ID: ID{m.epoch, seq}}, used: true}
	return c
}

// sentTo returns the set of fragments of c that went to p.
func (m *Machine) sentTo(c *chunk, p Peer) *bitset {
	return &m.sent[int(c.ID.Seq%uint64(len(m.ring)))*len(m.n)+int(p)]
}

func (m *Machine) sentEnvelope(c *chunk) *uint64 { return &m.sentEn[c.ID.Seq%uint64(len(m.ring))] }

// restart moves to a higher epoch: an origin lost its state. The trees stay, the chunks go.
func (m *Machine) restart(epoch uint64) {
	m.epoch, m.started, m.joined, m.hasInd, m.based, m.last = epoch, false, false, false, 0, 0
	m.requests = m.requests[:0]
	for i := range m.ring {
		m.ring[i] = chunk{}
	}
	for i := range m.n {
		m.n[i].asked, m.n[i].fetching = 0, 0
		m.n[i].newest, m.n[i].complete = 0, 0
	}
	for s := range m.lanes {
		m.lane[s].fedSeq = 0
	}
}

// describe fills in what the envelope of c says.
func (m *Machine) describe(c *chunk, d Chunk) {
	c.Chunk = d
	c.known = true
	if !m.started || d.ID.Seq > m.newest {
		m.newest, m.started = d.ID.Seq, true
		m.dur = int64(d.Duration)
	}
	m.chunkSz += (float64(d.Size) - m.chunkSz) / 32
}

// clock takes in that chunk c was published at the local time at, as one path has it. The first few paths set the
// estimate, to the earliest; later ones only nudge it, so that no single neighbour can bend it.
func (m *Machine) clock(c *chunk, at int64) {
	if m.based == 0 {
		m.refSeq, m.refTime, m.refKnown, m.base = c.ID.Seq, c.Time, c.known, at
		m.based = 1
		return
	}
	diff := at - m.published(c)
	if m.based < 8 {
		m.based++
		m.base += min(diff, 0)
	} else {
		m.base += min(max(diff/16, -1e6), 1e6)
	}
	if c.known && (!m.refKnown || c.ID.Seq > m.refSeq) {
		at := m.published(c)
		m.refSeq, m.refTime, m.refKnown, m.base = c.ID.Seq, c.Time, true, at
	}
}

// resume starts the clock anew at chunk seq: the origin paused, and what was expected meanwhile was never made.
func (m *Machine) resume(seq uint64) {
	m.based = 0
	m.low, m.last = min(m.low, seq), seq
	for i := range m.ring {
		if c := &m.ring[i]; !c.known && c.ID.Seq > seq {
			*c = chunk{}
		}
	}
}

// published returns the local time at which c was published, as far as we know.
func (m *Machine) published(c *chunk) int64 {
	if c.known && m.refKnown {
		return m.base + int64(c.Time-m.refTime)
	}
	return m.publishedSeq(c.ID.Seq)
}

// publishedSeq is published for a chunk of which nothing but its seq is known.
func (m *Machine) publishedSeq(seq uint64) int64 { return m.base + (int64(seq)-int64(m.refSeq))*m.dur }
