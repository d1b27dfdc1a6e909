package mesh

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
)

const (
	fetchTimeout = 10 * time.Second        // for a whole answer
	firstTimeout = 1500 * time.Millisecond // for its first part
)

// ErrNotServed means that a peer answered, but does not have what was asked for or was too busy.
var ErrNotServed = fmt.Errorf("mesh: peer does not serve it")

// ask sends one request of the log protocol and passes the parts of the answer on as they come.
func (n *Node) ask(ctx context.Context, p peer.ID, req logRequest, onChunk, onInit func([]byte) error) (logEnd, error) {
	return n.request(ctx, p, req, takers{logItemChunk: onChunk, logItemInit: onInit})
}

func (n *Node) request(ctx context.Context, p peer.ID, req logRequest, take takers) (logEnd, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	speak := LogProtocol
	if req.Kind == logIndex {
		speak = IndexProtocol
	}
	s, err := n.host.NewStream(ctx, p, speak)
	if err != nil {
		return logEnd{}, fmt.Errorf("log request to %s: %w", p, err)
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	defer s.Reset() // after a clean end this does nothing
	_ = s.SetDeadline(time.Now().Add(firstTimeout + requestTimeout/5))
	if _, err := s.Write(appendSized(nil, req.appendTo(nil))); err != nil {
		return logEnd{}, fmt.Errorf("log request to %s: %w", p, err)
	}
	if err := s.CloseWrite(); err != nil {
		return logEnd{}, fmt.Errorf("log request to %s: %w", p, err)
	}
	for kind, use := range take {
		if use != nil {
			take[kind] = func(b []byte) error {
				_ = s.SetDeadline(time.Now().Add(fetchTimeout))
				return use(b)
			}
		}
	}
	end, err := readAnswer(s, max(req.Count, 1), take)
	if err != nil {
		return end, fmt.Errorf("log answer of %s: %w", p, err)
	}
	s.Close()
	return end, nil
}

// FetchInit asks one peer for an init segment of a track and verifies it.
func (n *Node) FetchInit(ctx context.Context, p peer.ID, id TrackID, c cid.Cid) ([]byte, error) {
	var init []byte
	end, err := n.ask(ctx, p, logRequest{Kind: logInit, Track: id, Init: c}, nil, func(b []byte) error {
		if !envelope.RawCID(b).Equals(c) {
			return fmt.Errorf("%w: another init segment than was asked for", ErrLogWire)
		}
		init = b
		return nil
	})
	if err != nil {
		return nil, err
	}
	if end.Status != logDone || init == nil {
		return nil, fmt.Errorf("%w: status %d", ErrNotServed, end.Status)
	}
	return init, nil
}
