package stack

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
)

// window is how much of the track a simulated node keeps: enough to serve the backlog to who joins. The default of a
// minute would be 22 MB for each of hundreds of nodes.
const window = 10 * time.Second

// meshPeer is a mesh.Node on the track, as an origin or a viewer runs it.
type meshPeer struct {
	node   *mesh.Node
	track  *mesh.Track
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	brought map[uint64]bringer // by seq, of chunks that are complete and not yet told
}

func newMeshPeer(at *place) (participant, error) {
	return startMesh(at, mesh.Config{Upload: at.upload()})
}

// startMesh starts a mesh.Node at a node's place.
func startMesh(at *place, cfg mesh.Config) (participant, error) {
	if at.node == 0 {
		cfg.Role = mesh.Origin
	}
	cfg.Key, cfg.Listen, cfg.Log, cfg.Options = at.key(), []string{at.listen()}, at.log, at.net.options(at.node)
	n, err := mesh.New(cfg)
	if err != nil {
		return nil, err
	}
	m := &meshPeer{node: n, brought: map[uint64]bringer{}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	if err := m.join(at); err != nil {
		m.leave()
		return nil, err
	}
	return m, nil
}

// join puts the node on the channel and on the track.
func (m *meshPeer) join(at *place) error {
	feed, err := m.node.Follow(at.reel.id.Channel)
	if err != nil {
		return err
	}
	if at.node == 0 {
		r := mesh.Record{Title: at.reel.plan.Name, Broadcasts: []mesh.BroadcastInfo{{ID: at.reel.id.Broadcast, Started: at.reel.start}}}
		if err := feed.Publish(m.ctx, at.reel.key, r); err != nil {
			return err
		}
	}
	join := mesh.JoinConfig{Publish: at.node == 0, Window: window, Arrived: m.arrived, Block: at.reel.block}
	if m.track, err = m.node.Join(at.reel.id, join); err != nil {
		return err
	}
	m.wg.Go(func() {
		for {
			c, err := m.track.Next(m.ctx)
			if err != nil {
				return
			}
			m.mu.Lock()
			by := m.brought[c.Seq] // none: the log brought it
			delete(m.brought, c.Seq)
			m.mu.Unlock()
			at.complete(c.Seq, by)
		}
	})
	return nil
}

// arrived notes who completed a chunk.
func (m *meshPeer) arrived(id envelope.ID, from peer.ID, hops int) {
	m.mu.Lock()
	m.brought[id.Seq] = bringer{from, hops}
	m.mu.Unlock()
}

func (m *meshPeer) info() peer.AddrInfo { return m.node.Info() }

func (m *meshPeer) meet(peers []peer.AddrInfo) {
	m.wg.Go(func() {
		_ = m.node.Connect(m.ctx, peers) // it goes on trying; a peer that stays alone shows in the figures
	})
}

func (m *meshPeer) publish(ctx context.Context, c envelope.Chunk) error {
	return m.track.Publish(ctx, c)
}

func (m *meshPeer) tally() tally {
	traffic, track := m.node.Status().Traffic, m.track.Status()
	return tally{
		in: traffic.Received, out: traffic.Sent,
		chunks: track.Received, fetched: track.Fetched, duplicates: track.Duplicates, trees: track.Spread,
	}
}

func (m *meshPeer) leave() {
	m.cancel()
	_ = m.node.Close() // a node that fell silent has nobody to tell
	m.wg.Wait()
}
