package archive

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"murmuration/chunker/envelope"
)

// inMemory returns how many rows and names of a recording are in memory.
func inMemory(r *Recording) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := len(r.t.names.tail)
	for _, p := range r.t.pages {
		if p.rows != nil {
			n += p.count
		}
	}
	for _, c := range r.tracks {
		for _, ep := range c.epochs {
			for _, l := range ep.leaves {
				if l.rows != nil {
					n += l.count
				}
			}
		}
	}
	return n
}

// holds checks that exactly the chunks with these seqs are there, in every way in which they can be asked for.
func holds(t *testing.T, r *Recording, epoch uint64, seqs []uint64, total uint64) {
	t.Helper()
	tr := mustTrack(t, r, "main")
	var got []uint64
	for _, p := range tr.Parts(envelope.ID{}, lastID) {
		got = append(got, p.Seq)
	}
	if !slices.Equal(got, seqs) {
		t.Fatalf("%d parts, not %d", len(got), len(seqs))
	}
	var gaps []Gap
	next := uint64(0)
	for _, seq := range seqs {
		if seq > next {
			gaps = append(gaps, gap(epoch, next, seq-1))
		}
		next = seq + 1
	}
	closed := slices.DeleteFunc(tr.Gaps(), func(g Gap) bool { return g.Open })
	if !slices.Equal(closed, gaps) {
		t.Fatalf("gaps %v, not %v", closed, gaps)
	}
	back := slices.Clone(got)[:0]
	r.mu.RLock()
	r.tracks["main"].backward(func(id envelope.ID, _ *entry) bool {
		back = append(back, id.Seq)
		return true
	})
	r.mu.RUnlock()
	slices.Reverse(back)
	if !slices.Equal(back, seqs) {
		t.Fatal("backward differs")
	}
	for i := 0; i < len(seqs); i += 97 {
		c, ok := tr.Chunk(envelope.ID{Epoch: epoch, Seq: seqs[i]})
		if !ok || c.Seq != seqs[i] {
			t.Fatalf("chunk %d: %v", seqs[i], ok)
		}
		if has, err := r.s.Has(t.Context(), c.Envelope.Block); err != nil || !has {
			t.Fatalf("block of chunk %d: %v, %v", seqs[i], has, err)
		}
	}
	if id, ok := tr.Newest(); !ok || id.Seq != seqs[len(seqs)-1] {
		t.Fatalf("newest %v", id)
	}
	for seq := range total + 10 {
		if _, there := slices.BinarySearch(seqs, seq); there {
			continue
		}
		if _, ok := tr.Chunk(envelope.ID{Epoch: epoch, Seq: seq}); ok {
			t.Fatalf("chunk %d is there", seq)
		}
	}
}

// TestScratch: chunks that come in any order stand in order, whatever of them is in memory, and little is.
func TestScratch(t *testing.T) {
	const total = 9000
	for name, kind := range map[string]func([]int){
		"in order":  func([]int) {},
		"backwards": slices.Reverse[[]int],
		"shuffled":  func(list []int) { rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] }) },
		"the past":  func(list []int) { copy(list, append(slices.Clone(list[7000:]), list[:7000]...)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, Config{Dir: shm(t), open: newDisk().open})
			f := newForge(t, "talk", 100)
			r := mustCreate(t, s, Key{f.c.Channel, f.c.Broadcast})
			order := make([]int, total)
			for i := range order {
				order[i] = i
			}
			kind(order)
			var seqs []uint64
			for i, n := range order {
				if n%1000 == 333 {
					continue // never comes
				}
				if added, err := r.Append(f.next(uint64(n))); err != nil || !added {
					t.Fatal(added, err)
				}
				seqs = append(seqs, uint64(n))
				if i == total/2 || i == total-1 {
					sorted := slices.Sorted(slices.Values(seqs))
					holds(t, r, f.c.Epoch, sorted, total)
				}
			}
			if added, err := r.Append(f.next(4000)); err != nil || added {
				t.Errorf("a chunk that is there: %v, %v", added, err)
			}
			if n := inMemory(r); n > tailNames+4*pageRows {
				t.Errorf("%d rows in memory", n)
			}
			if _, err := os.Stat(r.base + scratchExt); err == nil {
				t.Error("the scratch file has a name")
			}
			slices.Sort(seqs)
			if _, err := r.Finish(t.Context(), testSign); err != nil {
				t.Fatal(err)
			}
			holds(t, r, f.c.Epoch, seqs, total)
		})
	}
}

// TestScratchUnreadable: a scratch file that cannot be read costs nothing but time.
func TestScratchUnreadable(t *testing.T) {
	s := mustOpen(t, Config{Dir: shm(t), open: newDisk().open})
	f := newForge(t, "talk", 100)
	r := mustCreate(t, s, Key{f.c.Channel, f.c.Broadcast})
	var seqs []uint64
	put := func(n int) {
		t.Helper()
		for range n {
			seq := uint64(len(seqs))
			if added, err := r.Append(f.next(seq)); err != nil || !added {
				t.Fatal(added, err)
			}
			seqs = append(seqs, seq)
		}
	}
	spoil := func() {
		t.Helper()
		if r.t.scratch.end < 1<<10 {
			t.Fatal("nothing is in the scratch file")
		}
		if err := r.t.scratch.f.Truncate(0); err != nil {
			t.Fatal(err)
		}
	}
	for name, ask := range map[string]func(){
		"chunk": func() { mustTrack(t, r, "main").Chunk(envelope.ID{Epoch: f.c.Epoch, Seq: 7}) },
		"parts": func() { mustTrack(t, r, "main").Parts(envelope.ID{}, lastID) },
		"block": func() {
			c := f.next(7)
			s.Has(t.Context(), c.Envelope.Block) //nolint:errcheck // what counts is the next
		},
		"append": func() {
			if _, err := r.Append(f.next(7)); err != nil { // it may count as new: nobody could tell
				t.Errorf("append: %v", err)
			}
		},
	} {
		put(3000)
		spoil()
		ask()
		holds(t, r, f.c.Epoch, seqs, uint64(len(seqs)))
		if i := r.Info(); i.Damaged != 0 || i.Missing != 0 {
			t.Errorf("%s: %+v", name, i)
		}
	}
}

// TestScratchFull: where the scratch file cannot be made, all stays in memory; what a crash left of one goes.
func TestScratchFull(t *testing.T) {
	d := newDisk()
	dir := shm(t)
	s := mustOpen(t, Config{Dir: dir, open: func(name string, flag int) (file, error) {
		if filepath.Ext(name) == scratchExt {
			return nil, errors.New("no more files")
		}
		return d.open(name, flag)
	}})
	f := newForge(t, "talk", 100)
	r := mustCreate(t, s, Key{f.c.Channel, f.c.Broadcast})
	var seqs []uint64
	for seq := range uint64(5000) {
		if _, err := r.Append(f.next(seq)); err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, seq)
	}
	holds(t, r, f.c.Epoch, seqs, 5000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(filepath.Dir(r.base), "talk"+scratchExt)
	if err := os.WriteFile(left, []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Config{Dir: dir})
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a crash left: %v", err)
	}
	r, ok := s.Lookup(r.key)
	if !ok || !strings.HasSuffix(r.base, "talk") {
		t.Fatal("the recording is gone")
	}
	holds(t, r, f.c.Epoch, seqs, 5000)
}
