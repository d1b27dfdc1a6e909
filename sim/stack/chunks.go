package stack

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/sim"
)

const timescale = 90_000

// reel makes the broadcast: random bytes of the plan's sizes, in sealed envelopes with real hashes and signatures.
type reel struct {
	plan  *sim.Plan
	key   ed25519.PrivateKey
	id    mesh.TrackID
	init  []byte
	rng   *rand.ChaCha8
	start time.Time // when chunk 0 is published
	past  []cid.Cid // of the envelopes so far

	mu     sync.Mutex
	blocks map[cid.Cid][]byte // what nodes may still ask for
	recent []cid.Cid          // of blocks, in the order of the chunks
}

// blocksKept is how many blocks of the past nodes are given: what mesh keeps to put chunks together, and more than a
// window.
const blocksKept = 128

func newReel(p *sim.Plan, start time.Time) *reel {
	key := ed25519.NewKeyFromSeed(seed(p.Seed, 1<<40))
	return &reel{
		plan: p, key: key, start: start, rng: rand.NewChaCha8([32]byte(seed(p.Seed, 1<<41))),
		id:   mesh.TrackID{Channel: mesh.ChannelOf(key), Broadcast: "sim", Track: "main"},
		init: bytes.Repeat([]byte("init"), 300), blocks: map[cid.Cid][]byte{},
	}
}

// seed returns 32 bytes that depend on the run's seed and on what they are for.
func seed(run, what uint64) []byte {
	b := make([]byte, 32)
	binary.LittleEndian.PutUint64(b, run)
	binary.LittleEndian.PutUint64(b[8:], what)
	return b
}

// due returns when chunk seq is published: its last frame has just been captured then.
func (r *reel) due(seq int) time.Time {
	return r.start.Add(time.Duration(seq) * r.plan.Track.Chunk)
}

// next makes chunk seq. The chunks are made in order.
func (r *reel) next(seq int) (envelope.Chunk, error) {
	chunk := r.plan.Track.Chunk
	ticks := uint64(chunk) * timescale / uint64(time.Second)
	e := &envelope.Envelope{
		Broadcast: r.id.Broadcast, Track: r.id.Track, Epoch: 1, Seq: uint64(seq),
		Timescale: timescale, DecodeTime: uint64(seq) * ticks, Duration: uint32(ticks), PartTarget: uint32(ticks) + timescale/500,
		Captured: r.due(seq).Add(-chunk).UTC().Truncate(time.Microsecond),
		Init:     envelope.RawCID(r.init),
	}
	for back := 1; back <= seq && len(e.Previous) < 4; back *= 2 {
		e.Previous = append(e.Previous, r.past[seq-back])
	}
	c := envelope.Chunk{Envelope: e, Block: make([]byte, r.plan.Chunks[seq])}
	if _, err := r.rng.Read(c.Block); err != nil {
		return c, err
	}
	if seq%r.plan.Track.Group == 0 {
		e.Flags, c.Init = envelope.Independent, r.init
	}
	e.SetBlock(c.Block, envelope.FragmentSize(len(c.Block)))
	var err error
	if c.Raw, err = e.Seal(r.key); err != nil {
		return c, fmt.Errorf("chunk %d: %w", seq, err)
	}
	r.past = append(r.past, envelope.CID(c.Raw))
	r.keep(e.Block, c.Block)
	return c, nil
}

// keep remembers a block for all nodes: copies of their own, of 10 s each, were a third of a run's memory.
func (r *reel) keep(c cid.Cid, block []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocks[c] = block
	r.recent = append(r.recent, c)
	if len(r.recent) > blocksKept {
		delete(r.blocks, r.recent[0])
		r.recent = r.recent[1:]
	}
}

// block returns the block with a CID, or nil where it is of another chunk or of one long ago.
func (r *reel) block(c cid.Cid) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blocks[c]
}
