package mesh

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p-pubsub/partialmessages"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// liar speaks the extension and says what a test wants.
type liar struct {
	host host.Host
	ps   *pubsub.PubSub

	mu   sync.Mutex
	wish map[peer.ID]uint32 // stripes that neighbours asked for
}

func newLiar(t *testing.T, w *internet, known ...*Node) *liar {
	t.Helper()
	h, err := libp2p.New(append(w.link(50, 100), libp2p.ResourceManager(mustResources(t)), libp2p.DisableMetrics())...)
	if err != nil {
		t.Fatal(err)
	}
	w.hosts = append(w.hosts, h)
	ctx, cancel := context.WithCancel(context.Background())
	w.stops = append(w.stops, cancel)
	l := &liar{host: h, wish: map[peer.ID]uint32{}}
	ext := &partial{
		Logger:       slog.New(slog.DiscardHandler),
		OnEmitGossip: func(string, []byte, []peer.ID, map[peer.ID]struct{}) {},
		OnIncomingRPC: func(from peer.ID, _ map[peer.ID]struct{}, rpc *pb.PartialMessagesExtension) error {
			var c episub.Control
			if c.Decode(rpc.PartsMetadata) != nil || c.Has&episub.HasWant == 0 {
				return nil
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, x := range c.Want.Lanes[:c.Want.N] {
				l.wish[from] |= 1 << x.Lane
			}
			return nil
		},
		PeerInitiatedGroupLimitPerTopic: groupsInAll, PeerInitiatedGroupLimitPerTopicPerPeer: groupsPerPeer,
	}
	if l.ps, err = pubsub.NewGossipSub(ctx, h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID), pubsub.WithMaxMessageSize(maxMessage), pubsub.WithPartialMessagesExtension(ext)); err != nil {
		t.Fatal(err)
	}
	topic, err := l.ps.Join(testTrack.Topic(), pubsub.RequestPartialMessages())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topic.Relay(); err != nil {
		t.Fatal(err)
	}
	for _, n := range known {
		if err := h.Connect(t.Context(), n.Info()); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// say sends a partial message to everyone connected, or to one.
func (l *liar) say(id episub.ID, control, piece []byte, to ...peer.ID) {
	if len(to) == 0 {
		to = l.host.Network().Peers()
	}
	_ = pubsub.PublishPartial(l.ps, testTrack.Topic(), episub.AppendGroup(nil, id),
		func(map[peer.ID]struct{}, func(peer.ID) bool) iter.Seq2[peer.ID, partialmessages.PublishAction] {
			return func(yield func(peer.ID, partialmessages.PublishAction) bool) {
				for _, p := range to {
					yield(p, partialmessages.PublishAction{EncodedPartialMessage: piece, EncodedPartsMetadata: control})
				}
			}
		})
}

// boast advertises every stripe at no cost, and grants whatever is asked for.
func (l *liar) boast(epoch, newest uint64) {
	c := episub.Control{Epoch: epoch, Has: episub.HasState, State: episub.State{
		Newest: newest, Age: 10, Complete: 0xffff, Room: 100, Fed: 1<<(episub.MaxStripes+1) - 1,
	}}
	for i := range c.State.Lanes {
		c.State.Lanes[i] = episub.Lane{Age: 10, Wait: 1, Weight: 20}
	}
	l.say(episub.ID{Epoch: epoch, Seq: newest}, c.Append(nil), nil)
	l.mu.Lock()
	wish := l.wish
	l.wish = map[peer.ID]uint32{}
	l.mu.Unlock()
	for p, lanes := range wish {
		g := episub.Control{Epoch: epoch, Has: episub.HasGrant, Grant: lanes}
		l.say(episub.ID{Epoch: epoch, Seq: newest}, g.Append(nil), nil, p)
	}
}

// complete checks that every track got chunks of each id from first on, once.
func (c *crowd) complete(t *testing.T, first, chunks uint64, tracks ...*Track) {
	t.Helper()
	for i, tr := range tracks {
		got := c.got[tr]
		for seq := first; seq < chunks; seq++ {
			if n := got[at(c.s.epoch, seq)]; n != 1 {
				t.Errorf("viewer %d: chunk %d came %d times", i, seq, n)
			}
		}
	}
}

// sent returns how many chunks were published by now.
func (c *crowd) sent() uint64 { return c.origin.Status().Newest.Seq }

// TestGarbageIsNotPassedOn: neighbours that send fragments, envelopes and control frames that are not right are
// disconnected; everyone gets every chunk.
func TestGarbageIsNotPassedOn(t *testing.T) {
	inPlane(t, 2, func(t *testing.T, w *internet) {
		c := gather(t, w, 10, 20, nil)
		var liars []*liar
		for range 3 {
			liars = append(liars, newLiar(t, w, w.nodes[1:]...))
		}
		forged := newStream(time.Now())
		forged.key, forged.size = otherKey, 94_000
		p50, p99 := c.play(t, 6*time.Second, 9*time.Second, func() {
			time.Sleep(4 * time.Second)
			for range 40 {
				seq := c.sent()
				id := episub.ID{Epoch: c.s.epoch, Seq: seq}
				for i := range 4 {
					// Of the next chunk: whoever has a fragment already does not look at another.
					next := episub.ID{Epoch: c.s.epoch, Seq: seq + 1}
					h := episub.Header{ID: next, Index: i, Age: 1e7}
					liars[0].say(next, nil, appendFragment(nil, h, make([]byte, 5875)))
				}
				forged.seq = seq + 1
				x := forged.make(t, nil)
				e := *x.Envelope
				e.Channel = testTrack.Channel
				liars[1].say(episub.ID(e.ID()), nil, appendEnvelope(nil, episub.Header{Index: episub.EnvelopeIndex}, e.Encode(), initOf(x)))
				liars[2].say(id, []byte{episub.Version, 1, 2, 3}, nil)
				time.Sleep(chunkTime)
			}
		})
		t.Logf("p50 %v, p99 %v", p50, p99)
		c.complete(t, 0, 60, c.tracks...)
		for i, l := range liars {
			for j, n := range w.nodes[1:] {
				if n.host.Network().Connectedness(l.host.ID()) == network.Connected {
					t.Errorf("liar %d is still connected with viewer %d", i, j)
				}
			}
		}
		if p99 > time.Second {
			t.Errorf("p99 %v", p99)
		}
		rejected := uint64(0)
		for _, tr := range c.tracks {
			rejected += tr.Status().Rejected
		}
		if rejected == 0 {
			t.Error("nothing was rejected")
		}
	})
}

// TestMuteAdvertisers: a fifth of the neighbours advertise every stripe at the lowest cost, grant it, and deliver
// nothing.
func TestMuteAdvertisers(t *testing.T) {
	inPlane(t, 3, func(t *testing.T, w *internet) {
		c := gather(t, w, 12, 20, nil)
		var liars []*liar
		for range 3 {
			liars = append(liars, newLiar(t, w, w.nodes[1:]...))
		}
		p50, p99 := c.play(t, 8*time.Second, 12*time.Second, func() {
			time.Sleep(4 * time.Second)
			for range 15 * 4 {
				time.Sleep(chunkTime)
				for _, l := range liars {
					l.boast(c.s.epoch, c.sent())
				}
			}
		})
		lost := uint64(0)
		for _, tr := range c.tracks {
			lost += tr.Status().Spread.Lost
		}
		t.Logf("p50 %v, p99 %v, feeds lost %d", p50, p99, lost)
		c.complete(t, 0, 80, c.tracks...)
		if p50 > 400*time.Millisecond || p99 > 1500*time.Millisecond {
			t.Errorf("p50 %v, p99 %v", p50, p99)
		}
	})
}

// TestParentVanishes: the viewer that most stripes hang on is cut off without a word, and another leaves with one.
func TestParentVanishes(t *testing.T) {
	inPlane(t, 4, func(t *testing.T, w *internet) {
		c := gather(t, w, 14, 20, nil)
		var gone []*Track
		p50, p99 := c.play(t, 5*time.Second, 15*time.Second, func() {
			time.Sleep(8 * time.Second)
			byChildren := slices.Clone(c.tracks)
			slices.SortFunc(byChildren, func(a, b *Track) int { return children(b) - children(a) })
			gone = byChildren[:2]
			t.Logf("cut off: %d and %d children", children(gone[0]), children(gone[1]))
			w.cut(gone[0].node)
			if err := gone[1].node.Close(); err != nil {
				t.Error(err)
			}
		})
		rest := slices.DeleteFunc(slices.Clone(c.tracks), func(tr *Track) bool { return slices.Contains(gone, tr) })
		c.complete(t, 0, 80, rest...)
		for _, tr := range rest {
			st := tr.Status()
			if st.Missed > 0 || st.Fetched > 4 {
				t.Errorf("missed %d, fetched %d", st.Missed, st.Fetched)
			}
		}
		worst := c.delays[len(c.delays)-1]
		t.Logf("p50 %v, p99 %v, worst %v", p50, p99, worst)
		if p50 > 250*time.Millisecond || p99 > 1500*time.Millisecond || worst > 2500*time.Millisecond {
			t.Errorf("p50 %v, p99 %v, worst %v", p50, p99, worst)
		}
	})
}

func children(tr *Track) (n int) {
	for _, s := range tr.Status().Stripes {
		n += s.Children
	}
	return n
}

// TestLateViewerFindsItsPlace: who comes in the middle has pictures at once, and soon its stripes.
func TestLateViewerFindsItsPlace(t *testing.T) {
	inPlane(t, 5, func(t *testing.T, w *internet) {
		c := gather(t, w, 12, 20, nil)
		var late *Track
		var joined uint64
		c.play(t, 0, 16*time.Second, func() {
			time.Sleep(6 * time.Second)
			joined = c.sent()
			ctx, cancel := context.WithTimeout(t.Context(), 13*time.Second)
			defer cancel()
			n := w.node(Config{}, 20, 100)
			mustFollow(t, n)
			begin := time.Now()
			late = mustJoin(t, n, JoinConfig{})
			w.connect(n, c.origin.node)
			first, err := late.Next(ctx)
			for err == nil && !first.Flags.Has(envelope.Independent) {
				first, err = late.Next(ctx)
			}
			if err != nil {
				t.Error(err)
				return
			}
			t.Logf("first independent chunk %v, after %v; %d were out when it came", first.ID(), time.Since(begin), joined)
			if time.Since(begin) > 1500*time.Millisecond || first.Init == nil {
				t.Errorf("the first independent chunk came after %v", time.Since(begin))
			}
			ctx, stop := context.WithTimeout(ctx, 9*time.Second)
			defer stop()
			c.watch(ctx, late, time.Now().Add(5*time.Second))
			for i, s := range late.Status().Stripes {
				if !s.Fed || s.Parent == "" {
					t.Errorf("stripe %d is not fed", i)
				}
			}
		})
		c.complete(t, 0, 64, c.tracks...)
		c.complete(t, joined+4, 56, late)
		st := late.Status()
		t.Logf("late: %+v, delay %v, fetched %d", st.Spread, st.Delay, st.Fetched)
	})
}

// TestNewEpochOnTheTrees: an origin that lost its state goes on under a higher epoch, and everyone with it.
func TestNewEpochOnTheTrees(t *testing.T) {
	inPlane(t, 6, func(t *testing.T, w *internet) {
		c := gather(t, w, 10, 20, nil)
		c.play(t, 0, 6*time.Second, nil)
		c.complete(t, 0, 24, c.tracks...)
		c.s = newStream(time.Now())
		c.s.size, c.s.epoch = 94_000, 1_790_000_100
		c.play(t, 0, 6*time.Second, nil)
		c.complete(t, 0, 24, c.tracks...)
		// The end mark goes by the trees too.
		if err := c.origin.Publish(t.Context(), c.s.make(t, func(e *envelope.Envelope) { e.Flags |= envelope.End })); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for i, tr := range c.tracks {
			if st := tr.Status(); !st.Ended || st.Missed != 0 {
				t.Errorf("viewer %d: ended %v, missed %d", i, st.Ended, st.Missed)
			}
		}
	})
}

// TestSmallChunks: a track of a few kilobytes a chunk has fewer fragments than stripes; its neighbours are not taken for
// mute, and nothing is repaired for that.
func TestSmallChunks(t *testing.T) {
	inPlane(t, 7, func(t *testing.T, w *internet) {
		c := gather(t, w, 10, 20, nil)
		c.s.size = 3500
		p50, p99 := c.play(t, 6*time.Second, 8*time.Second, nil)
		c.complete(t, 0, 56, c.tracks...)
		var sum Spread
		for _, tr := range c.tracks {
			st := tr.Status().Spread
			sum.Lost += st.Lost
			sum.Repaired += st.Repaired
			sum.Fragments += st.Fragments
		}
		t.Logf("p50 %v, p99 %v, %+v", p50, p99, sum)
		if p99 > time.Second || sum.Repaired > sum.Fragments/8 {
			t.Errorf("p99 %v, %+v", p99, sum)
		}
	})
}

// TestUploadIsCapped: a viewer with a cap far below its uplink keeps to it, and everybody is served.
func TestUploadIsCapped(t *testing.T) {
	inPlane(t, 8, func(t *testing.T, w *internet) {
		const limit = 4e6
		c := gather(t, w, 8, 50, func(i int, cfg *Config) {
			if cfg.Upload = limit; i < 0 {
				cfg.Upload = 3 * limit
			}
		})
		var before, after [8]int64
		p50, p99 := c.play(t, 5*time.Second, 10*time.Second, func() {
			time.Sleep(5 * time.Second)
			for i, tr := range c.tracks {
				before[i] = tr.node.Status().Traffic.Sent
			}
			time.Sleep(9 * time.Second)
			for i, tr := range c.tracks {
				after[i] = tr.node.Status().Traffic.Sent
			}
		})
		c.complete(t, 0, 60, c.tracks...)
		most := 0.0
		for i := range before {
			most = max(most, float64(after[i]-before[i])*8/9)
		}
		t.Logf("p50 %v, p99 %v, the busiest sent %.2f Mbit/s under a cap of 4", p50, p99, most/1e6)
		if most > limit || most < limit/2 {
			t.Errorf("the busiest sent %.2f Mbit/s under a cap of 4", most/1e6)
		}
	})
}
