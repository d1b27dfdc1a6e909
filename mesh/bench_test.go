package mesh

import (
	"context"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
)

const benchBlock = 94_000 // 250 ms of 3 Mbit/s

// BenchmarkValidate is what a relaying node pays for each chunk: id, decoding, signature, block and init hashes.
func BenchmarkValidate(b *testing.B) {
	n := mustNode(b, Config{})
	tr := mustJoin(b, n, JoinConfig{Publish: true})
	s := newStream(time.Now())
	s.size = benchBlock
	topic := testTrack.Topic()
	frames := make([][]byte, 64)
	for i := range frames {
		frames[i] = mustFrame(b, s.next(b))
	}
	b.SetBytes(benchBlock)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(frames) == 0 {
			tr.window = newWindow(time.Hour, 1<<30)
		}
		m := &pubsub.Message{Message: &pb.Message{Data: frames[i%len(frames)], Topic: &topic}, ReceivedFrom: "p"}
		messageID(m.Message)
		if tr.validate(b.Context(), "p", m) != pubsub.ValidationAccept {
			b.Fatal("refused")
		}
	}
}

// BenchmarkDuplicate is what each copy that comes in vain costs beyond its bytes: its id.
func BenchmarkDuplicate(b *testing.B) {
	s := newStream(time.Now())
	s.size = benchBlock
	topic := testTrack.Topic()
	m := &pb.Message{Data: mustFrame(b, s.next(b)), Topic: &topic}
	b.SetBytes(benchBlock)
	for b.Loop() {
		messageID(m)
	}
}

// BenchmarkPublishDeliver is one chunk from Publish to Next of a neighbour, over QUIC on loopback.
func BenchmarkPublishDeliver(b *testing.B) {
	listen := []string{"/ip4/127.0.0.1/udp/0/quic-v1"}
	origin := mustNode(b, Config{Role: Origin, Listen: listen})
	ot := mustJoin(b, origin, JoinConfig{Publish: true, Window: 10 * time.Second})
	viewer := mustNode(b, Config{})
	vt := mustJoin(b, viewer, JoinConfig{Window: 10 * time.Second})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := viewer.Connect(ctx, []peer.AddrInfo{origin.Info()}); err != nil {
		b.Fatal(err)
	}
	s := newStream(time.Now())
	s.size = benchBlock
	round := func() {
		if err := ot.Publish(ctx, s.next(b)); err != nil {
			b.Fatal(err)
		}
		if _, err := vt.Next(ctx); err != nil {
			b.Fatal(err)
		}
	}
	for vt.Status().Mesh == 0 { // each round takes as long as the log does, until the viewer is grafted
		round()
	}
	b.SetBytes(benchBlock)
	b.ReportAllocs()
	for b.Loop() {
		round()
	}
	b.ReportMetric(float64(vt.Status().Fetched), "fetched")
}
