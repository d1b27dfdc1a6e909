package archive

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"murmuration/chunker/envelope"
)

// TestCatalog holds the catalog to finding every block of many recordings through merges, removals, a restart and its own
// loss, and to keeping the number of runs small.
func TestCatalog(t *testing.T) {
	dir := shm(t)
	s := mustOpen(t, Config{Dir: dir, open: newDisk().open})
	var all [][]envelope.Chunk
	for i := range 70 {
		src := newStream(fmt.Sprintf("talk-%d", i), 50)
		r := mustCreate(t, s, src.key)
		list := src.take(t, 12)
		mustAppend(t, r, list...)
		if _, err := r.Finish(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		all = append(all, list)
	}
	s.sealing.Wait()
	check := func(s *Store) {
		t.Helper()
		for i, list := range all {
			s.last.Store(nil)
			c := list[i%len(list)]
			want := true
			if _, ok := s.Lookup(Key{c.Channel, c.Broadcast}); !ok {
				want = false
			}
			has, err := s.Has(t.Context(), c.Envelope.Block)
			if err != nil || has != want {
				t.Fatalf("block of recording %d: %v, %v", i, has, err)
			}
		}
		if has, _ := s.Has(t.Context(), envelope.RawCID(testInit)); !has {
			t.Error("the init segment that all have is not found")
		}
		if has, _ := s.Has(t.Context(), envelope.RawCID([]byte("none"))); has {
			t.Error("a block that is not there")
		}
	}
	covered := func(s *Store, runs int) {
		t.Helper()
		if look := *s.look.Load(); len(look) != 0 {
			t.Errorf("%d recordings are not in the catalog", len(look))
		}
		if len(s.cat.runs) > runs {
			t.Errorf("%d runs", len(s.cat.runs))
		}
	}
	check(s)
	covered(s, 7)
	for i := 0; i < 70; i += 3 {
		if err := s.Remove(testBroadcast(fmt.Sprintf("talk-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Config{Dir: dir, open: newDisk().open})
	covered(s, 7)
	check(s)
	// A recording that takes a chunk back is looked into directly, and covered again when it is sealed again.
	late := all[1][3]
	r, _ := s.Lookup(Key{late.Channel, late.Broadcast})
	d, _, _ := asDigest(late.Envelope.Block)
	r.damage(d)
	s.last.Store(nil)
	if has, _ := s.Has(t.Context(), late.Envelope.Block); has {
		t.Error("a damaged block is there")
	}
	mustAppend(t, r, late)
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	runs, _ := filepath.Glob(filepath.Join(dir, "catalog", "*.run"))
	for i, name := range runs { // damaged, torn, gone
		var err error
		switch i % 3 {
		case 0:
			err = os.Remove(name)
		case 1:
			err = os.Truncate(name, 100)
		case 2:
			err = os.WriteFile(name, []byte("garbage"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s = mustOpen(t, Config{Dir: dir, open: newDisk().open})
	check(s)
	s.sealing.Wait()
	covered(s, 14)
	check(s)
}
