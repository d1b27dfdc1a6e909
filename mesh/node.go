package mesh

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/multiformats/go-multiaddr"

	"murmuration/chunker/envelope"
)

// Node is one participant: a libp2p host with its topics and protocols. It is safe for concurrent use.
type Node struct {
	cfg     Config
	preset  preset
	log     *slog.Logger
	host    host.Host
	pubsub  *pubsub.PubSub
	gate    *gate
	traffic *traffic
	admit   *admission
	metrics *roomMetrics
	counts  sync.Map // topic -> *topicCount
	drivers sync.Map // topic -> *driver
	budget  *budget
	pace    *logPace
	heard   heardOf
	vouched sync.Map // connected peer.ID -> its signed peer record, []byte
	now     func() time.Time

	dialling    atomic.Int64 // peers from exchange that are being dialled, or were a moment ago
	lastPublish atomic.Int64 // Unix nanoseconds
	queued      atomic.Int64 // RPCs on neighbours' queues, about: those of lost connections stay counted

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mdns   interface{ Close() error }

	mu     sync.Mutex
	closed bool
	tracks map[TrackID]*Track
	logs   map[TrackID]*ChunkLog // of tracks that the node is not on
	feeds  map[envelope.Channel]*Feed
	kept   map[peer.ID]*keeper
}

// New starts a node. Close ends it.
func New(cfg Config) (*Node, error) {
	cfg, listen, announce, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, preset: presets[cfg.Role], log: cfg.Log.With("room", "mesh"), now: time.Now,
		gate: newGate(cfg.Avoid), traffic: &traffic{},
		tracks: map[TrackID]*Track{}, logs: map[TrackID]*ChunkLog{},
		feeds: map[envelope.Channel]*Feed{}, kept: map[peer.ID]*keeper{},
	}
	n.admit = newAdmission(n.preset.logStreams, n.preset.requestRate, n.preset.requestBurst)
	n.budget = newBudget(float64(cfg.Upload)/8, n.preset.upload)
	n.pace = newLogPace(n.budget.spare())
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if n.host = cfg.Host; n.host == nil {
		if n.host, err = newHost(cfg, n.preset, listen, announce, n.gate, n.traffic); err != nil {
			n.cancel()
			return nil, err
		}
	}
	if err := n.start(); err != nil {
		n.Close()
		return nil, err
	}
	n.log.Info("node started", "peer", n.ID(), "role", cfg.Role, "addrs", n.host.Addrs())
	return n, nil
}

func (n *Node) start() (err error) {
	if n.metrics, err = newMetrics(n.cfg.Metrics, n); err != nil {
		return err
	}
	if n.pubsub, err = n.newGossip(n.ctx, n.preset); err != nil {
		return err
	}
	n.host.SetStreamHandler(LogProtocol, n.serveLog)
	n.host.SetStreamHandler(IndexProtocol, n.serveLog)
	n.host.SetStreamHandler(ChannelProtocol, n.serveChannel)
	n.host.Network().Notify(&network.NotifyBundle{DisconnectedF: func(_ network.Network, c network.Conn) {
		if n.host.Network().Connectedness(c.RemotePeer()) != network.Connected {
			n.traffic.forget(c.RemotePeer())
			n.vouched.Delete(c.RemotePeer())
			n.gate.forget(c.RemotePeer())
		}
	}})
	if n.cfg.MDNS {
		// A machine without multicast still has the link's peers.
		if s, err := n.startMDNS(); err != nil {
			n.log.Warn("not looking for peers on the local network", "err", err)
		} else {
			n.mdns = s
		}
	}
	identified, err := n.host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted), eventbus.BufSize(64))
	if err != nil {
		return fmt.Errorf("mesh: events: %w", err)
	}
	n.wg.Add(2)
	go n.vouch(identified)
	go n.tend()
	return nil
}

// A node that has just published does not close before its last chunks are out: what waits in a queue of pubsub, or in
// QUIC's send buffer, is lost when a connection closes.
const (
	lingerAfter = 5 * time.Second
	lingerMax   = 2 * time.Second
	lingerWire  = 300 * time.Millisecond
	lingerQuiet = 25 // looks, 20 ms apart: a neighbour may ask for what it lacks
)

// sending reports whether a track has something that waits for the uplink.
func (n *Node) sending() (busy bool) {
	n.drivers.Range(func(_, v any) bool {
		busy = v.(*driver).uplink.waiting()
		return !busy
	})
	return busy
}

func (n *Node) linger() {
	if last := n.lastPublish.Load(); last == 0 || n.now().Sub(time.Unix(0, last)) > lingerAfter {
		return
	}
	if len(n.host.Network().Peers()) == 0 {
		return
	}
	end := time.NewTimer(lingerMax)
	defer end.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for quiet := 0; quiet < lingerQuiet; {
		if quiet++; n.queued.Load() > 0 || n.sending() {
			quiet = 0
		}
		select {
		case <-look.C:
			continue
		case <-end.C:
		}
		break
	}
	wire := time.NewTimer(lingerWire)
	defer wire.Stop()
	<-wire.C
}

// spawn runs f beside everything else, which Close waits for; not any more once the node is closed.
func (n *Node) spawn(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.wg.Go(f)
	}
}

// Close leaves all tracks and channels and closes the host, once the last published chunks are out.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	tracks, feeds := n.tracks, n.feeds
	n.tracks, n.feeds = map[TrackID]*Track{}, map[envelope.Channel]*Feed{}
	n.mu.Unlock()
	if n.mdns != nil {
		n.mdns.Close()
	}
	n.linger()
	n.cancel()
	for _, t := range tracks {
		t.cancel()
		t.wg.Wait()
	}
	for _, f := range feeds {
		f.cancel()
		f.wg.Wait()
	}
	err := n.host.Close()
	n.wg.Wait()
	if n.metrics != nil {
		n.metrics.unregister()
	}
	if err != nil {
		return fmt.Errorf("mesh: close: %w", err)
	}
	return nil
}

// ID returns the node's peer ID.
func (n *Node) ID() peer.ID { return n.host.ID() }

// Host returns the libp2p host, for protocols of other rooms (bitswap).
func (n *Node) Host() host.Host { return n.host }

// Addrs returns the addresses that others can dial, with /p2p/ID.
func (n *Node) Addrs() []multiaddr.Multiaddr {
	addrs, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()})
	if err != nil {
		return nil // only for an empty peer ID
	}
	return addrs
}

// Info returns the node's ID and addresses, as they go into a link.
func (n *Node) Info() peer.AddrInfo {
	return peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()}
}

// ServeLog answers log requests for a track that the node need not be on, from an archive. It ends with a call of stop.
// While the node is on the track, JoinConfig.Log decides.
func (n *Node) ServeLog(id TrackID, log ChunkLog) (stop func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	held := &log
	n.logs[id] = held
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.logs[id] == held {
			delete(n.logs, id)
		}
	}
}

// chunkLog returns what serves a track, or nil.
func (n *Node) chunkLog(id TrackID) ChunkLog {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.tracks[id]; t != nil {
		return t.serves
	}
	if held := n.logs[id]; held != nil {
		return *held
	}
	return nil
}
