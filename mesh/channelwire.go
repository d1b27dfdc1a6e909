package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/record"

	"murmuration/chunker/envelope"
)

// ChannelProtocol is the libp2p protocol id of the question "what do you know of this channel?".
const ChannelProtocol = protocol.ID("/murmur/channel/1.0.0")

const (
	channelVersion     = 1
	maxChannelRequest  = 1 + 32 + 1
	maxExchanged       = 16      // peers in one answer
	nearFirst          = 0x80    // in a request's last byte; who does not know it reads a large number of peers
	maxSignedAddresses = 4 << 10 // bytes of one signed peer record
)

// ErrChannelWire is wrapped by errors about bytes that are not a message of the channel protocol.
var ErrChannelWire = errors.New("mesh: malformed channel message")

// channelRequest asks for a channel's record, and for peers that are on the channel.
type channelRequest struct {
	Channel envelope.Channel
	Peers   int  // wanted at most
	Near    bool // of these, the nearest to who answers first
}

func (r channelRequest) appendTo(b []byte) []byte {
	b = append(b, channelVersion)
	b = append(b, r.Channel[:]...)
	last := byte(min(r.Peers, maxExchanged))
	if r.Near {
		last |= nearFirst
	}
	return append(b, last)
}

func parseChannelRequest(b []byte) (channelRequest, error) {
	var r channelRequest
	if len(b) != maxChannelRequest || b[0] != channelVersion {
		return r, fmt.Errorf("%w: request of %d bytes", ErrChannelWire, len(b))
	}
	copy(r.Channel[:], b[1:])
	last := b[len(b)-1]
	r.Peers, r.Near = min(int(last&^nearFirst), maxExchanged), last&nearFirst != 0
	return r, nil
}

// channelAnswer is what a peer knows of a channel.
type channelAnswer struct {
	Follows bool     // it is on the channel itself
	Record  []byte   // encoded; empty where it has none
	Peers   [][]byte // signed peer records (libp2p envelopes) of others on the channel
}

func (a channelAnswer) appendTo(b []byte) []byte {
	follows := byte(0)
	if a.Follows {
		follows = 1
	}
	b = append(b, channelVersion, follows)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(a.Record))), a.Record...)
	b = append(b, byte(len(a.Peers)))
	for _, p := range a.Peers {
		b = appendSized(b, p)
	}
	return b
}

// readChannelAnswer reads an answer strictly, up to the end of the stream.
func readChannelAnswer(r io.Reader) (channelAnswer, error) {
	var a channelAnswer
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return a, unexpectedEOF(err)
	}
	size := binary.BigEndian.Uint32(head[2:])
	if head[0] != channelVersion || head[1] > 1 || size > maxRecord {
		return a, fmt.Errorf("%w: answer with head %x", ErrChannelWire, head)
	}
	a.Follows = head[1] == 1
	rest := make([]byte, size+1)
	if _, err := io.ReadFull(r, rest); err != nil {
		return a, unexpectedEOF(err)
	}
	a.Record = rest[:size:size]
	count := int(rest[size])
	if count > maxExchanged {
		return a, fmt.Errorf("%w: %d peers", ErrChannelWire, count)
	}
	for range count {
		p, err := readSized(r, maxSignedAddresses)
		if err != nil {
			return a, fmt.Errorf("%w: %w", ErrChannelWire, unexpectedEOF(err))
		}
		a.Peers = append(a.Peers, p)
	}
	var extra [1]byte
	if n, err := io.ReadFull(r, extra[:]); n > 0 || !errors.Is(err, io.EOF) {
		return a, fmt.Errorf("%w: bytes after the end", ErrChannelWire)
	}
	return a, nil
}

// openPeerRecord reads a signed peer record: addresses that the peer itself vouches for.
func openPeerRecord(raw []byte) (peer.AddrInfo, error) {
	env, rec, err := record.ConsumeEnvelope(raw, peer.PeerRecordEnvelopeDomain)
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("%w: peer record: %w", ErrChannelWire, err)
	}
	pr, ok := rec.(*peer.PeerRecord)
	if !ok || !pr.PeerID.MatchesPublicKey(env.PublicKey) {
		return peer.AddrInfo{}, fmt.Errorf("%w: peer record of another peer", ErrChannelWire)
	}
	return peer.AddrInfo{ID: pr.PeerID, Addrs: pr.Addrs}, nil
}
