package mesh

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"murmuration/chunker/envelope"
)

// stockPeer is a plain go-libp2p-pubsub subscriber of gossipsub v1.2, which knows nothing of this program but the topic
// and that nobody signs messages.
func stockPeer(t *testing.T, w *internet, up int) (host.Host, *pubsub.Topic, *pubsub.Subscription) {
	t.Helper()
	opts := append(w.link(up, 100), libp2p.ResourceManager(mustResources(t)), libp2p.DisableMetrics())
	h, err := libp2p.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	w.hosts = append(w.hosts, h)
	ctx, cancel := context.WithCancel(context.Background())
	w.stops = append(w.stops, cancel)
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithGossipSubProtocols([]protocol.ID{pubsub.GossipSubID_v12, pubsub.GossipSubID_v11}, pubsub.GossipSubDefaultFeatures),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID), pubsub.WithMaxMessageSize(maxMessage),
	)
	if err != nil {
		t.Fatal(err)
	}
	topic, err := ps.Join(testTrack.Topic())
	if err != nil {
		t.Fatal(err)
	}
	sub, err := topic.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	return h, topic, sub
}

// TestStockSubscriberGetsEveryChunk: peers without the extension, one at a viewer and one behind that one, get every
// chunk as one message, and the trees go on around them.
func TestStockSubscriberGetsEveryChunk(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, w *internet) {
		const chunks = 40
		origin := w.node(Config{Role: Origin}, 100, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		var tracks []*Track
		for range 4 {
			n := w.node(Config{}, 20, 100)
			tracks = append(tracks, mustJoin(t, n, JoinConfig{}))
			w.connect(n, w.nodes[:len(w.nodes)-1]...)
		}
		near, _, nearSub := stockPeer(t, w, 20)
		far, _, farSub := stockPeer(t, w, 20)
		dial := func(h host.Host, to peer.AddrInfo) {
			if err := h.Connect(t.Context(), to); err != nil {
				t.Fatal(err)
			}
		}
		dial(near, w.nodes[1].Info())
		dial(near, w.nodes[2].Info())
		dial(far, peer.AddrInfo{ID: near.ID(), Addrs: near.Addrs()})
		time.Sleep(3 * time.Second)
		s := newStream(time.Now())
		s.size = 94_000
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for name, sub := range map[string]*pubsub.Subscription{"near": nearSub, "far": farSub} {
			wg.Go(func() {
				got := map[envelope.ID]bool{}
				for len(got) < chunks {
					m, err := sub.Next(ctx)
					if err != nil {
						t.Errorf("%s: %d of %d chunks: %v", name, len(got), chunks, err)
						return
					}
					c, err := decodeFrame(m.Data)
					if err == nil {
						err = verifyChunk(testTrack, c)
					}
					if err != nil || got[c.ID()] {
						t.Errorf("%s: chunk %v: %v, twice %v", name, c.ID(), err, got[c.ID()])
					}
					got[c.ID()] = true
				}
			})
		}
		publish(ctx, t, ot, s, chunks)
		wg.Wait()
		for _, tr := range tracks {
			st := tr.Status()
			t.Logf("received %d, duplicates %d, relayed %d, delay %v, %+v", st.Received, st.Duplicates, st.Relayed, st.Delay, st.Spread)
			if st.Received != chunks || st.Missed != 0 || st.Rejected != 0 || st.Delay.P50 > chunkTime+200*time.Millisecond {
				t.Errorf("status %+v", st)
			}
		}
	})
}

// TestWholeMessagesAreTaken: what only a peer without the extension brings is delivered, and passed on to neighbours
// that have it.
func TestWholeMessagesAreTaken(t *testing.T) {
	inVirtualTime(t, 20*time.Millisecond, func(t *testing.T, w *internet) {
		const chunks = 24
		bridge := w.node(Config{}, 20, 100)
		bt := mustJoin(t, bridge, JoinConfig{})
		behind := w.node(Config{}, 20, 100)
		ht := mustJoin(t, behind, JoinConfig{})
		w.connect(behind, bridge)
		h, topic, _ := stockPeer(t, w, 50)
		if err := h.Connect(t.Context(), bridge.Info()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		s := newStream(time.Now())
		s.size = 94_000
		for range chunks {
			c := s.next(t)
			time.Sleep(time.Until(c.Captured.Add(chunkTime)))
			if err := topic.Publish(t.Context(), mustFrame(t, c)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		for name, tr := range map[string]*Track{"bridge": bt, "behind": ht} {
			st := tr.Status()
			t.Logf("%s: received %d, fetched %d, delay %v, %+v", name, st.Received, st.Fetched, st.Delay, st.Spread)
			if st.Received != chunks || st.Missed != 0 {
				t.Errorf("%s: received %d, missed %d", name, st.Received, st.Missed)
			}
		}
	})
}
