package unixfs

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
)

// forged is a view that somebody else makes of the parts of an honest one.
type forged struct {
	store blocks
	info  *Info
	files map[string]link
}

func forge(t testing.TB) (*forged, cid.Cid) {
	t.Helper()
	src, store := made(20, 1000)
	root, _ := build(t, src, store)
	o := &opener{get: store.fetch, data: blocks{}, known: map[cid.Cid]int64{}}
	files, err := o.directory(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Open(t.Context(), root, store.fetch)
	if err != nil {
		t.Fatal(err)
	}
	return &forged{store: maps.Clone(store), info: v.Info, files: files}, root
}

func (f *forged) writer() *writer {
	return &writer{done: map[cid.Cid]bool{}, put: func(c cid.Cid, b []byte) error { f.store[c] = b; return nil }}
}

func (f *forged) text(name string, b []byte) {
	l, err := f.writer().small(b)
	if err != nil {
		panic(err)
	}
	l.name = name
	f.files[name] = l
}

// root seals the directory, with an info.json that fits and is signed.
func (f *forged) root(t testing.TB) cid.Cid {
	t.Helper()
	f.info.Files = nil
	var entries []link
	for _, l := range sorted(f.files) {
		if l.name != "info.json" {
			f.info.Files = append(f.info.Files, File{Name: l.name, Cid: l.cid.String(), Size: int64(l.size)})
			entries = append(entries, l)
		}
	}
	text, err := f.info.encode(testSign)
	if err != nil {
		t.Fatal(err)
	}
	f.text("info.json", text)
	dir, err := f.writer().directory(append(entries, f.files["info.json"]))
	if err != nil {
		t.Fatal(err)
	}
	return dir.cid
}

// tower is a file of a node with width links to the next, and so on: width^height leaves of one block.
func (f *forged) tower(width, height int) link {
	b := []byte("brick")
	l := link{cid: rawCID(b), size: 5, tree: 5}
	f.store[l.cid] = b
	for range height {
		n := &node{kind: typeFile, hasSize: true}
		for range width {
			n.links = append(n.links, link{cid: l.cid, tree: l.tree})
			n.blocksizes = append(n.blocksizes, l.size)
			n.filesize += l.size
		}
		var err error
		if l, err = f.writer().node(n, n.filesize); err != nil {
			panic(err)
		}
	}
	return l
}

func TestHostile(t *testing.T) {
	f, _ := forge(t)
	if _, err := Open(t.Context(), f.root(t), f.store.fetch); err != nil {
		t.Fatalf("nothing changed: %v", err)
	}
	put := func(f *forged, name string, l link) {
		l.name = name
		f.files[name] = l
	}
	for name, change := range map[string]func(*forged){
		"a bomb as recording": func(f *forged) { put(f, "recording.mp4", f.tower(1000, 4)) },
		"a bomb as playlist":  func(f *forged) { put(f, "index.m3u8", f.tower(1000, 4)) },
		"a bomb of its own":   func(f *forged) { put(f, "extra", f.tower(1000, 3)) },
		"a tower":             func(f *forged) { put(f, "extra", f.tower(1, 9)) },
		"foreign media":       func(f *forged) { put(f, "extra.mp4", f.tower(1, 1)) },
		"foreign segments": func(f *forged) {
			l, _ := f.writer().directory([]link{{name: "s-1-2-3.m4s", cid: f.tower(1, 0).cid, tree: 5}})
			put(f, "segments", l)
		},
		"a folder in a folder": func(f *forged) { put(f, "extra", f.files["segments"]) },
		"folder as recording":  func(f *forged) { put(f, "recording.mp4", f.files["segments"]) },
		"file as folder":       func(f *forged) { put(f, "segments", f.files["recording.mp4"]) },
		"no recording":         func(f *forged) { delete(f.files, "recording.mp4") },
		"no playlist":          func(f *forged) { delete(f.files, "index.m3u8") },
		"no segments":          func(f *forged) { delete(f.files, "segments") },
		"no init segment":      func(f *forged) { delete(f.files, "init.mp4") },
		"a way out":            func(f *forged) { put(f, "../../etc/passwd", f.files["index.m3u8"]) },
		"a hidden file":        func(f *forged) { put(f, ".profile", f.files["index.m3u8"]) },
		"a name of newlines":   func(f *forged) { put(f, "a\nb", f.files["index.m3u8"]) },
		"a playlist of rubbish": func(f *forged) {
			f.text("index.m3u8", []byte("#EXTM3U\nhttps://example.org/elsewhere\n"))
		},
		"chunks of rubbish":  func(f *forged) { f.text(chunksName, []byte("rubbish")) },
		"no chunks":          func(f *forged) { f.text(chunksName, []byte(chunksHead)) },
		"other chunks":       func(f *forged) { f.text(chunksName, []byte(chunksHead+"run 1 0 90000 0 1 0\n22500 1 1000 0\n")) },
		"too many tracks":    func(f *forged) { f.info.Tracks = slices.Repeat(f.info.Tracks, maxTracks+1) },
		"a track elsewhere":  func(f *forged) { f.info.Tracks[0].Path = "../" },
		"another version":    func(f *forged) { f.info.Version = 2 },
		"no channel":         func(f *forged) { f.info.Channel = "QmNo" },
		"two tracks, no dir": func(f *forged) { f.info.Tracks = slices.Repeat(f.info.Tracks, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := forge(t)
			change(f)
			if _, err := Open(t.Context(), f.root(t), f.store.fetch); !errors.Is(err, ErrHostile) {
				t.Error(err)
			}
		})
	}
}

// TestLies checks that what comes for a CID is held against it, for every block of a view, and that a store's own
// errors come through.
func TestLies(t *testing.T) {
	f, root := forge(t)
	asked := map[cid.Cid]bool{}
	if _, err := Open(t.Context(), root, func(_ context.Context, c cid.Cid) ([]byte, error) {
		fetching.Lock()
		defer fetching.Unlock()
		asked[c] = true
		return f.store.get(c)
	}); err != nil {
		t.Fatal(err)
	}
	for bad := range asked {
		for lie, want := range map[string]error{"other bytes": ErrHostile, "too many": ErrHostile, "none": errMissing} {
			if _, err := Open(t.Context(), root, func(_ context.Context, c cid.Cid) ([]byte, error) {
				switch {
				case c != bad:
					return f.store.get(c)
				case lie == "none":
					return nil, errMissing
				case lie == "too many":
					return make([]byte, maxNode+1), nil
				}
				return append(bytes.Clone(f.store[c]), 0), nil
			}); !errors.Is(err, want) {
				t.Errorf("%s: %v", lie, err)
			}
		}
	}
	for _, c := range []cid.Cid{cid.Undef, rawCID(nil), cid.NewCidV0(pbCID(nil).Hash())} {
		if _, err := Open(t.Context(), c, f.store.fetch); !errors.Is(err, ErrHostile) {
			t.Errorf("root %s: %v", c, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, root, func(ctx context.Context, _ cid.Cid) ([]byte, error) { return nil, ctx.Err() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestSignature checks what the signature is over, and that nothing else passes.
func TestSignature(t *testing.T) {
	src, store := made(20, 1000)
	src.Title = "a \"signature\": \"in\n\"\n}\n the title"
	root, _ := build(t, src, store)
	v, err := Open(t.Context(), root, store.fetch)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Info.Verify(testChannel); err != nil || v.Info.Title != src.Title {
		t.Errorf("title %q: %v", v.Info.Title, err)
	}
	file, _ := v.File("info.json")
	text := string(store[file.Cid])
	// As FORMAT.md has it: up to the comma before the last line but one.
	signed := text[:strings.LastIndex(text, ",\n  \"signature\": \"")]
	if !ed25519.Verify(testChannel[:], []byte("murmuration recording v1\x00"+signed), v.Info.Signature) {
		t.Error("the signature is not over what FORMAT.md says")
	}
	other := testChannel
	other[0]++
	if err := v.Info.Verify(other); !errors.Is(err, ErrSignature) {
		t.Errorf("another channel: %v", err)
	}
	for _, change := range [][2]string{{"0abc", "0abd"}, {"\"bytes\": ", "\"bytes\": 1"}, {"\n  \"signature\"", "\n\n  \"signature\""}, {"==\"", "\""}} {
		changed, err := ParseInfo([]byte(strings.Replace(text, change[0], change[1], 1)))
		if err != nil {
			continue
		}
		if err := changed.Verify(testChannel); !errors.Is(err, ErrSignature) {
			t.Errorf("%q for %q passes: %v", change[1], change[0], err)
		}
	}
	src.Sign = nil
	root, _ = build(t, src, store)
	if v, err = Open(t.Context(), root, store.fetch); err != nil {
		t.Fatal(err)
	}
	if err := v.Info.Verify(testChannel); !errors.Is(err, ErrSignature) {
		t.Errorf("unsigned: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	_, store := made(20, 1000)
	src, _ := made(20, 1000)
	build(f, src, store)
	for c, b := range store {
		if c.Type() == cid.DagProtobuf {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := decode(b)
		if err == nil && !bytes.Equal(n.encode(), b) {
			t.Error("not the same again")
		}
		if err != nil && !errors.Is(err, ErrHostile) {
			t.Error(err)
		}
		_, _ = decodeFile(b)
	})
}

func FuzzParseInfo(f *testing.F) {
	v, _ := forge(f)
	text, err := v.info.encode(testSign)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("{\n  \"version\": 1\n}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := ParseInfo(b)
		if err != nil {
			if !errors.Is(err, ErrHostile) {
				t.Error(err)
			}
			return
		}
		if i.Verify(testChannel) == nil && !bytes.Contains(text, i.signed) {
			t.Errorf("signed: %q", b)
		}
	})
}

// FuzzOpen: whatever a channel signs as chunks and playlist, and whatever node stands for its recording, Open says
// either what it is or that it is hostile.
func FuzzOpen(f *testing.F) {
	v, _ := forge(f)
	f.Add(v.store[v.files[chunksName].cid], v.store[v.files["index.m3u8"].cid], v.store[v.files["recording.mp4"].cid])
	f.Add([]byte(chunksHead+"run 1 0 1 0 1 0\n4294967295 1 1000 0\n4294967295 0 1 -5\n"), []byte("#EXTM3U\n#EXT-X-TARGETDURATION:1\n"), []byte{})
	f.Fuzz(func(t *testing.T, chunks, list, movie []byte) {
		v, _ := forge(t)
		v.text(chunksName, chunks)
		v.text("index.m3u8", list)
		l := link{name: "recording.mp4", cid: pbCID(movie), tree: uint64(len(movie))}
		v.store[l.cid] = movie
		v.files[l.name] = l
		if _, err := Open(t.Context(), v.root(t), v.store.fetch); err != nil && !errors.Is(err, ErrHostile) {
			t.Error(err)
		}
		if parts, err := parseChunks(chunks, []Link{{Cid: rawCID([]byte("init")), Size: 4}}); err == nil {
			l := lay(parts, 0, func(cid.Cid) bool { return true })
			again, err := parseChunks(encodeChunks(l), []Link{{Cid: rawCID([]byte("init")), Size: 4}})
			if err != nil && len(l.inits) > 0 {
				t.Fatal(err)
			}
			for i, p := range again {
				if p.ID() != parts[i].ID() || p.Duration != parts[i].Duration || !p.Captured.Equal(parts[i].Captured) {
					t.Fatalf("%+v became %+v", parts[i], p)
				}
			}
		}
	})
}
