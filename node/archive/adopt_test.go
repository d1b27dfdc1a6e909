package archive

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
)

// storeFetcher fetches from another store, and does it badly where told to.
type storeFetcher struct {
	s    *Store
	fail func(n int) bool // whether the n-th block does not come
	lie  bool             // other bytes under the right name, and blocks that nobody asked for

	mu    sync.Mutex
	asked []cid.Cid
	sent  int
}

func (f *storeFetcher) Blocks(ctx context.Context, cids []cid.Cid) (<-chan blocks.Block, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, cids...)
	ch := make(chan blocks.Block, 3*len(cids))
	defer close(ch)
	for _, c := range cids {
		f.sent++
		b, err := f.s.Get(ctx, c)
		if err != nil || f.fail != nil && f.fail(f.sent) {
			continue
		}
		if f.lie {
			bad, _ := blocks.NewBlockWithCid(append(bytes.Clone(b), 1), c)
			ch <- bad
			ch <- blocks.NewBlock([]byte("something else"))
		}
		good, _ := blocks.NewBlockWithCid(b, c)
		ch <- good
	}
	return ch, nil
}

// finished makes a store with one finished recording of two epochs with a hole, and returns all its chunks.
func finished(t testing.TB, sign bool) (*Store, *Recording, []envelope.Chunk) {
	t.Helper()
	s := mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
	src := newStream("talk", 2000)
	r := mustCreate(t, s, src.key)
	list := src.take(t, 200)
	src.restart()
	list = append(list, src.take(t, 50)...)
	list = append(list, src.end(t))
	list = slices.Delete(list, 77, 79)
	mustAppend(t, r, list...)
	by := testSign
	if !sign {
		by = nil
	}
	if _, err := r.Finish(t.Context(), by); err != nil {
		t.Fatal(err)
	}
	return s, r, list
}

