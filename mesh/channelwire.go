package mesh

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/record"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// ChannelProtocol is the libp2p protocol id of the question "what do you know of this channel?".
const ChannelProtocol = protocol.ID("/murmur/channel/1.0.0")

const (
	channelVersion     = 1
	leastRequest       = 1 + 32 + 1
	maxChannelRequest  = leastRequest + 8 + episub.MaxStripes
	maxExchanged       = 16      // peers in one answer
	nearFirst          = 0x80    // in a request's last byte; who does not know it reads a large number of peers
	maxSignedAddresses = 4 << 10 // bytes of one signed peer record
)

// ErrChannelWire is wrapped by errors about bytes that are not a message of the channel protocol.
var ErrChannelWire = errors.New("mesh: malformed channel message")

// stripeAgeUnit is what ages in a request are counted in: 254 of it are more than a second, 255 says that no fragments come.
const stripeAgeUnit = 4 * time.Millisecond

// channelRequest asks for a channel's record, and for peers that are on the channel.
type channelRequest struct {
	Channel envelope.Channel
	Peers   int  // wanted at most
	Near    bool // of these, the nearest to who answers first

	// Track is the mark of a track (see trackMark) of which peers are wanted through whom its stripes should come sooner
	// than at Ages; zero: any peers.
	Track uint64
	Ages  episub.Ages
}

// trackMark names a track in a request: who does not know its topic learns nothing.
func trackMark(topic string) uint64 {
	h := sha256.Sum256([]byte(topic))
	return max(binary.BigEndian.Uint64(h[:]), 1)
}

func (r channelRequest) appendTo(b []byte) []byte {
	b = append(b, channelVersion)
	b = append(b, r.Channel[:]...)
	last := byte(min(r.Peers, maxExchanged))
	if r.Near {
		last |= nearFirst
	}
	b = append(b, last)
	if r.Track == 0 {
		return b
	}
	b = binary.BigEndian.AppendUint64(b, r.Track)
	for _, age := range r.Ages {
		if age < 0 {
			b = append(b, 255)
			continue
		}
		b = append(b, byte(min(age/stripeAgeUnit, 254)))
	}
	return b
}

func parseChannelRequest(b []byte) (channelRequest, error) {
	var r channelRequest
	if len(b) != leastRequest && len(b) != maxChannelRequest || b[0] != channelVersion {
		return r, fmt.Errorf("%w: request of %d bytes", ErrChannelWire, len(b))
	}
	copy(r.Channel[:], b[1:])
	last := b[leastRequest-1]
	r.Peers, r.Near = min(int(last&^nearFirst), maxExchanged), last&nearFirst != 0
	if b = b[leastRequest:]; len(b) == 0 {
		return r, nil
	}
	if r.Track = binary.BigEndian.Uint64(b); r.Track == 0 {
		return r, fmt.Errorf("%w: ages of no track", ErrChannelWire)
	}
	for s, age := range b[8:] {
		r.Ages[s] = time.Duration(age) * stripeAgeUnit
		if age == 255 {
			r.Ages[s] = -1
		}
	}
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
