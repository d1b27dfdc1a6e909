package unixfs

import (
	"bytes"
	"maps"
	"testing"

	"github.com/ipfs/go-cid"
)

// checkView holds a view read back against the source and the blocks that were put.
func checkView(t testing.TB, src Source, store blocks, media blocks, root cid.Cid) *View {
	t.Helper()
	v, err := Open(t.Context(), root, store.fetch)
	if err != nil {
		t.Fatal(err)
	}
	all := blocks{}
	if err := v.Own(func(c cid.Cid, b []byte) error { all[c] = b; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, l := range v.Blocks() {
		b, err := media.get(l.Cid)
		if err != nil || int64(len(b)) != l.Size {
			t.Fatalf("media: %d bytes of %d: %v", len(b), l.Size, err)
		}
		if all[l.Cid] != nil {
			t.Fatalf("%s twice", l.Cid)
		}
		all[l.Cid] = b
	}
	var size int64
	for c, b := range store {
		size += int64(len(b))
		if !bytes.Equal(all[c], b) {
			t.Fatalf("%s is missing", c)
		}
	}
	if len(all) != len(store) || size != v.Size() {
		t.Fatalf("%d blocks of %d, %d bytes of %d", len(all), len(store), v.Size(), size)
	}
	if err := v.Info.Verify(src.Channel); err != nil {
		t.Fatal(err)
	}
	for n, track := range v.Tracks {
		want := src.Tracks[n].Parts
		if len(track.Parts) != len(want) {
			t.Fatalf("%d parts of %d", len(track.Parts), len(want))
		}
		for i, p := range track.Parts {
			if w := want[i]; p != w {
				t.Fatalf("part %d: %+v, want %+v", i, p, w)
			}
		}
	}
	return v
}

func TestOpen(t *testing.T) {
	r := testPicture(t)
	store := maps.Clone(r.blocks)
	root, _ := build(t, r.source(), store)
	v := checkView(t, r.source(), store, r.blocks, root)
	if _, ok := v.File("segments/s-1790000000-0-7.m4s"); !ok {
		t.Error("no first segment")
	}
}
