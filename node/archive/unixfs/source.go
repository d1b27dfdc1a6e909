package unixfs

import (
	"context"
	"errors"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/playlist"

	"github.com/ipfs/go-cid"
)

// Errors of this package.
var (
	// ErrEmpty is returned by Build for a broadcast without a single chunk that could be played.
	ErrEmpty = errors.New("nothing in the recording can be played")
	// ErrSource marks a Source that contradicts itself.
	ErrSource = errors.New("not a recording's source")
	// ErrHostile marks a view that no Build wrote: wrong hashes, sizes, names or shapes, or more than the bounds.
	ErrHostile = errors.New("not a recording's view")
	// ErrSignature is returned by Info.Verify for an info.json that the channel did not sign.
	ErrSignature = errors.New("the recording is not signed by its channel")
)

// Source is what a recording is made of. Equal sources make equal roots, where Still gives equal pictures.
type Source struct {
	Channel          envelope.Channel
	Broadcast, Title string
	Started, Ended   time.Time

	// KeyScheme is how the media is sealed, as the envelopes' keys say: zero, it is not. A sealed recording's directory has
	// neither playlists nor segments nor posters, and no file in it has the name of one with media.
	KeyScheme uint8

	// Tracks with their chunks. Tracks without chunks are left out.
	Tracks []Track

	// Block reads blocks back: the init segments, and for the poster one chunk. Media is never copied.
	Block func(cid.Cid) ([]byte, error)

	// Sign signs by the channel's key (Ed25519). Nil: the recording is not signed.
	Sign func([]byte) []byte

	// Still makes a JPEG of the first picture of a small MP4, for poster.jpg; package still does it by ffmpeg. Nil, an
	// error or no picture: there is no poster.jpg. Since decoders differ, so may the root.
	Still func(ctx context.Context, mp4 []byte) ([]byte, error)
}

// Track is one track of a recording.
type Track struct {
	Name  string
	Parts []Part // ascending; holes are possible, and end marks
}

// Part is one chunk: its metadata and where its bytes are. Parts that are end marks have no block.
type Part struct {
	playlist.Part
	Block, Init cid.Cid
	InitSize    int // bytes of the init segment
}

// Put takes a block of the view's own: nodes and small files, children before parents, each once.
type Put func(c cid.Cid, data []byte) error
