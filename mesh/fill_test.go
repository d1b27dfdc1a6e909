package mesh

import (
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
)

// TestLostChunkIsFetched: a chunk that the topic lost comes by the log, after the grace and before anyone would notice.
func TestLostChunkIsFetched(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, w *internet) {
		origin := w.node(Config{Role: Origin}, 100, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		viewer := w.node(Config{}, 20, 100)
		vt := mustJoin(t, viewer, JoinConfig{})
		w.connect(viewer, origin)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s := newStream(time.Now())
		publish(ctx, t, ot, s, 8)
		lost := []envelope.Chunk{s.next(t), s.next(t)}
		for _, c := range lost {
			ot.accept(c, byPublish) // in the origin's window, never on the topic
		}
		time.Sleep(2 * chunkTime)
		publish(ctx, t, ot, s, 1)
		noticed := time.Now()
		got, err := collect(ctx, vt, 11)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range lost {
			if _, ok := got[c.ID()]; !ok {
				t.Errorf("chunk %v is missing", c.ID())
			}
		}
		if d := time.Since(noticed); d < stripesGrace || d > stripesGrace+gapJitter+200*time.Millisecond {
			t.Errorf("the gap was filled after %v", d)
		}
		if st := vt.Status(); st.Fetched != 2 || st.Missed != 0 || st.Received != 11 {
			t.Errorf("status %+v", st)
		}
	})
}

// TestUnfillableGapIsDeclaredMissed: what nobody has is given up after the deadline, and counted.
func TestUnfillableGapIsDeclaredMissed(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, w *internet) {
		origin := w.node(Config{Role: Origin}, 100, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		viewer := w.node(Config{}, 20, 100)
		vt := mustJoin(t, viewer, JoinConfig{})
		w.connect(viewer, origin)
		time.Sleep(time.Second)
		s := newStream(time.Now())
		publish(t.Context(), t, ot, s, 4)
		s.next(t)
		s.next(t)
		publish(t.Context(), t, ot, s, 4)
		if _, err := collect(t.Context(), vt, 8); err != nil {
			t.Fatal(err)
		}
		time.Sleep(gapDeadline)
		if st := vt.Status(); st.Missed != 2 {
			t.Errorf("missed %d", st.Missed)
		}
	})
}

// TestEpochChange: the origin is replaced by one with a higher epoch; the end of the old epoch, which the topic lost,
// and the beginning of the new one come by the log.
func TestEpochChange(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, w *internet) {
		seed := w.node(Config{Role: Seed}, 100, 100)
		st := mustJoin(t, seed, JoinConfig{})
		first := w.node(Config{Role: Origin}, 100, 100)
		ft := mustJoin(t, first, JoinConfig{Publish: true})
		viewer := w.node(Config{}, 20, 100)
		vt := mustJoin(t, viewer, JoinConfig{})
		w.connect(first, seed)
		w.connect(viewer, seed)
		time.Sleep(time.Second)
		s := newStream(time.Now())
		publish(t.Context(), t, ft, s, 10)
		tail := s.take(t, 3)
		if _, err := collect(t.Context(), vt, 10); err != nil {
			t.Fatal(err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		for _, c := range tail {
			st.accept(c, byGap) // only the seed heard them
		}

		second := w.node(Config{Role: Origin}, 100, 100)
		nt := mustJoin(t, second, JoinConfig{Publish: true})
		w.connect(second, seed)
		time.Sleep(500 * time.Millisecond)
		s2 := newStream(time.Now())
		s2.epoch = s.epoch + 3600
		early := s2.take(t, 2)
		for _, c := range early {
			nt.accept(c, byPublish)
		}
		publish(t.Context(), t, nt, s2, 6)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		got, err := collect(ctx, vt, 3+8)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range append(tail, early...) {
			if _, ok := got[c.ID()]; !ok {
				t.Errorf("chunk %v is missing", c.ID())
			}
		}
		if st := vt.Status(); st.Missed != 0 || st.Newest != (envelope.ID{Epoch: s2.epoch, Seq: 7}) {
			t.Errorf("status %+v", st)
		}
	})
}

