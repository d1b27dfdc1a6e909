package node

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/shim"
	"murmuration/playlist"
)

var (
	first = envelope.ID{}
	last  = envelope.ID{Epoch: math.MaxUint64, Seq: math.MaxUint64}
	end   = playlist.ID{Epoch: math.MaxUint64, Seq: math.MaxUint64}
)

// TestPastFromRecording: peers and players get from a recording what it holds, and are told where there is none.
func TestPastFromRecording(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	run(t, o)
	key := archive.Key{Channel: o.feed.Channel(), Broadcast: record(t, o)}
	rec, _ := o.library.store.Lookup(key)
	track, ok := rec.Track(mainTrack)
	if !ok {
		t.Fatal("no track")
	}
	all, more := track.Range(first, last, math.MaxInt32, math.MaxInt32)
	if len(all) < 10 || more {
		t.Fatalf("%d chunks, %t", len(all), more)
	}
	p := &past{name: mainTrack, recording: func() (*archive.Recording, bool) { return o.library.store.Lookup(key) }}

	// As peers ask.
	if got, more := p.Range(all[2].ID(), last, 3, math.MaxInt32); len(got) != 3 || got[0].ID() != all[2].ID() || !more {
		t.Errorf("Range: %d, %t", len(got), more)
	}
	if got, _ := p.Latest(0, 100, math.MaxInt32); len(got) == 0 || !got[0].Flags.Has(envelope.Independent) {
		t.Errorf("Latest: %d", len(got))
	}
	if id, ok := p.Newest(); !ok || id != all[len(all)-1].ID() {
		t.Errorf("Newest: %v, %t", id, ok)
	}
	if c, ok := p.Chunk(all[1].ID()); !ok || string(c.Block) != string(all[1].Block) {
		t.Errorf("Chunk: %t", ok)
	}
	init := all[0].Envelope.Init
	if b, ok := p.Init(init); !ok || string(b) != string(all[0].Init) {
		t.Errorf("Init: %t", ok)
	}
	entries, more := p.Index(first, last, 4)
	if len(entries) != 4 || !more {
		t.Errorf("Index: %d, %t", len(entries), more)
	}
	entries, more = p.Index(first, last, len(all))
	if len(entries) != len(all) || more {
		t.Errorf("Index of all: %d of %d, %t", len(entries), len(all), more)
	}

	// As players ask.
	ctx := t.Context()
	parts, err := p.Parts(ctx, end)
	if err != nil || len(parts) != len(all) {
		t.Errorf("Parts: %d of %d, %v", len(parts), len(all), err)
	}
	for i, part := range parts {
		if part.Seq != all[i].Seq || part.Independent != all[i].Flags.Has(envelope.Independent) {
			t.Errorf("part %d: %+v", i, part)
		}
		if again := partOf(entryOf(part)); !reflect.DeepEqual(again, part) {
			t.Errorf("through the index: %+v, was %+v", again, part)
		}
	}
	if parts, err := p.Parts(ctx, playlist.ID(all[3].ID())); err != nil || len(parts) != 3 {
		t.Errorf("Parts before the fourth: %d, %v", len(parts), err)
	}
	from, to := playlist.ID(all[2].ID()), playlist.ID(all[5].ID())
	if got, err := p.Chunks(ctx, from, to); err != nil || len(got) != 4 {
		t.Errorf("Chunks: %d, %v", len(got), err)
	}
	if _, err := p.Chunks(ctx, from, playlist.ID{Epoch: from.Epoch, Seq: from.Seq + uint64(len(all))}); !errors.Is(err, shim.ErrGone) {
		t.Errorf("more than there is: %v", err)
	}
	h := history{p}
	if b, err := h.Init(ctx, init.String()); err != nil || len(b) == 0 {
		t.Errorf("history.Init: %v", err)
	}
	for _, name := range []string{"", "x", rootOf(3).String()} {
		if _, err := h.Init(ctx, name); err == nil {
			t.Errorf("an init segment named %q", name)
		}
	}

	// The view alone tells players the same.
	view, err := rec.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	v := viewPast{track: "main", parts: view.Tracks[0].Parts, get: o.library.blockOf(p.recording)}
	seen, err := v.Parts(ctx, end)
	if err != nil || len(seen) != len(parts) {
		t.Errorf("view: %d parts of %d, %v", len(seen), len(parts), err)
	}
	got, err := v.Chunks(ctx, from, to)
	if err != nil || len(got) != 4 {
		t.Fatalf("view: %d chunks, %v", len(got), err)
	}
	for i, c := range got {
		was := all[2+i]
		if c.ID() != was.ID() || string(c.Block) != string(was.Block) || c.Flags&envelope.Independent != was.Flags&envelope.Independent || c.Envelope.Init != was.Envelope.Init {
			t.Errorf("view: chunk %v differs from %v", c.ID(), was.ID())
		}
	}
	if b, err := v.Init(ctx, init.String()); err != nil || string(b) != string(all[0].Init) {
		t.Errorf("view: init segment: %v", err)
	}
	if _, err := v.Chunks(ctx, from, playlist.ID{Epoch: from.Epoch, Seq: from.Seq + uint64(len(all))}); !errors.Is(err, shim.ErrGone) {
		t.Errorf("view: more than there is: %v", err)
	}

	// Deleted meanwhile: players are told that it will not come back.
	if err := o.library.store.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Chunks(ctx, from, to); !errors.Is(err, shim.ErrGone) {
		t.Errorf("deleted: %v", err)
	}
	if _, err := v.Chunks(ctx, from, to); !errors.Is(err, shim.ErrGone) {
		t.Errorf("view, deleted: %v", err)
	}
	for _, p := range []*past{p, {name: mainTrack}} {
		chunks, more := p.Range(first, last, 10, math.MaxInt32)
		latest, _ := p.Latest(0, 10, math.MaxInt32)
		_, newest := p.Newest()
		_, one := p.Chunk(first)
		_, init := p.Init(init)
		var entries []mesh.IndexEntry
		entries, indexed := p.Index(first, last, 10)
		parts, err := p.Parts(ctx, end)
		if len(chunks)+len(latest)+len(entries)+len(parts) > 0 || more || newest || one || init || indexed || err != nil {
			t.Errorf("there is something where nothing is: %v", err)
		}
	}
}
