package archive

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	car "github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/blockstore"

	"murmuration/chunker/envelope"
)

func TestAppendAndReadBack(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Config{Dir: dir})
	src := newStream("talk", 3000)
	r := mustCreate(t, s, src.key)
	list := src.take(t, 40)
	src.restart()
	list = append(list, src.take(t, 20)...)
	mixed := slices.Clone(list)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	mustAppend(t, r, mixed...)
	for _, c := range mixed {
		if added, err := r.Append(c); added || err != nil {
			t.Fatalf("again: %v, %v", added, err)
		}
	}
	check := func(s *Store) {
		t.Helper()
		r, ok := s.Lookup(src.key)
		if !ok {
			t.Fatal("no recording")
		}
		sameChunks(t, r, list)
		for _, c := range list {
			b, err := s.Get(t.Context(), c.Envelope.Block)
			if err != nil || !bytes.Equal(b, c.Block) {
				t.Fatalf("%v: %v", c.ID(), err)
			}
			if b, err = s.Get(t.Context(), envelope.CID(c.Raw)); err != nil || !bytes.Equal(b, c.Raw) {
				t.Fatalf("envelope of %v: %v", c.ID(), err)
			}
		}
		if has, err := s.Has(t.Context(), envelope.RawCID([]byte("nothing"))); has || err != nil {
			t.Error(has, err)
		}
		if _, err := s.Get(t.Context(), envelope.RawCID([]byte("nothing"))); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if n, err := s.GetSize(t.Context(), list[0].Envelope.Block); n != 3000 || err != nil {
			t.Error(n, err)
		}
		info := r.Info()
		if info.State != Live || info.Missing != 0 || info.Duration != 60*chunkTime || info.Media != 60*3000 || info.Title != "A talk" {
			t.Errorf("%+v", info)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(mustOpen(t, Config{Dir: dir}))
	check(mustOpen(t, Config{Dir: dir, ReadOnly: true}))
}

func TestFinish(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Config{Dir: dir})
	src := newStream("talk", 94_000)
	r := mustCreate(t, s, src.key)
	list := src.take(t, 240)
	mustAppend(t, r, list...)
	mark := src.end(t)
	mustAppend(t, r, mark)
	if got := r.Info().State; got != Partial {
		t.Errorf("%s after its end", got)
	}
	begin := time.Now()
	root, err := r.Finish(t.Context(), testSign)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("finished in %v", time.Since(begin))
	s.sealing.Wait()
	again, err := r.Finish(t.Context(), testSign)
	if again != root || err != nil {
		t.Error(again, err)
	}
	info := r.Info()
	if info.State != Finished || info.Root != root || info.Missing != 0 {
		t.Errorf("%+v", info)
	}
	stat, err := os.Stat(s.base(src.key) + ".car")
	if err != nil {
		t.Fatal(err)
	}
	over := float64(stat.Size()) / float64(info.Media)
	t.Logf("%d bytes for %d of media: %.4f", stat.Size(), info.Media, over)
	if over > 1.02 || info.Size != stat.Size() {
		t.Errorf("%d bytes on disk (told %d) for %d of media", stat.Size(), info.Size, info.Media)
	}
	if _, err := r.Append(newStream("talk", 10).next(t)); err != nil {
		t.Errorf("another chunk with a known id: %v", err)
	}
	late := newStream("talk", 10)
	late.seq = 1000
	if _, err := r.Append(late.next(t)); !errors.Is(err, ErrFinished) {
		t.Errorf("late chunk: %v", err)
	}
	if _, err := s.Create(src.key, Meta{}); !errors.Is(err, ErrFinished) {
		t.Errorf("created again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// go-car, the reference, reads the file and finds every block.
	file := filepath.Join(dir, channelName(src.key.Channel), "talk.car")
	bs, err := blockstore.OpenReadOnly(file)
	if err != nil {
		t.Fatal(err)
	}
	defer bs.Close()
	if roots, err := bs.Roots(); err != nil || len(roots) != 1 || roots[0] != root {
		t.Error(roots, err)
	}
	for _, c := range list {
		if b, err := bs.Get(t.Context(), c.Envelope.Block); err != nil || !bytes.Equal(b.RawData(), c.Block) {
			t.Fatal(err)
		}
	}
	rd, err := car.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	if stats, err := rd.Inspect(true); err != nil || stats.BlockCount < 480 || !stats.Header.Characteristics.IsFullyIndexed() {
		t.Errorf("%+v, %v", stats, err)
	}

	s = mustOpen(t, Config{Dir: dir})
	r, ok := s.ByRoot(root)
	if !ok {
		t.Fatal("not found by its root")
	}
	if got := r.Info(); got.Root != info.Root || got.Media != info.Media || got.Size != info.Size || !got.Ended.Equal(noon.Add(60*time.Second)) {
		t.Errorf("%+v", got)
	}
	if _, err := s.Get(t.Context(), root); err != nil {
		t.Error(err)
	}
	if r.t != nil {
		t.Error("reading blocks loaded the whole table")
	}
	sameChunks(t, r, append(list, mark))
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Config{Dir: dir})
	if _, err := Open(Config{Dir: dir}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "process ") {
		t.Errorf("second: %v", err)
	}
	look := mustOpen(t, Config{Dir: dir, ReadOnly: true})
	if _, err := look.Create(testBroadcast("x"), Meta{}); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, Config{Dir: dir})
}

func TestRemoveAndChanged(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir()})
	src := newStream("talk", 100)
	changed := s.Changed()
	r := mustCreate(t, s, src.key)
	<-changed
	c := src.next(t)
	mustAppend(t, r, c)
	tr := mustTrack(t, r, "main")
	changed = s.Changed()
	if err := s.Pin(src.key, true); err != nil {
		t.Fatal(err)
	}
	<-changed
	if err := r.SetTitle("Other"); err != nil {
		t.Fatal(err)
	}
	if l := s.List(); len(l) != 1 || !l[0].Pinned || l[0].Title != "Other" {
		t.Errorf("%+v", l)
	}
	if err := s.Remove(src.key); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(src.key); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := r.Append(src.next(t)); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, ok := tr.Chunk(c.ID()); ok {
		t.Error("a chunk of a removed recording")
	}
	if has, _ := s.Has(context.Background(), c.Envelope.Block); has {
		t.Error("a block of a removed recording")
	}
	if files, _ := filepath.Glob(filepath.Join(s.cfg.Dir, "*", "*")); len(files) != 0 {
		t.Error(files)
	}
	if u := s.Usage(); u.Recordings != 0 || u.Bytes != 0 || u.Free == 0 {
		t.Errorf("%+v", u)
	}
}
