package unixfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"murmuration/playlist"

	"github.com/ipfs/boxo/ipld/unixfs/hamt"
	"github.com/ipfs/go-cid"
)

// TestRestart checks a broadcast whose origin was killed: its decode times begin anew, so there are two MP4s, and one
// playlist that plays through.
func TestRestart(t *testing.T) {
	r := restarted(t)
	store := maps.Clone(r.blocks)
	root, _ := build(t, r.source(), store)
	v := checkView(t, r.source(), store, r.blocks, root)
	if n := len(v.Tracks[0].Info.Recordings); n != 2 {
		t.Errorf("%d recordings", n)
	}
	dir := unpack(t, store, root)
	var pictures int
	for _, name := range []string{"recording.mp4", "recording-2.mp4"} {
		quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", filepath.Join(dir, name), "-f", "null", "-")
		pictures += len(frames(t, "-i", filepath.Join(dir, name))["0"])
	}
	quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", filepath.Join(dir, "index.m3u8"), "-f", "null", "-")
	if got := len(strings.Fields(quiet(t, "ffprobe", "-v", "warning", "-select_streams", "v", "-show_entries", "packet=size", "-of", "csv=p=0",
		filepath.Join(dir, "index.m3u8")))); got != pictures || got != 300 {
		t.Errorf("%d pictures in the MP4s, %d in the playlist, want 300", pictures, got)
	}
	// An origin that goes on with the timeline gives one MP4.
	parts := slices.Clone(r.parts)
	var end uint64
	for i, p := range parts {
		if p.Epoch == 1000 {
			end = p.DecodeTime + uint64(p.Duration) + 9000
		} else {
			parts[i].DecodeTime += end
		}
	}
	if l := lay(parts, 0, func(cid.Cid) bool { return true }); len(l.movies) != 1 || len(l.list.Segments) == 0 {
		t.Errorf("%d MP4s where the timeline goes on", len(l.movies))
	}
}

// TestHoles checks a recording with chunks lost: what cannot be decoded is kept apart, the rest plays.
func TestHoles(t *testing.T) {
	r := testPicture(t)
	src := r.source()
	parts := slices.Concat(r.parts[3:10], r.parts[11:30], r.parts[33:len(r.parts)-1])
	src.Tracks = []Track{{Name: "main", Parts: parts}, {Name: "empty"}}
	store := blocks{}
	for _, p := range parts {
		store[p.Block], store[p.Init] = r.blocks[p.Block], r.blocks[p.Init]
	}
	media := maps.Clone(store)
	root, _ := build(t, src, store)
	v := checkView(t, src, store, media, root)
	info := v.Tracks[0].Info
	want := []Gap{{1_790_000_000, 0, 2}, {1_790_000_000, 10, 10}, {1_790_000_000, 30, 32}}
	if !slices.Equal(info.Gaps, want) || info.Complete || info.Strays != 5+5+7 || len(info.Recordings) != 1 {
		t.Errorf("%+v", info)
	}
	dir := unpack(t, store, root)
	quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", filepath.Join(dir, "recording.mp4"), "-f", "null", "-")
	quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", filepath.Join(dir, "index.m3u8"), "-f", "null", "-")
}

// TestTracks checks a recording of several tracks: a folder each, and a playlist of them all.
func TestTracks(t *testing.T) {
	r := testPicture(t)
	src := r.source()
	sound := soundOf(t)
	for c, b := range sound.blocks {
		if _, ok := r.blocks[c]; !ok {
			r.blocks[c] = b
			defer delete(r.blocks, c)
		}
	}
	src.Tracks = append(src.Tracks, Track{Name: "sv", Parts: sound.parts})
	store := maps.Clone(r.blocks)
	root, _ := build(t, src, store)
	v := checkView(t, src, store, r.blocks, root)
	if _, ok := v.File("sv/recording.mp4"); !ok || len(v.Tracks) != 2 {
		t.Errorf("files: %v", v.Files())
	}
	dir := unpack(t, store, root)
	variants, err := playlist.ParseMultivariant(read(t, dir, "index.m3u8"))
	if err != nil || len(variants) != 1 || variants[0].URI != "main/index.m3u8" || variants[0].Audio != "sound" {
		t.Errorf("variants %+v: %v", variants, err)
	}
	quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", filepath.Join(dir, "index.m3u8"), "-f", "null", "-")
	quiet(t, "ffmpeg", "-nostdin", "-v", "warning", "-i", filepath.Join(dir, "sv", "recording.mp4"), "-f", "null", "-")
}

