package unixfs

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/seal"
	"murmuration/node/ingest/testpicture"

	"github.com/ipfs/go-cid"
)

// private records the test picture as a private broadcast.
func private(t *testing.T, secret seal.Secret) *recorder {
	t.Helper()
	var r *recorder
	synctest.Test(t, func(t *testing.T) {
		r = newRecorder(t, 1_790_000_000)
		var err error
		r.cutter, err = chunker.New(chunker.Config{
			Key: testKey, Broadcast: "0abc", Track: "main", Epoch: 1_790_000_000, Sealer: seal.New(secret, testChannel, "0abc", "main"),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		if err := (testpicture.Picture{Width: 320, Height: 180}).Run(ctx, r); err != nil {
			t.Fatal(err)
		}
		if err := r.end(); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// TestSealed builds the view of a private recording, which tells nothing but what everybody may know, reads it back, and
// makes the MP4 of it that its public twin gives.
func TestSealed(t *testing.T) {
	secret := seal.Secret{1, 2, 3}
	r := private(t, secret)
	src := r.source()
	src.KeyScheme = seal.Scheme
	store := maps.Clone(r.blocks)
	root, _ := build(t, src, store)
	v := checkView(t, src, store, r.blocks, root)
	if !v.Info.Private || v.Info.KeyScheme != seal.Scheme || v.Info.Version != 2 {
		t.Errorf("info: %+v", v.Info)
	}
	var names []string
	for _, f := range v.Files() {
		names = append(names, f.Path)
	}
	slices.Sort(names)
	if want := []string{"chunks.txt", "info.json", "init.sealed", "recording.sealed"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	if i := v.Info.Tracks[0]; i.Codecs != "" || i.Width != 0 || i.SampleRate != 0 || v.Tracks[0].Playlist != nil {
		t.Errorf("it tells of the media: %+v", i)
	}
	for c, b := range store {
		for _, box := range []string{"moof", "moov", "mfhd", "avc1", "#EXT"} {
			if bytes.Contains(b, []byte(box)) {
				t.Errorf("%s holds %s", c, box)
			}
		}
	}

	// The same bytes taken for a public recording, or the other way about, are not what they say.
	plain := r.source()
	other, _ := build(t, plain, maps.Clone(r.blocks))
	if other == root {
		t.Error("the view does not tell that it is private")
	}

	var got, want bytes.Buffer
	open := seal.New(secret, testChannel, "0abc", "main")
	if err := ExportMP4(t.Context(), &got, v.Tracks[0].Parts, r.blocks.get, open, 2*time.Second, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	public := show(t, testpicture.Picture{Width: 320, Height: 180}, 1_790_000_000, 7*time.Second)
	if err := ExportMP4(t.Context(), &want, public.parts, public.blocks.get, nil, 2*time.Second, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) || want.Len() == 0 {
		t.Errorf("%d bytes of MP4, its public twin has %d", got.Len(), want.Len())
	}
	got.Reset()
	if err := ExportMP4(t.Context(), &got, r.parts, r.blocks.get, seal.New(seal.Secret{9}, testChannel, "0abc", "main"), 0, 0); !errors.Is(err, seal.ErrWrong) || got.Len() > 0 {
		t.Errorf("a wrong secret: %v, %d bytes", err, got.Len())
	}
}

// TestSealedInfo wants the version, the mark and the scheme to agree.
func TestSealedInfo(t *testing.T) {
	r := private(t, seal.Secret{1})
	src := r.source()
	src.KeyScheme, src.Sign = seal.Scheme, nil
	store := maps.Clone(r.blocks)
	root, _ := build(t, src, store)
	v, err := Open(t.Context(), root, store.fetch)
	if err != nil {
		t.Fatal(err)
	}
	text, err := v.Info.encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseInfo(text); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"version 1":     {`"version": 2`, `"version": 1`},
		"version 3":     {`"version": 2`, `"version": 3`},
		"not private":   {`"private": true`, `"private": false`},
		"no scheme":     {`"key_scheme": 1`, `"key_scheme": 0`},
		"no mark":       {`"private": true,`, ``},
		"large scheme":  {`"key_scheme": 1`, `"key_scheme": 24`},
		"larger scheme": {`"key_scheme": 1`, `"key_scheme": 256`},
	} {
		other := strings.Replace(string(text), change[0], change[1], 1)
		if other == string(text) {
			t.Fatalf("%s: nothing to change in %s", name, text)
		}
		if _, err := ParseInfo([]byte(other)); !errors.Is(err, ErrHostile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	src.KeyScheme = maxScheme + 1
	if _, err := Build(t.Context(), src, func(cid.Cid, []byte) error { return nil }); !errors.Is(err, ErrSource) {
		t.Error(err)
	}
}
