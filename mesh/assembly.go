package mesh

import (
	"fmt"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// assembly is a chunk whose envelope is verified and whose block is being put together, or is complete and being passed
// on.
type assembly struct {
	chunk envelope.Chunk // Block is nil until it is complete
	init  []byte         // the init segment that goes with the envelope, or nil
	block []byte         // BlockSize bytes, filled as fragments come
	ready bool           // block is complete from the start, see JoinConfig.Block: fragments are only checked
	have  [episub.MaxFragments]bool
}

// newAssembly makes room for the block of a verified envelope: the channel signed its size, which is below 1 MiB. Where
// block is not nil, it is the room, and filled already.
func newAssembly(e *envelope.Envelope, raw, init, block []byte) *assembly {
	a := &assembly{chunk: envelope.Chunk{Envelope: e, Raw: raw, Init: init}, init: init, block: block, ready: block != nil}
	if !a.ready {
		a.block = make([]byte, e.BlockSize)
	}
	return a
}

// wholeAssembly is newAssembly for a chunk that is here already.
func wholeAssembly(c envelope.Chunk) *assembly {
	a := &assembly{chunk: c, init: initOf(c), block: c.Block}
	for i := range min(len(c.Fragments), len(a.have)) {
		a.have[i] = true
	}
	return a
}

// take checks a fragment against the envelope and keeps it.
func (a *assembly) take(i int, data []byte) error {
	if err := a.chunk.CheckFragment(i, data); err != nil {
		return err
	}
	if !a.ready {
		lo, hi := a.chunk.FragmentRange(i)
		copy(a.block[lo:hi], data)
	}
	a.have[i] = true
	return nil
}

// fragment returns fragment i, or nil where it is not here.
func (a *assembly) fragment(i int) []byte {
	if i < 0 || i >= len(a.chunk.Fragments) || i >= len(a.have) || !a.have[i] {
		return nil
	}
	lo, hi := a.chunk.FragmentRange(i)
	return a.block[lo:hi:hi]
}

// finish returns the chunk, its block checked as a whole: the CID is the channel's word too, and recordings are made of
// it.
func (a *assembly) finish() (envelope.Chunk, error) {
	if a.chunk.Block == nil {
		if err := a.chunk.CheckBlock(a.block); err != nil {
			return envelope.Chunk{}, err
		}
		a.chunk.Block = a.block
	}
	return a.chunk, nil
}

// outline is what the state machine is told of a chunk. At is when it was published, see timeline.
func (a *assembly) outline(at time.Duration) episub.Chunk {
	e := a.chunk.Envelope
	return episub.Chunk{
		ID: episub.ID(e.ID()), Fragments: len(e.Fragments), FragmentSize: int(e.FragmentSize), Size: int(e.BlockSize),
		EnvelopeSize: len(a.chunk.Raw) + len(a.init), Time: at, Duration: e.DurationTime(),
		Independent: e.Flags.Has(envelope.Independent),
	}
}

// verifyEnvelope checks everything that binds an envelope and its init segment to the track, but the block.
func verifyEnvelope(id TrackID, want envelope.ID, raw, init []byte) (*envelope.Envelope, error) {
	e, err := envelope.Decode(raw)
	if err != nil {
		return nil, err
	}
	if e.Channel != id.Channel || e.Broadcast != id.Broadcast || e.Track != id.Track {
		return nil, fmt.Errorf("mesh: envelope of another track: %v", TrackID{e.Channel, e.Broadcast, e.Track})
	}
	if e.ID() != want {
		return nil, fmt.Errorf("mesh: envelope of chunk %v in the group of %v", e.ID(), want)
	}
	if carriesInit(e) != (len(init) > 0) {
		return nil, fmt.Errorf("mesh: init segment of %d bytes with flags %#x", len(init), e.Flags)
	}
	if err := e.Verify(); err != nil {
		return nil, err
	}
	if len(init) > 0 {
		if err := e.CheckInit(init); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// timeline places chunks in time for the machine, which compares their distances with what neighbours say of their ages.
// Capture times keep the distances exactly, also where the source stalled for a moment. Where they jump against the
// sequence, the origin's clock was set or the source was away: then chunks follow one another without a gap, and the
// machine sees for itself which of the two it was.
type timeline struct {
	last *envelope.Envelope
	at   time.Duration
}

// timelineJump is how far capture times may be off the sequence.
const timelineJump = 2 * time.Second

// place returns when a chunk was published, on a clock that starts anywhere.
func (l *timeline) place(e *envelope.Envelope) time.Duration {
	if l.last == nil || l.last.Epoch != e.Epoch {
		l.last = e
		return l.at
	}
	d := e.Captured.Sub(l.last.Captured)
	steady := time.Duration(int64(e.Seq-l.last.Seq)) * e.DurationTime()
	if off := d - steady; off > timelineJump || off < -timelineJump {
		d = steady
	}
	if e.Seq <= l.last.Seq {
		return l.at + d
	}
	l.last, l.at = e, l.at+d
	return l.at
}
