package mesh

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func testRecord(title string, live ...string) Record {
	r := Record{Title: title}
	for i, id := range live {
		r.Broadcasts = append(r.Broadcasts, BroadcastInfo{
			ID: id, Title: "Talk " + id, Started: time.Date(2026, 11, 22, 12, i, 0, 0, time.UTC),
			Tracks: []TrackInfo{{Name: "main", Codecs: "avc1.64001f,mp4a.40.2", Width: 1920, Height: 1080, Bitrate: 3_000_000}},
		})
	}
	return r
}

func mustFollow(t *testing.T, n *Node) *Feed {
	t.Helper()
	f, err := n.Follow(testTrack.Channel)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFollowFromOneBroadcastToTheNext: who knows only the channel learns at once what is on, what ended and what began.
func TestFollowFromOneBroadcastToTheNext(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, w *internet) {
		origin := w.node(Config{Role: Origin}, 100, 100)
		of := mustFollow(t, origin)
		seed := w.node(Config{Role: Seed}, 100, 100)
		mustFollow(t, seed)
		w.connect(seed, origin)
		viewer := w.node(Config{Avoid: []peer.ID{origin.ID()}}, 20, 100)
		vf := mustFollow(t, viewer)
		w.connect(viewer, seed)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		time.Sleep(time.Second)
		if _, ok := vf.Latest(); ok {
			t.Fatal("a record from nowhere")
		}

		say := func(r Record) {
			t.Helper()
			if err := of.Publish(ctx, channelKey, r); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			got, err := vf.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(begin); d > 100*time.Millisecond {
				t.Errorf("the record took %v", d)
			}
			if !got.sameContent(func() Record { r.Channel = testTrack.Channel; return r }()) {
				t.Errorf("got %+v", got)
			}
		}
		first := testRecord("FOSDEM", "talk1")
		say(first)
		if b, ok := mustLatest(t, vf).Current(); !ok || b.ID != "talk1" {
			t.Errorf("on now: %v, %v", b.ID, ok)
		}
		ended := testRecord("FOSDEM", "talk1")
		ended.Broadcasts[0].Ended = time.Date(2026, 11, 22, 12, 40, 0, 0, time.UTC)
		say(ended)
		if _, ok := mustLatest(t, vf).Current(); ok {
			t.Error("an ended broadcast is on")
		}
		both := testRecord("FOSDEM", "talk1", "talk2")
		both.Broadcasts[0].Ended = ended.Broadcasts[0].Ended
		say(both)
		if b, ok := mustLatest(t, vf).Current(); !ok || b.ID != "talk2" {
			t.Errorf("on now: %v, %v", b.ID, ok)
		}

		// A latecomer learns it by asking, though nothing new is published.
		late := w.node(Config{Avoid: []peer.ID{origin.ID()}}, 20, 100)
		lf := mustFollow(t, late)
		begin := time.Now()
		w.connect(late, seed)
		if _, err := lf.Next(ctx); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d > 500*time.Millisecond {
			t.Errorf("the latecomer waited %v", d)
		}

		// It is published again, with higher versions, and that is no news.
		before := mustLatest(t, vf).Version
		time.Sleep(2*republishEvery + time.Second)
		if after := mustLatest(t, vf).Version; after <= before {
			t.Errorf("version %d after %d", after, before)
		}
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if r, err := vf.Next(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("news: %+v, %v", r, err)
		}
	})
}

func mustLatest(t *testing.T, f *Feed) Record {
	t.Helper()
	r, ok := f.Latest()
	if !ok {
		t.Fatal("no record")
	}
	return r
}

// TestRecordsOfOthersAreRefused: a record that another key signed is neither kept nor forwarded; an older one neither.
func TestRecordsOfOthersAreRefused(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, w *internet) {
		victim := w.node(Config{}, 100, 100)
		vf := mustFollow(t, victim)
		bad := w.node(Config{}, 100, 100)
		topic, err := bad.pubsub.Join(ChannelTopic(testTrack.Channel))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := topic.Relay(); err != nil {
			t.Fatal(err)
		}
		w.connect(bad, victim)
		time.Sleep(time.Second)
		r := testRecord("real", "talk1")
		r.Version, r.Issued = 5, time.Now()
		if err := r.Sign(channelKey); err != nil {
			t.Fatal(err)
		}
		old := testRecord("older", "talk0")
		old.Version, old.Issued = 4, time.Now()
		if err := old.Sign(channelKey); err != nil {
			t.Fatal(err)
		}
		forged := testRecord("forged", "talk1")
		forged.Version, forged.Issued = 6, time.Now()
		if err := forged.Sign(otherKey); err != nil {
			t.Fatal(err)
		}
		forged.Channel = testTrack.Channel
		for _, x := range []Record{r, old, forged} {
			raw, err := x.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if err := topic.Publish(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got := mustLatest(t, vf); got.Title != "real" {
			t.Errorf("title %q", got.Title)
		}
		if c := victim.count(ChannelTopic(testTrack.Channel)); c.rejected.Load() != 1 {
			t.Errorf("rejected %d", c.rejected.Load())
		}
		if err := vf.Publish(t.Context(), otherKey, r); !errors.Is(err, ErrNotOwner) {
			t.Error(err)
		}
	})
}

// TestPeersOfTheChannelAreMet: viewers that each know one seed find one another through what it tells them.
func TestPeersOfTheChannelAreMet(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, w *internet) {
		seed := w.node(Config{Role: Seed}, 100, 100)
		mustFollow(t, seed)
		var viewers []*Node
		for range 8 {
			v := w.node(Config{}, 20, 100)
			mustFollow(t, v)
			w.connect(v, seed)
			viewers = append(viewers, v)
		}
		loner := w.node(Config{NoExchange: true}, 20, 100)
		mustFollow(t, loner)
		w.connect(loner, seed)
		time.Sleep(30 * time.Second)
		for i, v := range viewers {
			if n := len(v.host.Network().Peers()); n < 6 {
				t.Errorf("viewer %d knows %d peers", i, n)
			}
		}
	})
}

// TestLAN: what mDNS finds stays connected where it shares a channel, and only there.
func TestLAN(t *testing.T) {
	inVirtualTime(t, time.Millisecond, func(t *testing.T, w *internet) {
		viewer := w.node(Config{}, 20, 100)
		mustFollow(t, viewer)
		friend := w.node(Config{}, 20, 100)
		mustFollow(t, friend)
		stranger := w.node(Config{}, 20, 100)
		found := newLAN(viewer)
		found.HandlePeerFound(friend.Info())
		found.HandlePeerFound(stranger.Info())
		found.HandlePeerFound(viewer.Info())
		time.Sleep(2 * time.Second)
		if peers := viewer.host.Network().Peers(); len(peers) != 1 || peers[0] != friend.ID() {
			t.Errorf("connected with %v", peers)
		}
		found.HandlePeerFound(stranger.Info())
		time.Sleep(time.Second)
		if peers := viewer.host.Network().Peers(); len(peers) != 1 {
			t.Errorf("connected with %v", peers)
		}
	})
}
