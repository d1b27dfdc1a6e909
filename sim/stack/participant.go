package stack

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
)

// participant is one node of the simulated internet, whatever system it runs.
type participant interface {
	info() peer.AddrInfo
	// meet makes the participant try to keep in touch with peers. It does not wait for them.
	meet(peers []peer.AddrInfo)
	publish(ctx context.Context, c envelope.Chunk) error
	tally() tally
	// leave ends the participant and returns when none of its goroutines are left.
	leave()
}

// tally is what a participant has counted since it started.
type tally struct {
	in, out    int64  // bytes on libp2p streams
	chunks     uint64 // chunks that came
	fetched    uint64 // of these, on request
	duplicates uint64 // chunks that were there already

	trees mesh.Spread // on the trees
}

func (t tally) minus(u tally) tally {
	return tally{
		in: t.in - u.in, out: t.out - u.out,
		chunks: t.chunks - u.chunks, fetched: t.fetched - u.fetched, duplicates: t.duplicates - u.duplicates,
		trees: add(t.trees, u.trees, -1),
	}
}

// add returns a + k*b, of what the figures are made of.
func add(a, b mesh.Spread, k int64) mesh.Spread {
	n := uint64(k)
	a.Fragments += n * b.Fragments
	a.Duplicates += n * b.Duplicates
	a.Repaired += n * b.Repaired
	a.Lost += n * b.Lost
	a.Changes += n * b.Changes
	a.Frames += n * b.Frames
	return a
}

// bringer is who completed a chunk, as far as a participant knows.
type bringer struct {
	from peer.ID // empty: not known
	hops int     // from the origin; 0: not known
}

// place is what a participant needs to know of the run that it takes part in.
type place struct {
	node     int
	measured bool // uplinks are measured, not configured
	net      *internet
	reel     *reel
	log      *slog.Logger
	complete func(seq uint64, by bringer) // to be called for each chunk that is complete
	friends  func() []peer.AddrInfo       // some peers that are there, as a tracker or the DHT would name them
	key      func() ed25519.PrivateKey    // the node's identity
}

// known is the share of its uplink that a peer gives.
const known = 0.95

// upload is the upload that a node is told it has, as the scenario says: what it believes its uplink to be. Zero: it has
// to find out.
func (p *place) upload() int64 {
	n := &p.net.plan.Nodes[p.node]
	switch {
	case p.measured:
		return 0
	case n.Class.Claims > 0:
		return int64(known * float64(n.Class.Claims))
	}
	return int64(known * n.Up)
}

func (p *place) listen() string { return fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", address(p.node), port) }

// bytesOnStreams counts what libp2p reports; its own counter runs a goroutine that never ends.
type bytesOnStreams struct {
	in, out atomic.Int64
}

var _ metrics.Reporter = (*bytesOnStreams)(nil)

// LogSentMessage implements metrics.Reporter.
func (b *bytesOnStreams) LogSentMessage(n int64) { b.out.Add(n) }

// LogRecvMessage implements metrics.Reporter.
func (b *bytesOnStreams) LogRecvMessage(n int64) { b.in.Add(n) }

// LogSentMessageStream implements metrics.Reporter.
func (b *bytesOnStreams) LogSentMessageStream(int64, protocol.ID, peer.ID) {}

// LogRecvMessageStream implements metrics.Reporter.
func (b *bytesOnStreams) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}

// GetBandwidthForPeer implements metrics.Reporter.
func (b *bytesOnStreams) GetBandwidthForPeer(peer.ID) metrics.Stats { return metrics.Stats{} }

// GetBandwidthForProtocol implements metrics.Reporter.
func (b *bytesOnStreams) GetBandwidthForProtocol(protocol.ID) metrics.Stats { return metrics.Stats{} }

// GetBandwidthTotals implements metrics.Reporter.
func (b *bytesOnStreams) GetBandwidthTotals() metrics.Stats {
	return metrics.Stats{TotalIn: b.in.Load(), TotalOut: b.out.Load()}
}

// GetBandwidthByPeer implements metrics.Reporter.
func (b *bytesOnStreams) GetBandwidthByPeer() map[peer.ID]metrics.Stats { return nil }

// GetBandwidthByProtocol implements metrics.Reporter.
func (b *bytesOnStreams) GetBandwidthByProtocol() map[protocol.ID]metrics.Stats { return nil }

// Reset implements metrics.Reporter.
func (b *bytesOnStreams) Reset() {}

// TrimIdle implements metrics.Reporter.
func (b *bytesOnStreams) TrimIdle(time.Time) {}
