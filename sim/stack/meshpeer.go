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
}

func newMeshPeer(at *place) (participant, error) {
	role := mesh.Viewer
	if at.node == 0 {
		role = mesh.Origin
	}
	n, err := mesh.New(mesh.Config{
		Key: at.key(), Role: role, Listen: []string{at.listen()}, Log: at.log, Options: at.net.options(at.node),
	})
	if err != nil {
		return nil, err
	}
	m := &meshPeer{node: n}
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
	if m.track, err = m.node.Join(at.reel.id, mesh.JoinConfig{Publish: at.node == 0, Window: window}); err != nil {
		return err
	}
	m.wg.Go(func() {
		for {
			c, err := m.track.Next(m.ctx)
			if err != nil {
				return
			}
			at.complete(c.Seq, "")
		}
	})
	return nil
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
		chunks: track.Received, fetched: track.Fetched, duplicates: track.Duplicates,
	}
}

func (m *meshPeer) leave() {
	m.cancel()
	_ = m.node.Close() // a node that fell silent has nobody to tell
	m.wg.Wait()
}