// TestLogCarriesOnWithoutTheTopic: a viewer whose neighbour does not forward still gets the stream, by asking.
func TestLogCarriesOnWithoutTheTopic(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, w *internet) {
		origin := w.node(Config{Role: Origin}, 100, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		viewer := w.node(Config{}, 20, 100)
		vt := mustJoin(t, viewer, JoinConfig{})
		w.connect(viewer, origin)
		time.Sleep(time.Second)
		s := newStream(time.Now())
		publish(t.Context(), t, ot, s, 4)
		for range 20 {
			time.Sleep(chunkTime)
			ot.accept(s.next(t), byPublish)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := collect(ctx, vt, 24); err != nil {
			t.Fatal(err)
		}
		// The end mark stops the questions.
		ot.accept(s.make(t, func(e *envelope.Envelope) { e.Flags |= envelope.End }), byPublish)
		if c, err := vt.Next(ctx); err != nil || !c.Flags.Has(envelope.End) {
			t.Fatal(c.ID(), err)
		}
		time.Sleep(time.Second)
		vt.mu.Lock()
		todo, again := vt.gaps.next(time.Now().Add(time.Hour))
		vt.mu.Unlock()
		if len(todo) > 0 || !again.IsZero() {
			t.Errorf("after the end: %v, %v", todo, again)
		}
	})
}

// TestFedBySeedsOnly: a viewer that knows seeds, and may not touch the origin, misses nothing when one seed dies, and
// connects again when it returns.
func TestFedBySeedsOnly(t *testing.T) {
	inVirtualTime(t, 15*time.Millisecond, func(t *testing.T, w *internet) {
		origin := w.node(Config{Role: Origin}, 100, 100)
		ot := mustJoin(t, origin, JoinConfig{Publish: true})
		a, b := w.node(Config{Role: Seed}, 50, 100), w.node(Config{Role: Seed}, 50, 100)
		mustJoin(t, a, JoinConfig{})
		mustJoin(t, b, JoinConfig{})
		w.connect(a, origin)
		w.connect(b, origin)
		viewer := w.node(Config{Avoid: []peer.ID{origin.ID()}}, 20, 100)
		vt := mustJoin(t, viewer, JoinConfig{})
		w.connect(viewer, a, b)
		time.Sleep(time.Second)
		s := newStream(time.Now())
		publish(t.Context(), t, ot, s, 12)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		s.start = time.Now().Add(-time.Duration(s.seq) * chunkTime)
		publish(t.Context(), t, ot, s, 20)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := collect(ctx, vt, 32); err != nil {
			t.Fatal(err)
		}
		if st := vt.Status(); st.Missed != 0 {
			t.Errorf("missed %d", st.Missed)
		}
		if viewer.host.Network().Connectedness(origin.ID()) == network.Connected {
			t.Error("the viewer is connected with the origin")
		}
	})
}

// TestRedial: a link's peer that was down when the viewer came, and goes down again, is found each time.
func TestRedial(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, w *internet) {
		viewer := w.node(Config{}, 20, 100)
		seed := w.node(Config{Role: Seed}, 20, 100)
		connected := make(chan struct{}, 8)
		viewer.host.Network().Notify(&network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) { connected <- struct{}{} }})
		seed.gate.ban(viewer.ID()) // as good as down
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_ = viewer.Connect(ctx, []peer.AddrInfo{seed.Info()})
		for len(connected) > 0 {
			<-connected
		}
		seed.gate.mu.Lock()
		clear(seed.gate.banned)
		seed.gate.mu.Unlock()
		await(t, connected, time.Minute)
		time.Sleep(time.Second)
		for range 3 {
			if err := seed.host.Network().ClosePeer(viewer.ID()); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			await(t, connected, 5*time.Second)
			t.Logf("back after %v", time.Since(begin))
			time.Sleep(time.Second)
		}
	})
}

func await(t *testing.T, c <-chan struct{}, limit time.Duration) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(limit):
		t.Fatalf("nothing within %v", limit)
	}
}

// TestEstranged: a connection with a peer that pubsub has given up is closed, and opened anew by those who keep it.
func TestEstranged(t *testing.T) {
	b := mustNode(t, Config{Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}})
	a := mustNode(t, Config{})
	if err := a.Connect(t.Context(), []peer.AddrInfo{b.Info()}); err != nil {
		t.Fatal(err)
	}
	again := make(chan struct{}, 1)
	a.host.Network().Notify(&network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) { again <- struct{}{} }})
	a.pubsub.BlacklistPeer(b.ID()) // pubsub drops it, and the connection stays
	select {
	case <-again:
	case <-time.After(30 * time.Second):
		t.Error("the connection remains")
	}
}
