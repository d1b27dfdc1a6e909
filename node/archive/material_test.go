package archive

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
)

var (
	testKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	testInit = bytes.Repeat([]byte("init"), 200)
	noon     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

const chunkTime = 250 * time.Millisecond

func testChannel() (c envelope.Channel) {
	copy(c[:], testKey.Public().(ed25519.PublicKey))
	return c
}

func testSign(b []byte) []byte { return ed25519.Sign(testKey, b) }

func testBroadcast(name string) Key { return Key{testChannel(), name} }

// stream makes the chunks of a track: noise of the size of real ones, with real envelopes.
type stream struct {
	key      Key
	track    string
	epoch    uint64
	seq      uint64
	size     int // bytes of a block
	interval uint64
	init     []byte
	scheme   uint8 // of a private broadcast's keys
	cids     []cid.Cid
	random   *rand.ChaCha8
}

func newStream(broadcast string, size int) *stream {
	return &stream{
		key: testBroadcast(broadcast), track: "main", epoch: 1_790_000_000, size: size, interval: 8, init: testInit,
		random: rand.NewChaCha8([32]byte([]byte((broadcast + "                                ")[:32]))),
	}
}

func (s *stream) next(t testing.TB) envelope.Chunk { return s.make(t, 0) }
func (s *stream) end(t testing.TB) envelope.Chunk  { return s.make(t, envelope.End) }

func (s *stream) make(t testing.TB, flags envelope.Flags) envelope.Chunk {
	t.Helper()
	e := &envelope.Envelope{
		Broadcast: s.key.Broadcast, Track: s.track, Epoch: s.epoch, Seq: s.seq,
		Timescale: 90000, DecodeTime: s.seq * 22500, Duration: 22500, PartTarget: 22680, Flags: flags,
		Captured: noon.Add(time.Duration(s.epoch-1_790_000_000)*time.Hour + time.Duration(s.seq)*chunkTime), Init: envelope.RawCID(s.init),
		Key: envelope.Key{Scheme: s.scheme},
	}
	for i := uint64(1); i <= s.seq && len(e.Previous) < envelope.MaxPrevious; i *= 2 {
		if n := len(s.cids) - int(i); n >= 0 {
			e.Previous = append(e.Previous, s.cids[n])
		} else {
			break
		}
	}
	c := envelope.Chunk{Envelope: e}
	if s.seq%s.interval == 0 && flags == 0 {
		e.Flags |= envelope.Independent
		c.Init = s.init
	}
	if flags.Has(envelope.End) {
		e.Duration, e.Init = 0, cid.Undef
		e.SetBlock(nil, 0)
	} else {
		c.Block = make([]byte, s.size)
		s.random.Read(c.Block) //nolint:errcheck // never fails
		e.SetBlock(c.Block, envelope.FragmentSize(len(c.Block)))
	}
	raw, err := e.Seal(testKey)
	if err != nil {
		t.Fatal(err)
	}
	c.Raw = raw
	s.cids = append(s.cids, envelope.CID(raw))
	if len(s.cids) > 128 {
		s.cids = slices.Delete(s.cids, 0, 0)
	}
	s.seq++
	return c
}

func (s *stream) take(t testing.TB, n int) []envelope.Chunk {
	t.Helper()
	list := make([]envelope.Chunk, n)
	for i := range list {
		list[i] = s.next(t)
	}
	return list
}

// restart is what an origin does that lost its state.
func (s *stream) restart() {
	s.epoch++
	s.seq, s.cids = 0, nil
}

func mustOpen(t testing.TB, cfg Config) *Store {
	t.Helper()
	if testing.Verbose() && cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustCreate(t testing.TB, s *Store, k Key) *Recording {
	t.Helper()
	r, err := s.Create(k, Meta{Title: "A talk", Started: noon})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustAppend(t testing.TB, r *Recording, list ...envelope.Chunk) {
	t.Helper()
	for _, c := range list {
		if added, err := r.Append(c); err != nil || !added {
			t.Fatalf("chunk %v: added %v, %v", c.ID(), added, err)
		}
	}
}

func mustTrack(t testing.TB, r *Recording, name string) *Track {
	t.Helper()
	tr, ok := r.Track(name)
	if !ok {
		t.Fatalf("no track %s", name)
	}
	return tr
}

// sameChunks checks that a track gives back exactly these chunks, byte by byte.
func sameChunks(t testing.TB, r *Recording, want []envelope.Chunk) {
	t.Helper()
	if len(want) == 0 {
		return
	}
	got, more := mustTrack(t, r, want[0].Track).Range(envelope.ID{}, lastID, 1<<30, 1<<40)
	if more || len(got) != len(want) {
		t.Fatalf("%d chunks instead of %d", len(got), len(want))
	}
	for i := range got {
		if !sameChunk(got[i], want[i]) {
			t.Fatalf("chunk %v differs", want[i].ID())
		}
	}
}

func sameChunk(a, b envelope.Chunk) bool {
	return a.ID() == b.ID() && bytes.Equal(a.Raw, b.Raw) && bytes.Equal(a.Block, b.Block)
}