func TestAdoptByRoot(t *testing.T) {
	from, origin, list := finished(t, true)
	root := origin.root()
	dir := t.TempDir()
	s := mustOpen(t, Config{Dir: dir, open: newDisk().open})
	fetcher := &storeFetcher{s: from, lie: true, fail: func(n int) bool { return n == 150 }}
	if _, err := s.Adopt(t.Context(), Key{}, root, fetcher, nil); !errors.Is(err, ErrNotFound) {
		t.Fatalf("with a block that does not come: %v", err)
	}
	r, ok := s.Lookup(origin.key)
	if !ok || r.Info().State != Partial || r.Info().Root.Defined() {
		t.Fatalf("%+v", r.Info())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = mustOpen(t, Config{Dir: dir, open: newDisk().open})
	first := len(fetcher.asked)
	var last, total int64
	r, err := s.Adopt(t.Context(), origin.key, root, fetcher, func(done, all int64) { last, total = max(last, done), all })
	if err != nil {
		t.Fatal(err)
	}
	if again := len(fetcher.asked) - first; again > 160 {
		t.Errorf("%d blocks were asked for again", again)
	}
	if last != total || total == 0 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	// In playing order, but for batches that overtake each other.
	var order []int
	for _, c := range fetcher.asked[first:] {
		if i := slices.IndexFunc(list, func(x envelope.Chunk) bool { return x.Envelope.Block == c }); i >= 0 {
			order = append(order, i)
		}
	}
	for i, at := range order {
		if i >= 4*fetchBatch && at < order[i-4*fetchBatch] {
			t.Fatalf("not in playing order: %v", order)
		}
	}
	info, want := r.Info(), origin.Info()
	if info.Root != root || info.State != Finished || info.Title != want.Title || info.Duration != want.Duration-chunkTime || // one chunk after the hole cannot be decoded
		info.Media != want.Media || info.Missing != 2 || len(info.Tracks) != 1 || !info.Ended.Equal(want.Ended) {
		t.Errorf("%+v\n%+v", info, want)
	}
	for _, c := range list[:len(list)-1] {
		if b, err := s.Get(t.Context(), c.Envelope.Block); err != nil || !bytes.Equal(b, c.Block) {
			t.Fatal(err)
		}
	}
	// Its envelopes are welcome later, chunks that it never had are not.
	for _, c := range list {
		if added, err := r.Append(c); err != nil || !added {
			t.Fatalf("%v: %v, %v", c.ID(), added, err)
		}
	}
	sameChunks(t, r, list)
	if rep, err := r.Verify(t.Context(), nil); err != nil || !rep.OK() {
		t.Errorf("%+v, %v", rep, err)
	}
	if _, err := s.Adopt(t.Context(), origin.key, root, nil, nil); err != nil {
		t.Errorf("adopted again, with nobody to ask: %v", err)
	}
}

// TestAdoptFillsGaps: a seed that lost chunks takes them and the view from others, and nothing else.
func TestAdoptFillsGaps(t *testing.T) {
	from, origin, list := finished(t, false)
	s := mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
	r := mustCreate(t, s, origin.key)
	for i, c := range list {
		if i%10 != 3 {
			mustAppend(t, r, c)
		}
	}
	if r.Info().Missing < 20 {
		t.Errorf("%+v", r.Info())
	}
	fetcher := &storeFetcher{s: from}
	if _, err := s.Adopt(t.Context(), origin.key, origin.root(), fetcher, nil); err != nil {
		t.Fatal(err)
	}
	media := 0
	for _, c := range fetcher.asked {
		if slices.ContainsFunc(list, func(x envelope.Chunk) bool { return x.Envelope.Block == c }) {
			media++
		}
	}
	if media != 25 {
		t.Errorf("%d chunks were asked for", media)
	}
	if info := r.Info(); info.Missing != 2 || info.State != Finished {
		t.Errorf("%+v", info)
	}
	other := testBroadcast("other")
	if _, err := s.Adopt(t.Context(), other, origin.root(), fetcher, nil); !errors.Is(err, ErrHostile) {
		t.Errorf("under another name: %v", err)
	}
	if _, err := s.Adopt(t.Context(), Key{}, list[0].Envelope.Block, fetcher, nil); !errors.Is(err, ErrHostile) {
		t.Errorf("a root that is none: %v", err)
	}
}

func TestExportAndImport(t *testing.T) {
	for _, signed := range []bool{true, false} {
		_, origin, list := finished(t, signed)
		var car bytes.Buffer
		if err := origin.ExportCAR(t.Context(), &car, nil); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
		var last int64
		info, err := s.ImportCAR(t.Context(), bytes.NewReader(car.Bytes()), func(n int64) { last = n })
		if err != nil {
			t.Fatal(err)
		}
		if last != int64(car.Len()) || info.Root != origin.root() || info.State != Finished || info.Key != origin.key || info.Missing != 2 {
			t.Errorf("%d of %d bytes, %+v", last, car.Len(), info)
		}
		r, _ := s.Lookup(origin.key)
		sameChunks(t, r, list)
		if rep, err := r.Verify(t.Context(), nil); err != nil || !rep.OK() {
			t.Errorf("%+v, %v", rep, err)
		}
		if _, err := s.ImportCAR(t.Context(), bytes.NewReader(car.Bytes()), nil); err != nil {
			t.Errorf("imported again: %v", err)
		}
		var again bytes.Buffer
		if err := r.ExportCAR(t.Context(), &again, nil); err != nil || !bytes.Equal(again.Bytes(), car.Bytes()) {
			t.Errorf("another CAR comes out: %d bytes instead of %d, %v", again.Len(), car.Len(), err)
		}
		// The sealed file itself is a CAR, too.
		origin.s.sealing.Wait()
		file, err := os.Open(origin.base + ".car")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		s = mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
		if _, err := s.ImportCAR(t.Context(), file, nil); err != nil {
			t.Error(err)
		}
		// Into a recording that has gaps.
		s = mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
		r = mustCreate(t, s, origin.key)
		mustAppend(t, r, list[30:60]...)
		if _, err := s.ImportCAR(t.Context(), bytes.NewReader(car.Bytes()), nil); err != nil {
			t.Error(err)
		}
		sameChunks(t, r, list)
		if left, _ := filepath.Glob(filepath.Join(s.cfg.Dir, "*.part*")); len(left) != 0 {
			t.Errorf("left over: %v", left)
		}
	}
}

// rawCAR returns the header of a CARv1.
func rawCAR(root cid.Cid) []byte {
	return fileHead(root)[payloadStart:]
}

func TestHostileImports(t *testing.T) {
	_, origin, list := finished(t, true)
	var good bytes.Buffer
	if err := origin.ExportCAR(t.Context(), &good, nil); err != nil {
		t.Fatal(err)
	}
	_, unsigned, _ := finished(t, false)
	var bare bytes.Buffer // no signature, no envelopes
	unsigned.mu.Lock()
	unsigned.tracks = map[string]*chunks{}
	unsigned.mu.Unlock()
	if err := unsigned.ExportCAR(t.Context(), &bare, nil); err != nil {
		t.Fatal(err)
	}
	root := origin.root()
	head := rawCAR(root)
	garbage := bytes.Repeat([]byte("garbage"), 10_000)
	extra := func(blocks ...[]byte) []byte {
		b := bytes.Clone(good.Bytes())
		for _, x := range blocks {
			b = appendSection(b, codecRaw, sha(x), x)
		}
		return b
	}
	foreign := list[0] // an envelope of somebody else's
	e := *foreign.Envelope
	_, stranger, _ := ed25519.GenerateKey(nil)
	foreignRaw, err := e.Seal(stranger)
	if err != nil {
		t.Fatal(err)
	}
	two := bytes.Replace(head, []byte{0x81, 0xd8}, append([]byte{0x82, 0xd8, 42, 0x58, 37, 0}, append(root.Bytes(), 0xd8)...), 1)
	two[0] += 41
	flipped := bytes.Clone(good.Bytes())
	flipped[len(flipped)/2] ^= 1
	for name, c := range map[string]struct {
		car []byte
		err error
	}{
		"nothing":            {nil, ErrHostile},
		"no CAR":             {garbage, ErrHostile},
		"a header only":      {head, ErrHostile},
		"a huge header":      {append([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, garbage...), ErrHostile},
		"two roots":          {append(two, good.Bytes()[len(head):]...), ErrHostile},
		"a huge section":     {append(bytes.Clone(head), 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3), ErrHostile},
		"a large section":    {append(bytes.Clone(head), appendSection(nil, codecRaw, sha(make([]byte, 3<<20)), make([]byte, 3<<20))...), ErrHostile},
		"torn":               {good.Bytes()[:good.Len()-10], ErrHostile},
		"half":               {good.Bytes()[:good.Len()/2], ErrHostile},
		"a flipped bit":      {flipped, ErrHostile},
		"another root":       {append(rawCAR(unsigned.root()), good.Bytes()[len(head):]...), ErrHostile},
		"not signed at all":  {bare.Bytes(), ErrHostile},
		"unreferenced":       {extra(garbage, []byte("more")), nil},
		"foreign envelope":   {appendSection(bytes.Clone(good.Bytes()), codecCBOR, sha(foreignRaw), foreignRaw), nil},
		"no envelope at all": {append(bytes.Clone(head), withoutEnvelopes(t, good.Bytes())...), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
			_, err := s.ImportCAR(t.Context(), bytes.NewReader(c.car), nil)
			if !errors.Is(err, c.err) {
				t.Errorf("%v", err)
			}
			for _, b := range [][]byte{garbage, foreignRaw} {
				if has, _ := s.Has(t.Context(), envelope.RawCID(b)); has {
					t.Error("a block that nothing refers to was kept")
				}
			}
			files := 0
			err = filepath.WalkDir(s.cfg.Dir, func(path string, d os.DirEntry, _ error) error {
				if d.IsDir() && d.Name() == "catalog" {
					return filepath.SkipDir
				}
				if !d.IsDir() && d.Name() != "lock" {
					files++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{true: 2, false: 0}[c.err == nil]; files != want {
				t.Errorf("%d files instead of %d", files, want)
			}
		})
	}
}

func withoutEnvelopes(t *testing.T, car []byte) (out []byte) {
	t.Helper()
	_, _, err := scan(bytes.NewReader(car), int64(len(fileHead(noRoot))-payloadStart), int64(len(car)), 0, func(s section, block []byte) error {
		if s.codec != codecCBOR {
			out = appendSection(out, s.codec, s.digest, block)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// FuzzImportCAR: whatever comes, nothing stays but what verifies.
func FuzzImportCAR(f *testing.F) {
	s := mustOpen(f, Config{Dir: f.TempDir(), open: newDisk().open})
	src := newStream("talk", 100)
	src.init = []byte("short")
	r := mustCreate(f, s, src.key)
	mustAppend(f, r, append(src.take(f, 10), src.end(f))...)
	if _, err := r.Finish(f.Context(), testSign); err != nil {
		f.Fatal(err)
	}
	var car bytes.Buffer
	if err := r.ExportCAR(f.Context(), &car, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(car.Bytes())
	s.sealing.Wait()
	whole, err := os.ReadFile(r.base + ".car")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte{})
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := bytes.Clone(car.Bytes())
		b[random.IntN(len(b))] ^= byte(1 + random.IntN(255))
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
		info, err := s.ImportCAR(t.Context(), bytes.NewReader(b), nil)
		if err != nil {
			if len(s.List()) != 0 {
				t.Fatal("refused, and kept")
			}
			return
		}
		rec, _ := s.Lookup(info.Key)
		if rep, err := rec.Verify(t.Context(), nil); err != nil || !rep.OK() {
			t.Fatalf("%+v, %v", rep, err)
		}
	})
}

// TestMended: what Verify finds damaged in a finished recording comes back by another Adopt of its root. An envelope, which
// the view does without, does not, and is not asked for again.
func TestMended(t *testing.T) {
	from, src, list := finished(t, true)
	s := mustOpen(t, Config{Dir: t.TempDir()})
	r, err := s.Adopt(t.Context(), Key{}, src.root(), &storeFetcher{s: from}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list { // with the envelopes, as a recording that was made live has them
		if _, err := r.Append(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.reload(); err != nil {
		t.Fatal(err)
	}
	car, err := os.ReadFile(r.base + ".car")
	if err != nil {
		t.Fatal(err)
	}
	damaged := list[3]
	for _, what := range [][]byte{damaged.Block, damaged.Raw} {
		at := bytes.Index(car, what)
		if at < 0 {
			t.Fatal("not in the file")
		}
		f, err := os.OpenFile(r.base+".car", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{what[20] ^ 1}, int64(at+20)); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if rep, err := r.Verify(t.Context(), nil); err != nil || rep.OK() {
		t.Fatalf("%+v, %v", rep, err)
	}
	if i := r.Info(); i.Damaged == 0 || i.Verified.IsZero() {
		t.Fatalf("%+v", i)
	}
	fetcher := &storeFetcher{s: from, lie: true}
	if _, err := s.Adopt(t.Context(), src.key, src.root(), fetcher, nil); err != nil {
		t.Fatal(err)
	}
	if len(fetcher.asked) != 1 || fetcher.asked[0] != damaged.Envelope.Block {
		t.Errorf("fetched %v", fetcher.asked)
	}
	if i := r.Info(); i.Damaged != 0 || i.Root != src.root() {
		t.Errorf("%+v", i)
	}
	if rep, err := r.Verify(t.Context(), nil); err != nil || rep.View != nil {
		t.Errorf("%+v, %v", rep, err)
	}
	if i := r.Info(); i.Damaged != 0 {
		t.Errorf("an envelope is asked for again: %+v", i)
	}
}
