package unixfs

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/node/ingest"
	"murmuration/node/ingest/testpicture"
	"murmuration/playlist"

	"github.com/ipfs/go-cid"
)

var (
	testKey     = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	testChannel = envelope.Channel(testKey.Public().(ed25519.PublicKey))
)

func testSign(b []byte) []byte { return ed25519.Sign(testKey, b) }

// blocks is a store of blocks in memory.
type blocks map[cid.Cid][]byte

var errMissing = errors.New("no such block")

// fetching guards counters in blocks that are fetched by several goroutines.
var fetching sync.Mutex

func (s blocks) get(c cid.Cid) ([]byte, error) {
	if b, ok := s[c]; ok {
		return b, nil
	}
	return nil, fmt.Errorf("%w: %s", errMissing, c)
}

func (s blocks) fetch(_ context.Context, c cid.Cid) ([]byte, error) { return s.get(c) }

// recorder is an ingest.Sink that cuts chunks and keeps them, as an origin does.
type recorder struct {
	cutter *chunker.Cutter
	blocks blocks
	parts  []Part
	out    []envelope.Chunk
	inits  map[cid.Cid]int
}

func newRecorder(t testing.TB, epoch uint64) *recorder {
	t.Helper()
	c, err := chunker.New(chunker.Config{Key: testKey, Broadcast: "0abc", Track: "main", Epoch: epoch})
	if err != nil {
		t.Fatal(err)
	}
	return &recorder{cutter: c, blocks: blocks{}, inits: map[cid.Cid]int{}}
}

func (r *recorder) Format(f chunker.Format) error { return r.cutter.SetFormat(f) }
func (r *recorder) Unit(u chunker.Unit) error     { return r.take(r.cutter.Write(u)) }
func (r *recorder) Interrupt() error              { return r.take(r.cutter.Interrupt()) }
func (r *recorder) end() error                    { return r.take(r.cutter.End()) }

func (r *recorder) take(chunks []envelope.Chunk, err error) error {
	for _, c := range chunks {
		if len(c.Init) > 0 {
			r.inits[c.Envelope.Init] = len(c.Init)
			r.blocks[c.Envelope.Init] = c.Init
		}
		p := Part{
			Part: playlist.Part{
				Epoch: c.Epoch, Seq: c.Seq, Timescale: c.Timescale, DecodeTime: c.DecodeTime, Duration: c.Duration,
				Independent: c.Flags.Has(envelope.Independent), Discontinuity: c.Flags.Has(envelope.Discontinuity),
				End: c.Flags.Has(envelope.End), Captured: c.Captured, Size: len(c.Block),
			},
			Init: c.Envelope.Init,
		}
		if c.Envelope.Init.Defined() {
			p.Part.Init, p.InitSize = c.Envelope.Init.String(), r.inits[c.Envelope.Init]
		}
		if !p.End {
			p.Block = c.Envelope.Block
			r.blocks[p.Block] = c.Block
		}
		r.parts = append(r.parts, p)
		r.out = append(r.out, c)
	}
	return err
}

func (r *recorder) source() Source {
	last := r.parts[len(r.parts)-1]
	return Source{
		Channel: testChannel, Broadcast: "0abc", Title: "A talk <about> birds",
		Started: r.parts[0].Captured, Ended: last.Captured.Add(last.Length()),
		Tracks: []Track{{Name: "main", Parts: r.parts}}, Block: r.blocks.get, Sign: testSign,
	}
}

// show records the test picture for a while in virtual time.
func show(t *testing.T, p testpicture.Picture, epoch uint64, length time.Duration) *recorder {
	t.Helper()
	var r *recorder
	synctest.Test(t, func(t *testing.T) {
		r = newRecorder(t, epoch)
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		if err := p.Run(ctx, r); err != nil {
			t.Fatal(err)
		}
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// picture is the recording that most tests use: 12 s of the test picture with sound. It must not be changed.
var picture = struct {
	once sync.Once
	r    *recorder
}{}

func testPicture(t *testing.T) *recorder {
	t.Helper()
	picture.once.Do(func() {
		picture.r = show(t, testpicture.Picture{Width: 320, Height: 180}, 1_790_000_000, 12*time.Second)
	})
	return picture.r
}

// played records a file that ffmpeg makes.
func played(t *testing.T, epoch uint64, args ...string) *recorder {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.ts")
	args = append(append([]string{"-nostdin", "-v", "error"}, args...), path)
	if out, err := exec.Command(program(t, "ffmpeg"), args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v: %s", err, out)
	}
	var r *recorder
	synctest.Test(t, func(t *testing.T) {
		r = newRecorder(t, epoch)
		if err := ingest.ReadFile(t.Context(), path, r, ingest.ReadConfig{}); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// program finds ffmpeg or ffprobe. In continuous integration it has to be there.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// quiet runs a program that is to print nothing on standard error, and returns its output.
func quiet(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("%s %v: %v: %s", name, args, err, errs.String())
	}
	return out.String()
}

// built is a view in a store with the recording's blocks.
func build(t testing.TB, src Source, into blocks) (root cid.Cid, own int) {
	t.Helper()
	root, err := Build(t.Context(), src, func(c cid.Cid, data []byte) error {
		into[c] = bytes.Clone(data)
		own += len(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return root, own
}
