package stack

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"

	"murmuration/chunker/envelope"
)

const (
	lonely  = 8                // a stock peer with fewer connections looks for more
	seek    = 5 * time.Second  // how often
	dialFor = 10 * time.Second // at most
)

// gossipPeer is a stock go-libp2p-pubsub node: gossipsub with its default parameters (D = 6) and queues, and each chunk
// as one message of envelope and block. It has the message id that unsigned messages need, and room for the largest
// chunk. Discovery, which pubsub leaves to others, is a list of peers now and again.
type gossipPeer struct {
	host   host.Host
	topic  *pubsub.Topic
	bytes  bytesOnStreams
	repeat repeats
	chunks atomic.Uint64
	at     *place
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func newGossipPeer(at *place) (participant, error) {
	g, ps, err := newGossip(at)
	if err != nil {
		return nil, err
	}
	// Relaying is enough, and loses nothing to a slow reader: the validator sees each message once, first.
	take := func(_ context.Context, _ peer.ID, m *pubsub.Message) pubsub.ValidationResult {
		if e, err := readFrame(m.Data); err == nil && m.ReceivedFrom != g.host.ID() {
			g.chunks.Add(1)
			at.complete(e.Seq, bringer{from: m.ReceivedFrom})
		}
		return pubsub.ValidationAccept
	}
	if err := g.open(ps, take); err != nil {
		return nil, err
	}
	return g, nil
}

// newGossip starts a stock host with stock gossipsub, and joins the track's topic.
func newGossip(at *place) (*gossipPeer, *pubsub.PubSub, error) {
	g := &gossipPeer{at: at}
	var err error
	if g.host, err = newHost(at, &g.bytes); err != nil {
		return nil, nil, err
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	ps, err := pubsub.NewGossipSub(g.ctx, g.host,
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(contentID), pubsub.WithMaxMessageSize(2<<20), pubsub.WithRawTracer(&g.repeat),
	)
	if err == nil {
		g.topic, err = ps.Join(at.reel.id.Topic())
	}
	if err != nil {
		g.leave()
		return nil, nil, err
	}
	return g, ps, nil
}

// newHost starts a libp2p host without much of its own. It reports the bytes on its streams, if that is not nil.
func newHost(at *place, bytes *bytesOnStreams) (host.Host, error) {
	priv, err := crypto.UnmarshalEd25519PrivateKey(at.key())
	if err != nil {
		return nil, err
	}
	opts := []libp2p.Option{
		libp2p.Identity(priv), libp2p.ListenAddrStrings(at.listen()), libp2p.Transport(libp2pquic.NewTransport),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics(), libp2p.DisableRelay(),
	}
	if bytes != nil {
		opts = append(opts, libp2p.BandwidthReporter(bytes))
	}
	return libp2p.New(append(opts, at.net.options(at.node)...)...)
}

// open takes part in the topic.
func (g *gossipPeer) open(ps *pubsub.PubSub, take pubsub.ValidatorEx) error {
	err := ps.RegisterTopicValidator(g.topic.String(), take, pubsub.WithValidatorInline(true))
	if err == nil {
		_, err = g.topic.Relay()
	}
	if err != nil {
		g.leave()
		return err
	}
	g.wg.Go(g.look)
	return nil
}

// look finds further peers when there are few.
func (g *gossipPeer) look() {
	tick := time.NewTicker(seek)
	defer tick.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-tick.C:
		}
		if len(g.host.Network().Peers()) < lonely {
			g.meet(g.at.friends())
		}
	}
}

func contentID(m *pb.Message) string {
	h := sha256.Sum256(m.GetData())
	return string(h[:20])
}

func (g *gossipPeer) info() peer.AddrInfo {
	return peer.AddrInfo{ID: g.host.ID(), Addrs: g.host.Addrs()}
}

func (g *gossipPeer) meet(peers []peer.AddrInfo) {
	for _, p := range peers {
		g.wg.Go(func() {
			ctx, cancel := context.WithTimeout(g.ctx, dialFor)
			defer cancel()
			_ = g.host.Connect(ctx, p) // the next look tries others
		})
	}
}

func (g *gossipPeer) publish(ctx context.Context, c envelope.Chunk) error {
	return g.topic.Publish(ctx, writeFrame(c))
}

func (g *gossipPeer) tally() tally {
	return tally{in: g.bytes.in.Load(), out: g.bytes.out.Load(), chunks: g.chunks.Load(), duplicates: g.repeat.n.Load()}
}

func (g *gossipPeer) leave() {
	g.cancel()
	_ = g.host.Close() // a node that fell silent has nobody to tell
	g.wg.Wait()
	g.at.net.release(g.at.node)
}
