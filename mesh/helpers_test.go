package mesh

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
)

var (
	channelKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	otherKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	testTrack  = TrackID{Channel: ChannelOf(channelKey), Broadcast: "0abc123", Track: "main"}
	testInit   = bytes.Repeat([]byte("init"), 200)
)

func TestMain(m *testing.M) {
	SetLibraryLog(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

const chunkTime = 250 * time.Millisecond

// stream makes signed chunks of a track, one after the other.
type stream struct {
	key      ed25519.PrivateKey
	track    TrackID
	epoch    uint64
	seq      uint64
	start    time.Time // capture of seq 0
	size     int       // bytes of a block
	interval int       // an independent chunk every so many
	previous []cid.Cid
}

func newStream(start time.Time) *stream {
	return &stream{key: channelKey, track: testTrack, epoch: 1_790_000_000, start: start, size: 2000, interval: 8}
}

func (s *stream) next(t testing.TB) envelope.Chunk { return s.make(t, nil) }

func (s *stream) make(t testing.TB, change func(*envelope.Envelope)) envelope.Chunk {
	t.Helper()
	block := make([]byte, s.size)
	for i := range block {
		block[i] = byte(i) ^ byte(i>>8) ^ byte(s.seq) ^ byte(s.epoch)
	}
	e := &envelope.Envelope{
		Broadcast: s.track.Broadcast, Track: s.track.Track, Epoch: s.epoch, Seq: s.seq,
		Timescale: 90000, DecodeTime: s.seq * 22500, Duration: 22500, PartTarget: 22680,
		Captured: s.start.Add(time.Duration(s.seq) * chunkTime).UTC().Truncate(time.Microsecond),
		Init:     envelope.RawCID(testInit), Previous: s.previous,
	}
	c := envelope.Chunk{Envelope: e}
	if s.seq%uint64(s.interval) == 0 {
		e.Flags |= envelope.Independent
		c.Init = testInit
	}
	c.Block = block
	e.SetBlock(block, envelope.FragmentSize(len(block)))
	if change != nil {
		change(e)
	}
	if e.Flags.Has(envelope.End) {
		e.Flags, e.Duration, c.Block, c.Init = envelope.End, 0, nil, nil
		e.SetBlock(nil, 0)
	}
	if err := e.Sign(s.key); err != nil {
		t.Fatal(err)
	}
	c.Raw = e.Encode()
	if s.seq++; true {
		s.previous = []cid.Cid{envelope.CID(c.Raw)}
	}
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

func mustFrame(t testing.TB, c envelope.Chunk) []byte {
	t.Helper()
	b, err := encodeFrame(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustNode(t testing.TB, cfg Config) *Node {
	t.Helper()
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func mustJoin(t testing.TB, n *Node, cfg JoinConfig) *Track {
	t.Helper()
	tr, err := n.Join(testTrack, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// collect takes chunks from a track until want of them are there, each once.
func collect(ctx context.Context, tr *Track, want int) (map[envelope.ID]envelope.Chunk, error) {
	got := map[envelope.ID]envelope.Chunk{}
	for len(got) < want {
		c, err := tr.Next(ctx)
		if err != nil {
			return got, fmt.Errorf("%s after %d of %d chunks: %w", tr.node.ID(), len(got), want, err)
		}
		if _, twice := got[c.ID()]; twice {
			return got, fmt.Errorf("chunk %v came twice", c.ID())
		}
		got[c.ID()] = c
	}
	return got, nil
}

// flat reads like the stream it holds.
func flat(parts ...[]byte) io.Reader { return bytes.NewReader(bytes.Join(parts, nil)) }
