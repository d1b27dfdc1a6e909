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
	have  [episub.MaxFragments]bool
}

// newAssembly makes room for the block of a verified envelope: the channel signed its size, which is below 1 MiB.
func newAssembly(e *envelope.Envelope, raw, init []byte) *assembly {
	return &assembly{chunk: envelope.Chunk{Envelope: e, Raw: raw, Init: init}, init: init, block: make([]byte, e.BlockSize)}
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
	lo, hi := a.chunk.FragmentRange(i)
	copy(a.block[lo:hi], data)
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

// outline is what the state machine is told of a chunk. At is when it was published, by this node's clock.
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

// timeline places chunks on this node's clock: when each was published, as far as can be told. Capture times keep the
// distances between chunks exactly; they are followed while the ages that neighbours report agree, and set anew where
// they do not (the origin's clock was set, or a path is slow).
type timeline struct {
	set      bool
	captured time.Time
	at       time.Duration
}

// timelineSlack is how far the two may be apart. Paths differ by less, and a chunk may be fetched some time after.
const timelineSlack = 1500 * time.Millisecond

// place returns when a chunk was published. Heard is that time by what the neighbour said that brought it.
func (l *timeline) place(captured time.Time, heard time.Duration) time.Duration {
	at := l.at + captured.Sub(l.captured)
	if d := at - heard; !l.set || d > timelineSlack || d < -timelineSlack {
		l.set, l.captured, l.at = true, captured, heard
		return heard
	}
	return at
}

// guess is place for a chunk that came by a way that tells nothing of its age.
func (l *timeline) guess(captured time.Time, now time.Duration) time.Duration {
	if !l.set {
		return now
	}
	return l.at + captured.Sub(l.captured)
}
