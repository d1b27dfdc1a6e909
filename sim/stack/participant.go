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
}

func (t tally) minus(u tally) tally {
	return tally{t.in - u.in, t.out - u.out, t.chunks - u.chunks, t.fetched - u.fetched, t.duplicates - u.duplicates}
}

// place is what a participant needs to know of the run that it takes part in.
type place struct {
	node     int
	net      *internet
	reel     *reel
	log      *slog.Logger
	complete func(seq uint64, from peer.ID) // to be called for each chunk that is complete; from is empty where not known
	friends  func() []peer.AddrInfo         // some peers that are there, as a tracker or the DHT would name them
	key      func() ed25519.PrivateKey      // the node's identity
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
