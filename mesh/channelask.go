package mesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// serveChannel answers one request of the channel protocol.
func (n *Node) serveChannel(s network.Stream) {
	from := s.Conn().RemotePeer()
	if err := n.answerChannel(s, from); err != nil {
		n.log.Debug("channel request not served", "peer", from, "err", err)
		if errors.Is(err, ErrChannelWire) {
			n.gate.offend(from, offenceMalformed)
		}
		s.Reset()
		return
	}
	s.Close()
}

func (n *Node) answerChannel(s network.Stream, from peer.ID) error {
	leave, err := n.admit.enter(from, n.now())
	if err != nil {
		return err
	}
	defer leave()
	_ = s.SetDeadline(time.Now().Add(requestTimeout))
	raw, err := readSized(s, maxChannelRequest)
	if err != nil {
		return err
	}
	req, err := parseChannelRequest(raw)
	if err != nil {
		return err
	}
	_, err = s.Write(n.knownOf(req, from).appendTo(nil))
	return err
}

// knownOf returns what the node tells a peer of a channel.
func (n *Node) knownOf(req channelRequest, from peer.ID) channelAnswer {
	f := n.feed(req.Channel)
	if f == nil {
		return channelAnswer{}
	}
	a := channelAnswer{Follows: true}
	f.mu.Lock()
	a.Record = f.raw
	f.mu.Unlock()
	var peers []peer.ID
	if req.Track != 0 {
		peers = n.sooner(req, from)
	} else if peers = f.topic.ListPeers(); req.Near {
		n.byDistance(peers)
	} else {
		rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	}
	for _, p := range peers {
		if len(a.Peers) == req.Peers {
			break
		}
		if raw, ok := n.vouched.Load(p); ok && p != from {
			a.Peers = append(a.Peers, raw.([]byte))
		}
	}
	return a
}

func (n *Node) feed(c envelope.Channel) *Feed {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.feeds[c]
}

// wish is what a node that asks about a channel wants of the peers that the answer names.
type wish struct {
	names int                // how many it is told of
	dials int                // how many of them it dials: less, for most are neighbours already
	near  bool               // those near who answers, first
	fresh func(peer.ID) bool // reports whether one is worth a dial; nil: all are

	track uint64 // those through whom a track's stripes come sooner than at these ages; zero: any
	ages  episub.Ages
}

// told is what came of asking about a channel.
type told struct {
	follows bool // who answered is on the channel
	dialled int  // peers of those named
}

// askChannel asks a peer about a feed's channel: the record goes to the feed, and peers that the answer names are dialled
// as is wished.
func (n *Node) askChannel(ctx context.Context, p peer.ID, f *Feed, w wish) (told, error) {
	s, err := n.host.NewStream(ctx, p, ChannelProtocol)
	if err != nil {
		return told{}, err
	}
	defer s.Reset() // after a clean end this does nothing
	if deadline, ok := ctx.Deadline(); ok {
		_ = s.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	req := channelRequest{Channel: f.channel, Peers: w.names, Near: w.near, Track: w.track, Ages: w.ages}
	if _, err := s.Write(appendSized(nil, req.appendTo(nil))); err != nil {
		return told{}, err
	}
	if err := s.CloseWrite(); err != nil {
		return told{}, err
	}
	a, err := readChannelAnswer(s)
	if err != nil {
		if errors.Is(err, ErrChannelWire) {
			n.gate.offend(p, offenceMalformed)
		}
		return told{}, err
	}
	s.Close()
	if len(a.Record) > 0 {
		if _, err := f.take(a.Record); err != nil {
			n.gate.offend(p, offenceForged)
			return told{follows: a.Follows}, fmt.Errorf("record of %s: %w", p, err)
		}
	}
	return told{a.Follows, n.meet(f, a.Peers, w)}, nil
}

// meet dials peers that another told of, as is wished, and returns how many.
func (n *Node) meet(f *Feed, records [][]byte, w wish) int {
	left := w.dials
	for _, raw := range records {
		info, err := openPeerRecord(raw)
		if err != nil {
			n.log.Debug("peer record refused", "err", err)
			continue
		}
		if info.ID == n.ID() || !n.gate.allowed(info.ID) || n.host.Network().Connectedness(info.ID) == network.Connected {
			continue
		}
		n.heard.add(info)
		if left == 0 || w.fresh != nil && !w.fresh(info.ID) {
			continue
		}
		left--
		f.wg.Add(1)
		go func() {
			defer f.wg.Done()
			n.dial(f.ctx, info)
		}()
	}
	return w.dials - left
}
