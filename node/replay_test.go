package node

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/shim"
)

// TestReplayRefuses: what cannot be a recording's name is told before anything is opened.
func TestReplayRefuses(t *testing.T) {
	const good = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
	for _, c := range []struct {
		what string
		peer string
		want error
	}{
		{"", "", ErrLink},
		{"garbage", "", ErrLink},
		{"/ipfs/", "", ErrLink},
		{"/ipfs/" + good + "/recording.mp4", "", ErrLink},
		{"/ipns/" + good, "", ErrLink},
		{good[:20], "", ErrLink},
		{"https://ipfs.io/ipfs/" + good, "", ErrLink},
		{"murmur:", "", ErrLink},
		{"murmur://nobody", "", ErrLink},
		{good, "127.0.0.1:4001", ErrConfig},
		{good, "/ip4/127.0.0.1/tcp/4001", ErrConfig},
		{good, "/ip4/127.0.0.1/tcp/4001/p2p/x", ErrConfig},
	} {
		cfg := ReplayConfig{Config: local(t, "replay"), What: c.what}
		if c.peer != "" {
			cfg.Peers = []string{c.peer}
		}
		r, err := NewReplay(cfg)
		if !errors.Is(err, c.want) || err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q, peer %q: %v", c.what, c.peer, err)
		}
		if r != nil {
			r.Close()
		}
	}
	for _, what := range []string{good, "ipfs://" + good, "/ipfs/" + good + "/"} {
		r, err := NewReplay(ReplayConfig{Config: local(t, "replay"), What: what})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if r.root.String() != good {
			t.Errorf("%s: root %v", what, r.root)
		}
		r.Close()
	}
}

// replay starts a replay of something that only these peers can have.
func replay(t *testing.T, what string, peers ...string) *Replay {
	t.Helper()
	r, err := NewReplay(ReplayConfig{Config: local(t, "replay"), What: what, Peers: peers})
	if err != nil {
		t.Fatal(err)
	}
	run(t, r)
	return r
}

// addrOf returns a multiaddr with the peer ID of a node on loopback.
func addrOf(p *participant) string {
	info := p.mesh.Info()
	return info.Addrs[0].String() + "/p2p/" + info.ID.String()
}

// TestReplayFinds: a recording is found by its root and by links, from its origin; what is no recording is told apart
// from what nobody has.
func TestReplayFinds(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0", Title: "Stage"})
	run(t, o)
	id := record(t, o)
	rec, _ := o.library.store.Lookup(archive.Key{Channel: o.feed.Channel(), Broadcast: id})
	root := rec.Info().Root
	channel := o.shareLink()
	one := channel
	one.Broadcast = id
	for _, what := range []string{root.String(), one.String(), channel.String()} {
		r := replay(t, what, addrOf(o.participant))
		info, err := r.Find(t.Context())
		if err != nil || info.Broadcast != id || info.Title != "Stage" {
			t.Errorf("%s: %+v, %v", what, info, err)
			continue
		}
		if text := get(t, r.Playlist()); !strings.Contains(text, "#EXT-X-ENDLIST") {
			t.Errorf("%s: %s", what, text)
		}
		if s := r.status(); s.Role != "replay" || len(s.Recordings) == 0 || s.Recordings[0].Root != root.String() {
			t.Errorf("%s: status %+v", what, s.Recordings)
		}
		if err := r.Keep(t.Context(), nil); !errors.Is(err, ErrStore) {
			t.Errorf("kept without a store: %v", err)
		}
	}

	// Blocks that are there, and are no recordings.
	view, err := rec.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, _ := view.File("info.json")
	movie, _ := view.File("recording.mp4")
	none := map[string]cid.Cid{"a file": file.Cid, "a large file": movie.Cid, "a chunk": view.Tracks[0].Parts[0].Block}
	for _, f := range view.Info.Files {
		if f.Name == "segments" {
			if none["a folder"], err = cid.Decode(f.Cid); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range none {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := replay(t, c.String(), addrOf(o.participant)).Find(t.Context())
			if !errors.Is(err, ErrNoRecording) || !strings.Contains(err.Error(), "no recording of") || strings.Contains(err.Error(), "\n") {
				t.Error(err)
			}
		})
	}

	// Nobody has it; nobody is there; the channel does not list it.
	absent := cid.NewCidV1(cid.DagProtobuf, rootOf(7).Hash()).String()
	other := one
	other.Broadcast = "0000000000000001"
	lonely := mesh.Link{Channel: one.Channel, Broadcast: id}
	for _, c := range []struct {
		name, what string
		peers      []string
		wait       time.Duration
		says       string
	}{
		{"nobody has it", absent, []string{addrOf(o.participant)}, 2 * time.Second, "nobody"},
		{"nobody is there", root.String(), nil, 2 * time.Second, "nobody"},
		{"not listed", other.String(), nil, patience, "know of no such recording"},
		{"a link without peers", lonely.String(), nil, patience, "know of no such recording"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), c.wait)
			defer cancel()
			_, err := replay(t, c.what, c.peers...).Find(ctx)
			if !errors.Is(err, ErrNoRecording) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Error(err)
			}
		})
	}
}

// TestReplayKeeps: a replay that keeps has the whole recording afterwards, without its origin; its API has it, too.
func TestReplayKeeps(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	stop := run(t, o)
	id := record(t, o)
	newer := record(t, o)
	link := o.shareLink()
	link.Broadcast = id
	cfg := ReplayConfig{Config: local(t, "replay"), What: link.String()}
	cfg.Recordings.Dir = t.TempDir()
	r, err := NewReplay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	rec, _ := o.library.store.Lookup(archive.Key{Channel: o.feed.Channel(), Broadcast: newer})
	var car bytes.Buffer
	if err := rec.ExportCAR(t.Context(), &car, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.library.store.ImportCAR(t.Context(), &car, nil); err != nil {
		t.Fatal(err)
	}
	run(t, r)
	if _, err := r.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	// What is played stands first, whatever is kept here.
	first := func(state string) {
		t.Helper()
		s := r.status()
		if len(s.Recordings) != 2 {
			t.Fatalf("%+v", s.Recordings)
		}
		p := s.Recordings[0]
		if p.Broadcast != id || p.State != state || p.Root != r.root.String() || !strings.HasSuffix(r.Playlist(), p.URL) || !strings.HasSuffix(p.Poster, "/poster.mp4") {
			t.Errorf("first: %+v", p)
		}
		if s.Recordings[1].Broadcast != newer {
			t.Errorf("second: %+v", s.Recordings[1])
		}
	}
	first("listed")
	if err := r.Keep(t.Context(), func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	stop()
	c := client{t, r, readDescription(t, "replay")}
	if k := c.kept("GET", "recordings/"+id, "", 200); k.State != archive.Finished || k.Missing != 0 || k.Own {
		t.Errorf("%+v", k)
	}
	list, media := segments(t, r.PageURL(), id)
	if !strings.Contains(list, "#EXT-X-ENDLIST") || len(media) < 3 {
		t.Errorf("%d segments: %s", len(media), list)
	}
	first(string(archive.Finished))
	until(t, r.PageURL(), "it in the status", func(s shim.Status) bool { return finished(s, id) })
	if code := statusOf(t, r.PageURL()+"ipfs/"+r.root.String()+"/recording.mp4"); code != http.StatusOK {
		t.Errorf("recording.mp4: %d", code)
	}
}
