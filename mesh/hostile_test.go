package mesh

import (
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"

	"murmuration/chunker/envelope"
)

// attacker is a node whose own validator lets everything out.
func attacker(t *testing.T, w *internet) (*Node, *pubsub.Topic) {
	t.Helper()
	n := w.node(Config{}, 100, 100)
	topic, err := n.pubsub.Join(testTrack.Topic())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topic.Relay(); err != nil {
		t.Fatal(err)
	}
	return n, topic
}

// TestHostileMessages: what the channel did not sign for this topic is neither delivered nor forwarded, and whoever
// keeps sending it is disconnected; a replay is neither, but blames nobody.
func TestHostileMessages(t *testing.T) {
	good := newStream(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	chunk := good.next(t)
	frame := mustFrame(t, chunk)
	flip := func(i int) []byte {
		b := append([]byte(nil), frame...)
		b[i] ^= 1
		return b
	}
	otherChannel := newStream(good.start)
	otherChannel.key, otherChannel.track.Channel = otherKey, ChannelOf(otherKey)
	otherTrack := newStream(good.start)
	otherTrack.track.Track = "boost"
	otherBroadcast := newStream(good.start)
	otherBroadcast.track.Broadcast = "0abc124"
	unsigned := chunk
	e := *chunk.Envelope
	e.Signature = [64]byte{}
	unsigned.Envelope, unsigned.Raw = &e, e.Encode()
	withoutInit := chunk
	withoutInit.Init = nil
	second := good.next(t)
	rest := good.take(t, 6)
	extraInit := append(append([]byte{}, mustFrame(t, second)...), testInit...)
	extraInit[11], extraInit[12] = byte(len(testInit)>>8), byte(len(testInit))

	cases := map[string][]byte{
		"empty":               {},
		"garbage":             []byte("not a frame at all, but long enough to look at"),
		"version":             flip(0),
		"block changed":       flip(len(frame) - len(testInit) - 1),
		"init changed":        flip(len(frame) - 1),
		"envelope changed":    flip(frameHeader + 60),
		"signature changed":   flip(frameHeader + len(chunk.Raw) - 1),
		"truncated":           frame[:len(frame)-1],
		"trailing byte":       append(append([]byte{}, frame...), 0),
		"unsigned":            mustFrame(t, unsigned),
		"other channel":       mustFrame(t, otherChannel.next(t)),
		"other track":         mustFrame(t, otherTrack.next(t)),
		"other broadcast":     mustFrame(t, otherBroadcast.next(t)),
		"init not called for": extraInit,
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, 5*time.Millisecond, func(t *testing.T, w *internet) {
				victim := w.node(Config{}, 100, 100)
				vt := mustJoin(t, victim, JoinConfig{Backlog: -1})
				behind := w.node(Config{}, 100, 100)
				bt := mustJoin(t, behind, JoinConfig{Backlog: -1})
				w.connect(behind, victim)
				honest := w.node(Config{Role: Origin}, 100, 100)
				ht := mustJoin(t, honest, JoinConfig{Publish: true})
				w.connect(honest, victim)
				bad, topic := attacker(t, w)
				w.connect(bad, victim)
				time.Sleep(time.Second)
				if err := topic.Publish(t.Context(), data); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				if st := vt.Status(); st.Received != 0 || st.Rejected != 1 || st.Relayed != 0 || ht.Status().Rejected != 0 {
					t.Errorf("victim: received %d, rejected %d, relayed %d", st.Received, st.Rejected, st.Relayed)
				}
				if st := bt.Status(); st.Received != 0 || st.Rejected != 0 {
					t.Errorf("behind it: received %d, rejected %d", st.Received, st.Rejected)
				}
				// The real chunk still gets through: the false one did not take its id. The trees need some chunks to grow.
				for i, c := range append([]envelope.Chunk{chunk, second}, rest...) {
					time.Sleep(chunkTime)
					if err := ht.Publish(t.Context(), c); err != nil {
						t.Fatal(i, err)
					}
				}
				time.Sleep(3 * time.Second)
				if st := bt.Status(); st.Received != 8 {
					t.Errorf("behind it: received %d of 8 real chunks", st.Received)
				}
			})
		})
	}
}

