package mesh

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
)

// topicPrefix starts the name of every topic; the number is the version of the whole protocol.
const topicPrefix = "/murmur/1/"

// topicDigest is the bytes of a digest that name a track's topic: enough that no two meet by chance. Who makes two tracks
// of its own meet has them refused, since every chunk names its track.
const topicDigest = 12

// ErrChannel is wrapped by errors about text that should name a channel and does not.
var ErrChannel = errors.New("not a channel")

// TrackID names a track of a broadcast of a channel.
type TrackID struct {
	Channel   envelope.Channel
	Broadcast string // broadcast id
	Track     string // track name
}

// Topic returns the name of the gossipsub topic that carries the track's chunks: the first 12 bytes of the SHA2-256 of
// what String returns, in base64url. The name goes with each chunk some thirty times: spelt out, it took 1.8 % of the
// media more.
func (t TrackID) Topic() string {
	digest := sha256.Sum256([]byte(t.String()))
	return topicPrefix + base64.RawURLEncoding.EncodeToString(digest[:topicDigest])
}

// String returns the channel, the broadcast and the track with slashes between them.
func (t TrackID) String() string { return ChannelName(t.Channel) + "/" + t.Broadcast + "/" + t.Track }

// Check reports whether the names are within the format's bounds.
func (t TrackID) Check() error {
	if err := envelope.CheckName(t.Broadcast); err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	if err := envelope.CheckName(t.Track); err != nil {
		return fmt.Errorf("track: %w", err)
	}
	return nil
}

// ChannelTopic returns the name of the topic that carries the channel's record.
func ChannelTopic(c envelope.Channel) string { return topicPrefix + ChannelName(c) }

// ChannelID returns the peer ID that names the channel. Any 32 bytes have one, also those that are no point on the curve:
// nothing ever verifies against them.
func ChannelID(c envelope.Channel) peer.ID {
	key, err := crypto.UnmarshalEd25519PublicKey(c[:])
	if err != nil {
		panic(fmt.Sprintf("mesh: 32 bytes are not a public key: %v", err)) // it checks the length only
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		panic(fmt.Sprintf("mesh: no peer ID for a public key: %v", err)) // it only marshals
	}
	return id
}

// ChannelName returns the channel's peer ID as text, 12D3KooW...
func ChannelName(c envelope.Channel) string { return ChannelID(c).String() }

// ChannelOf returns the channel that belongs to a channel key.
func ChannelOf(key ed25519.PrivateKey) envelope.Channel {
	return envelope.Channel(key.Public().(ed25519.PublicKey))
}

// ParseChannel reads a channel's peer ID as text.
func ParseChannel(s string) (envelope.Channel, error) {
	var c envelope.Channel
	if len(s) > 128 {
		return c, fmt.Errorf("%w: %d characters are too many", ErrChannel, len(s))
	}
	id, err := peer.Decode(s)
	if err != nil {
		return c, fmt.Errorf("%w: %q is not a peer ID such as 12D3KooW...: %w", ErrChannel, s, err)
	}
	return ChannelFromID(id)
}

// ChannelFromID returns the channel that a peer ID names. Only peer IDs of Ed25519 keys name channels.
func ChannelFromID(id peer.ID) (envelope.Channel, error) {
	var c envelope.Channel
	key, err := id.ExtractPublicKey()
	if err != nil {
		return c, fmt.Errorf("%w: %s does not hold a public key (an Ed25519 peer ID starts with 12D3KooW): %w", ErrChannel, id, err)
	}
	if key.Type() != crypto.Ed25519 {
		return c, fmt.Errorf("%w: %s is of a key of type %s, not Ed25519", ErrChannel, id, key.Type())
	}
	raw, err := key.Raw()
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrChannel, err)
	}
	copy(c[:], raw)
	return c, nil
}
