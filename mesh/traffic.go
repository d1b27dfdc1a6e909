package mesh

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// traffic counts the bytes on libp2p streams, in all and for each peer. libp2p's own counter runs a goroutine that never
// ends, which a node in virtual time cannot have.
type traffic struct {
	in, out atomic.Int64
	peers   sync.Map // peer.ID -> *peerTraffic

	mu            sync.Mutex // guards the rates
	last          time.Time
	lastIn        int64
	lastOut       int64
	inBps, outBps float64 // bytes a second
}

type peerTraffic struct{ in, out atomic.Int64 }

var _ metrics.Reporter = (*traffic)(nil)

func (t *traffic) peer(p peer.ID) *peerTraffic {
	if v, ok := t.peers.Load(p); ok {
		return v.(*peerTraffic)
	}
	v, _ := t.peers.LoadOrStore(p, &peerTraffic{})
	return v.(*peerTraffic)
}

// sample moves the rates on; call it about once a second.
func (t *traffic) sample(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	in, out := t.in.Load(), t.out.Load()
	if !t.last.IsZero() {
		if dt := now.Sub(t.last).Seconds(); dt > 0 {
			const weight = 0.3 // chunks come four a second: about three seconds smooth them
			t.inBps += weight * (float64(in-t.lastIn)/dt - t.inBps)
			t.outBps += weight * (float64(out-t.lastOut)/dt - t.outBps)
		}
	}
	t.last, t.lastIn, t.lastOut = now, in, out
}

// forget drops the counters of a peer that is gone.
func (t *traffic) forget(p peer.ID) { t.peers.Delete(p) }

// LogSentMessage implements metrics.Reporter.
func (t *traffic) LogSentMessage(n int64) { t.out.Add(n) }

// LogRecvMessage implements metrics.Reporter.
func (t *traffic) LogRecvMessage(n int64) { t.in.Add(n) }

// LogSentMessageStream implements metrics.Reporter.
func (t *traffic) LogSentMessageStream(n int64, _ protocol.ID, p peer.ID) { t.peer(p).out.Add(n) }

// LogRecvMessageStream implements metrics.Reporter.
func (t *traffic) LogRecvMessageStream(n int64, _ protocol.ID, p peer.ID) { t.peer(p).in.Add(n) }

// GetBandwidthForPeer implements metrics.Reporter.
func (t *traffic) GetBandwidthForPeer(p peer.ID) metrics.Stats {
	v, ok := t.peers.Load(p)
	if !ok {
		return metrics.Stats{}
	}
	c := v.(*peerTraffic)
	return metrics.Stats{TotalIn: c.in.Load(), TotalOut: c.out.Load()}
}

// GetBandwidthForProtocol implements metrics.Reporter; protocols are not told apart.
func (t *traffic) GetBandwidthForProtocol(protocol.ID) metrics.Stats { return metrics.Stats{} }

// GetBandwidthTotals implements metrics.Reporter.
func (t *traffic) GetBandwidthTotals() metrics.Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return metrics.Stats{TotalIn: t.in.Load(), TotalOut: t.out.Load(), RateIn: t.inBps, RateOut: t.outBps}
}

// GetBandwidthByPeer implements metrics.Reporter.
func (t *traffic) GetBandwidthByPeer() map[peer.ID]metrics.Stats {
	all := map[peer.ID]metrics.Stats{}
	t.peers.Range(func(k, _ any) bool {
		all[k.(peer.ID)] = t.GetBandwidthForPeer(k.(peer.ID))
		return true
	})
	return all
}

// GetBandwidthByProtocol implements metrics.Reporter.
func (t *traffic) GetBandwidthByProtocol() map[protocol.ID]metrics.Stats { return nil }

// Reset implements metrics.Reporter.
func (t *traffic) Reset() {}

// TrimIdle implements metrics.Reporter.
func (t *traffic) TrimIdle(time.Time) {}