// TestRepeatOffenderIsDisconnected: a few messages that do not verify, and the peer is out, and stays out.
func TestRepeatOffenderIsDisconnected(t *testing.T) {
	inVirtualTime(t, 5*time.Millisecond, func(t *testing.T, w *internet) {
		victim := w.node(Config{}, 100, 100)
		vt := mustJoin(t, victim, JoinConfig{Backlog: -1})
		bad, topic := attacker(t, w)
		w.connect(bad, victim)
		time.Sleep(time.Second)
		for i := range 5 { // at once: after the first, the victim's next heartbeat prunes it from the mesh
			if err := topic.Publish(t.Context(), []byte{byte(i), 1, 2, 3}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		if victim.host.Network().Connectedness(bad.ID()) == network.Connected {
			t.Error("still connected")
		}
		if vt.Status().Rejected < 3 {
			t.Errorf("rejected %d", vt.Status().Rejected)
		}
		time.Sleep(20 * time.Second) // it redials
		if victim.host.Network().Connectedness(bad.ID()) == network.Connected {
			t.Error("connected again")
		}
	})
}

// TestReplayAndEquivocation: old chunks and second ones with a known id are ignored; the neighbour keeps its standing.
func TestReplayAndEquivocation(t *testing.T) {
	inVirtualTime(t, 5*time.Millisecond, func(t *testing.T, w *internet) {
		victim := w.node(Config{}, 100, 100)
		vt := mustJoin(t, victim, JoinConfig{Backlog: -1, Window: 10 * time.Second})
		relay, topic := attacker(t, w)
		w.connect(relay, victim)
		time.Sleep(time.Second)
		send := func(c envelope.Chunk) {
			t.Helper()
			if err := topic.Publish(t.Context(), mustFrame(t, c)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		s := newStream(time.Now())
		list := s.take(t, 60)
		for _, c := range list[1:] {
			send(c)
		}
		send(list[0]) // never seen, but 15 s older than the newest
		if st := vt.Status(); st.Received != 59 || st.Replayed != 1 || st.WindowSize > 42 {
			t.Errorf("received %d, replayed %d, window %d", st.Received, st.Replayed, st.WindowSize)
		}
		twin := newStream(s.start)
		twin.seq, twin.size = 59, 3000
		send(twin.next(t))
		time.Sleep(2 * seenFor) // pubsub has forgotten the ids
		send(list[59])
		send(list[5])
		st := vt.Status()
		if st.Received != 59 || st.Conflicts != 1 || st.Rejected != 0 || st.Replayed != 2 {
			t.Errorf("status %+v", st)
		}
		if victim.host.Network().Connectedness(relay.ID()) != network.Connected {
			t.Error("the neighbour was disconnected")
		}
	})
}

// TestLogAnswersAreVerified: a peer whose log serves forged chunks is not believed.
func TestLogAnswersAreVerified(t *testing.T) {
	inVirtualTime(t, 5*time.Millisecond, func(t *testing.T, w *internet) {
		liar := w.node(Config{}, 100, 100)
		forged := newWindow(time.Minute, 1<<20)
		s := newStream(time.Now())
		s.key = otherKey
		for range 8 {
			c := s.make(t, nil)
			e := *c.Envelope
			e.Channel = testTrack.Channel // the signature is not the channel's
			c.Envelope, c.Raw = &e, e.Encode()
			forged.add(c, true, time.Now())
		}
		mustJoin(t, liar, JoinConfig{Publish: true, Log: forged})
		victim := w.node(Config{}, 100, 100)
		vt := mustJoin(t, victim, JoinConfig{})
		w.connect(victim, liar)
		time.Sleep(30 * time.Second)
		if st := vt.Status(); st.Received != 0 {
			t.Errorf("received %d forged chunks", st.Received)
		}
		if victim.host.Network().Connectedness(liar.ID()) == network.Connected {
			t.Error("still connected with the liar")
		}
	})
}
