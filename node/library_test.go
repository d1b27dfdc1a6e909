package node

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/archive/exchange"
	"murmuration/node/shim"
)

// TestLibraryLocked: a second process on one folder is told which one has it, and how to do without.
func TestLibraryLocked(t *testing.T) {
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"}
	cfg.Recordings.Dir = t.TempDir()
	run(t, newOrigin(t, cfg))
	const root = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
	other := func(name string) Config {
		c := local(t, name)
		c.Recordings.Dir = cfg.Recordings.Dir
		return c
	}
	link := "murmur://" + mesh.ChannelName(stage)
	for says, open := range map[string]func() error{
		"--no-record":        func() error { _, err := NewOrigin(OriginConfig{Config: other("a"), RTMP: "127.0.0.1:0"}); return err },
		"leave out --record": func() error { _, err := NewViewer(ViewerConfig{Config: other("b"), Link: link}); return err },
		"leave out --keep":   func() error { _, err := NewReplay(ReplayConfig{Config: other("c"), What: root}); return err },
	} {
		err := open()
		if !errors.Is(err, ErrStore) || !errors.Is(err, archive.ErrLocked) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "process ") {
			t.Errorf("%q: %v", says, err)
		}
	}
	if _, err := FindKeeper(cfg.Recordings.Dir); err != nil {
		t.Errorf("a refused process took the other's file away: %v", err)
	}
}

// TestLibraryBlocks: blocks come from the store and from the records in memory; where nothing is kept, from these alone.
func TestLibraryBlocks(t *testing.T) {
	s, err := archive.Open(archive.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data := []byte("a record")
	held, absent := envelope.RawCID(data), envelope.RawCID([]byte("another"))
	for _, l := range []*library{{}, {store: s}} {
		l.bulletin = block{held, data}
		ctx := t.Context()
		if b, err := l.Get(ctx, held); err != nil || string(b) != string(data) {
			t.Errorf("%q, %v", b, err)
		}
		if n, err := l.GetSize(ctx, held); err != nil || n != len(data) {
			t.Errorf("%d, %v", n, err)
		}
		if ok, err := l.Has(ctx, held); !ok || err != nil {
			t.Errorf("%t, %v", ok, err)
		}
		if _, err := l.Get(ctx, absent); !errors.Is(err, archive.ErrNotFound) {
			t.Errorf("%v", err)
		}
		if _, err := l.GetSize(ctx, absent); !errors.Is(err, archive.ErrNotFound) {
			t.Errorf("%v", err)
		}
		if ok, err := l.Has(ctx, absent); ok || err != nil {
			t.Errorf("%t, %v", ok, err)
		}
		if _, ok := l.small(cid.Undef); ok {
			t.Error("the undefined CID has a block")
		}
		if roots := l.roots(); len(roots) != 1 || roots[0] != held {
			t.Errorf("announced: %v", roots)
		}
	}
}

// TestLibraryListed: of a channel's records the newest counts, and its recordings come newest first.
func TestLibraryListed(t *testing.T) {
	l := &library{records: map[envelope.Channel]mesh.Record{}}
	l.learn(mesh.Record{Channel: stage, Recordings: []mesh.RecordingInfo{entry(9)}})
	l.learn(mesh.Record{Channel: stage, Recordings: []mesh.RecordingInfo{entry(3), entry(1), entry(2)}})
	l.learn(mesh.Record{Channel: envelope.Channel{9}, Recordings: []mesh.RecordingInfo{entry(7)}})
	got := ""
	for _, r := range l.listed(stage) {
		got += r.Broadcast + " "
	}
	if got != "t1 t2 t3 " {
		t.Error(got)
	}
	l.listed(stage)[0].Broadcast = "changed"
	if l.listed(stage)[0].Broadcast != "t1" {
		t.Error("the caller changes the list")
	}
	if list := l.kept(stage); list != nil {
		t.Errorf("kept without a store: %v", list)
	}
}

// TestReplicas: by the DHT, a seed and an origin learn that the other has a recording; the channel's name leads to it for
// one who knows nothing else.
func TestReplicas(t *testing.T) {
	dht := func(c Config, of ...*participant) Config {
		c.Recordings.Routing, c.Recordings.Prefix = exchange.RoutingServer, "/murmur-test"
		c.Recordings.Bootstrap = nil
		for _, p := range of {
			c.Recordings.Bootstrap = append(c.Recordings.Bootstrap, p.mesh.Info())
		}
		return c
	}
	o := newOrigin(t, OriginConfig{Config: dht(local(t, "origin")), RTMP: "127.0.0.1:0"})
	run(t, o)
	seed, err := NewSeed(SeedConfig{Config: dht(local(t, "seed"), o.participant), Links: []string{o.Link()}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, seed)
	id := record(t, o)
	until(t, seed.PageURL(), "the recording", func(s shim.Status) bool { return finished(s, id) })
	seen := 0
	for _, c := range []client{newClient(t, o), {t, seed, readDescription(t, "seed")}} {
		p := o.participant
		if seen++; seen == 2 {
			p = seed.participant
		}
		root := c.kept("GET", "recordings/"+id, "", 200).Root
		decoded, err := cid.Decode(root)
		if err != nil {
			t.Fatal(err)
		}
		late := time.Now().Add(patience)
		for {
			p.library.census(p.shim.Changed).ask(t.Context(), decoded)
			if r := c.kept("GET", "recordings/"+id, "", 200).Replicas; r != nil && *r == 1 {
				break
			}
			if time.Now().After(late) {
				t.Fatal("the other one is not counted")
			}
			time.Sleep(100 * time.Millisecond)
		}
		until(t, c.o.PageURL(), "it in the status", func(s shim.Status) bool { return s.Recordings[0].Replicas == 1 })
	}

	link := o.shareLink()
	link.Broadcast, link.Peers = id, nil
	r, err := NewReplay(ReplayConfig{Config: dht(local(t, "replay"), seed.participant), What: link.String()})
	if err != nil {
		t.Fatal(err)
	}
	run(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if info, err := r.Find(ctx); err != nil || info.Broadcast != id {
		t.Errorf("by the channel's name: %v", err)
	}
	if code := statusOf(t, o.PageURL()+"ipns/"+mesh.ChannelName(link.Channel)); code != http.StatusOK {
		t.Errorf("the channel's name at its origin: %d", code)
	}
}