func soundOf(t *testing.T) *recorder {
	return played(t, 1_790_000_000, "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=12", "-c:a", "aac")
}

// made is a broadcast of n chunks that are no media, for what only counts them.
func made(n, size int) (Source, blocks) {
	store := blocks{}
	init := []byte("init")
	initID := rawCID(init)
	store[initID] = init
	parts := make([]Part, n)
	for i := range parts {
		b := make([]byte, 8)
		binary.BigEndian.PutUint64(b, uint64(i))
		parts[i] = Part{
			Part: playlist.Part{
				Epoch: 1_790_000_000, Seq: uint64(i), Timescale: 90000, DecodeTime: uint64(i) * 22500, Duration: 22500, Independent: i%8 == 0,
				Captured: time.Date(2026, 9, 21, 9, 0, 0, 0, time.UTC).Add(time.Duration(i)*250*time.Millisecond + time.Duration(i*7919%3001)*time.Microsecond),
				Init:     initID.String(), Size: size - i%101,
			},
			Block: rawCID(b), Init: initID, InitSize: len(init),
		}
	}
	return Source{
		Channel: testChannel, Broadcast: "0abc", Started: parts[0].Captured, Ended: parts[n-1].Captured, Sign: testSign,
		Tracks: []Track{{Name: "main", Parts: parts}}, Block: store.get,
	}, store
}

// TestOverhead bounds what a view adds to its media: chunks of 94 kB, a minute and four hours of them.
func TestOverhead(t *testing.T) {
	for _, minutes := range []int{1, 240} {
		src, store := made(minutes*240, 94_000)
		var media int64
		for _, p := range src.Tracks[0].Parts {
			media += int64(p.Size)
		}
		begin := time.Now()
		root, own := build(t, src, store)
		took := time.Since(begin)
		share := float64(own) / float64(media)
		gets := 0
		begin = time.Now()
		v, err := Open(t.Context(), root, (&counting{store, &gets}).fetch)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d min: %d bytes over %d of media, %.3f %%; built in %v; opened in %v by %d requests",
			minutes, own, media, 100*share, took, time.Since(begin), gets)
		if share > 0.015 {
			t.Errorf("%d min: %.2f %% of the media", minutes, 100*share)
		}
		if len(v.Blocks()) != len(src.Tracks[0].Parts)+1 {
			t.Errorf("%d blocks", len(v.Blocks()))
		}
	}
}

type counting struct {
	blocks
	n *int
}

func (s *counting) fetch(_ context.Context, c cid.Cid) ([]byte, error) {
	fetching.Lock()
	defer fetching.Unlock()
	*s.n++
	return s.get(c)
}

