package node

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/chunker/seal"
	"murmuration/node/archive"
)

// sealedChunk is chunk seq of a track, sealed with a secret, with its init segment.
func sealedChunk(t *testing.T, s seal.Secret, track string, seq uint64) envelope.Chunk {
	t.Helper()
	keys := seal.New(s, envelope.Channel{1}, "0a", track)
	block, key, err := keys.SealBlock(7, seq, []byte("moof mdat"))
	if err != nil {
		t.Fatal(err)
	}
	init, err := keys.SealInit([]byte("ftyp moov"))
	if err != nil {
		t.Fatal(err)
	}
	return envelope.Chunk{Block: block, Init: init, Envelope: &envelope.Envelope{
		Channel: envelope.Channel{1}, Broadcast: "0a", Track: track, Epoch: 7, Seq: seq, Key: key,
		Init: envelope.RawCID(init), Block: envelope.RawCID(block),
	}}
}

// TestOpener: what cannot be opened for sure does not pass.
func TestOpener(t *testing.T) {
	s := ringSecret(5)
	whole := sealedChunk(t, s, "main", 2000)
	bare := whole
	bare.Init = nil
	held := map[cid.Cid][]byte{whole.Envelope.Init: whole.Init}
	open := func(s *seal.Secret, private bool) *opener {
		return &opener{broadcast: archive.Key{Channel: envelope.Channel{1}, Broadcast: "0a"}, secret: s, sealed: private, tracks: map[string]*seal.Track{}}
	}
	wrong := ringSecret(6)

	o := open(&s, true)
	proofs := 0
	o.opens = func() { proofs++ }
	if _, err := o.chunk(bare); !errors.Is(err, errLocked) {
		t.Errorf("before an init segment: %v", err)
	}
	for range 2 {
		c, err := o.chunk(whole)
		if err != nil || string(c.Block) != "moof mdat" || string(c.Init) != "ftyp moov" || c.Envelope != whole.Envelope {
			t.Errorf("%q %q, %v", c.Block, c.Init, err)
		}
	}
	if c, err := o.chunk(bare); err != nil || string(c.Block) != "moof mdat" || c.Init != nil || proofs != 1 {
		t.Errorf("after it: %v, %d proofs", err, proofs)
	}
	if c, err := o.chunk(sealedChunk(t, s, "de", 3)); err != nil || string(c.Block) != "moof mdat" {
		t.Errorf("another track: %v", err)
	}
	other := bare
	e := *bare.Envelope
	e.Key.Number++
	other.Envelope = &e
	if _, err := o.chunk(other); !errors.Is(err, errLocked) || !errors.Is(err, seal.ErrKey) {
		t.Errorf("another key's number: %v", err)
	}
	plain := envelope.Chunk{Envelope: &envelope.Envelope{Track: "main"}, Block: []byte("moof")}
	if _, err := o.chunk(plain); !errors.Is(err, errLocked) {
		t.Errorf("a plain chunk among sealed ones: %v", err)
	}
	if bytes.Contains(whole.Block, []byte("moof")) {
		t.Error("opening has changed the shared bytes")
	}

	o = open(&s, true)
	o.inits = func(_ string, c cid.Cid) ([]byte, bool) { b, ok := held[c]; return b, ok }
	if _, err := o.chunk(bare); err != nil {
		t.Errorf("with the init segment at hand: %v", err)
	}
	o = open(&wrong, true)
	o.inits = func(_ string, c cid.Cid) ([]byte, bool) { b, ok := held[c]; return b, ok }
	for _, c := range []envelope.Chunk{whole, bare} {
		if got, err := o.chunk(c); !errors.Is(err, errLocked) || got.Block != nil {
			t.Errorf("a wrong secret: %v", err)
		}
	}
	if _, err := o.init("main", whole.Init); !errors.Is(err, errWrongKey) {
		t.Errorf("a wrong secret: %v", err)
	}

	o = open(nil, false)
	if c, err := o.chunk(plain); err != nil || string(c.Block) != "moof" {
		t.Errorf("a public broadcast: %v", err)
	}
	if b, err := o.init("main", []byte("ftyp")); err != nil || string(b) != "ftyp" || o.why() != nil {
		t.Errorf("a public init segment: %v", err)
	}
	if _, err := o.chunk(whole); !errors.Is(err, errNoKey) || o.why() == nil {
		t.Errorf("without a secret: %v", err)
	}
	if _, err := o.init("main", whole.Init); !errors.Is(err, errNoKey) {
		t.Errorf("without a secret: %v", err)
	}
}