// TestShards compares a sharded folder with boxo's, node by node.
func TestShards(t *testing.T) {
	for _, n := range []int{1, 2, 300, 9000} {
		ours, theirs := blocks{}, dagService{blocks{}}
		w := writer{done: map[cid.Cid]bool{}, put: func(c cid.Cid, b []byte) error { ours[c] = b; return nil }}
		var entries []link
		reference, err := hamt.NewShard(theirs, fanout)
		if err != nil {
			t.Fatal(err)
		}
		reference.SetCidBuilder(pbCID(nil).Prefix())
		for i := range n {
			b := fmt.Appendf(nil, "file %d", i)
			leaf := link{name: playlist.SegmentURI(1_790_000_000, uint64(i)*8, uint64(i)*8+7), cid: rawCID(b), size: uint64(len(b)), tree: uint64(len(b))}
			theirs.blocks[leaf.cid] = b
			entries = append(entries, leaf)
			node, err := theirs.Get(t.Context(), leaf.cid)
			if err != nil {
				t.Fatal(err)
			}
			if err := reference.Set(t.Context(), leaf.name, node); err != nil {
				t.Fatal(err)
			}
		}
		root, err := w.shard(slices.Clone(entries), 0)
		if err != nil {
			t.Fatal(err)
		}
		node, err := reference.Node()
		if err != nil {
			t.Fatal(err)
		}
		if node.Cid() != root.cid {
			t.Errorf("%d entries: root %s, boxo's %s", n, root.cid, node.Cid())
		}
		o := &opener{get: ours.fetch, data: blocks{}, known: map[cid.Cid]int64{}}
		got, err := o.directory(t.Context(), root.cid)
		if err != nil || len(got) != n {
			t.Fatalf("%d of %d entries: %v", len(got), n, err)
		}
		for _, e := range entries {
			if got[e.name].cid != e.cid {
				t.Fatalf("%s: %v", e.name, got[e.name])
			}
		}
	}
}

// TestSource checks that what cannot be a recording is refused.
func TestSource(t *testing.T) {
	put := func(cid.Cid, []byte) error { return nil }
	for name, change := range map[string]func(*Source){
		"no broadcast": func(s *Source) { s.Broadcast = "" },
		"two of a name": func(s *Source) {
			s.Tracks = append(s.Tracks, s.Tracks[0])
		},
		"disorder": func(s *Source) {
			s.Tracks[0].Parts[3], s.Tracks[0].Parts[4] = s.Tracks[0].Parts[4], s.Tracks[0].Parts[3]
		},
		"twice":        func(s *Source) { s.Tracks[0].Parts[3] = s.Tracks[0].Parts[4] },
		"no block":     func(s *Source) { s.Tracks[0].Parts[3].Block = cid.Undef },
		"long title":   func(s *Source) { s.Title = strings.Repeat("x", maxTitle+1) },
		"bad signer":   func(s *Source) { s.Sign = func([]byte) []byte { return []byte("short") } },
		"strange name": func(s *Source) { s.Tracks[0].Name = "../x" },
	} {
		src, _ := made(20, 1000)
		change(&src)
		if _, err := Build(t.Context(), src, put); !errors.Is(err, ErrSource) {
			t.Errorf("%s: %v", name, err)
		}
	}
	src, _ := made(20, 1000)
	src.Block = blocks{}.get // the init segment is lost
	if _, err := Build(t.Context(), src, put); !errors.Is(err, ErrEmpty) {
		t.Errorf("no init segment: %v", err)
	}
	failing := errors.New("disk full")
	src, _ = made(20, 1000)
	if _, err := Build(t.Context(), src, func(cid.Cid, []byte) error { return failing }); !errors.Is(err, failing) {
		t.Errorf("put fails: %v", err)
	}
}

// TestStill checks the poster: made from the first chunk after some seconds, left out where it cannot be made.
func TestStill(t *testing.T) {
	r := testPicture(t)
	src := r.source()
	for name, tc := range map[string]struct {
		still []byte
		err   error
		want  bool
	}{
		"made":   {[]byte("jpeg"), nil, true},
		"failed": {nil, errors.New("no decoder"), false},
		"none":   {nil, nil, false},
		"large":  {make([]byte, maxStill+1), nil, false},
	} {
		src.Still = func(_ context.Context, mp4 []byte) ([]byte, error) {
			if !bytes.HasSuffix(mp4, r.blocks[r.parts[24].Block]) {
				t.Error("not the first chunk with a random access point after 5 s")
			}
			return tc.still, tc.err
		}
		store := maps.Clone(r.blocks)
		root, _ := build(t, src, store)
		v := checkView(t, src, store, r.blocks, root)
		if _, ok := v.File("poster.jpg"); ok != tc.want {
			t.Errorf("%s: poster.jpg %v", name, ok)
		}
		if _, ok := v.File("poster.mp4"); !ok {
			t.Errorf("%s: no poster.mp4", name)
		}
	}
}
