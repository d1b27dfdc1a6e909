package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// A piece is what one partial message carries: a fragment of a chunk, or the chunk's envelope with, for an independent
// chunk, the init segment. The chunk's id is the partial message's group.
//
//	┌────────────────┬──────────────────────────────────────────┐
//	│ episub header  │ fragment                                 │
//	│ 5 bytes        │ 1 to 32,768 bytes                        │
//	└────────────────┴──────────────────────────────────────────┘
//	┌────────────────┬──────────────┬──────────┬────────────────┐
//	│ episub header, │ envelope len │ envelope │ init segment   │
//	│ index -1       │ 2 bytes      │          │ 0 to 65,536    │
//	└────────────────┴──────────────┴──────────┴────────────────┘
const (
	// maxFragment is the largest fragment that is carried. Larger ones would wait for each other on every hop.
	maxFragment  = 32 << 10
	maxPiece     = episub.HeaderSize + 2 + envelope.MaxEncoded + envelope.MaxInit
	maxGroup     = 16 // two uvarints of 53 bits
	pieceFraming = 8  // what protobuf and pubsub add to a piece beyond topic and group, in bytes
)

// ErrPiece is wrapped by errors about bytes that are not a piece of this version.
var ErrPiece = errors.New("mesh: malformed partial message")

// piece is a decoded partial message. Its slices share the message's bytes.
type piece struct {
	header   episub.Header
	fragment []byte // of the fragment header.Index
	envelope []byte // where header.Index is episub.EnvelopeIndex
	init     []byte
}

// appendFragment appends the piece that carries a fragment.
func appendFragment(b []byte, h episub.Header, fragment []byte) []byte {
	return append(h.Append(b), fragment...)
}

// appendEnvelope appends the piece that carries an envelope.
func appendEnvelope(b []byte, h episub.Header, raw, init []byte) []byte {
	b = h.Append(b)
	b = binary.BigEndian.AppendUint16(b, uint16(len(raw)))
	return append(append(b, raw...), init...)
}

// decodePiece reads a piece. It allocates nothing.
func decodePiece(b []byte) (p piece, err error) {
	if len(b) > maxPiece {
		return p, fmt.Errorf("%w: %d bytes", ErrPiece, len(b))
	}
	h, body, err := episub.DecodeHeader(b)
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrPiece, err)
	}
	p.header = h
	if h.Index != episub.EnvelopeIndex {
		if len(body) == 0 || len(body) > maxFragment {
			return p, fmt.Errorf("%w: fragment of %d bytes", ErrPiece, len(body))
		}
		p.fragment = body
		return p, nil
	}
	if len(body) < 2 {
		return p, fmt.Errorf("%w: no envelope", ErrPiece)
	}
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	if n == 0 || n > envelope.MaxEncoded || n > len(body) || len(body)-n > envelope.MaxInit {
		return p, fmt.Errorf("%w: envelope of %d bytes in %d", ErrPiece, n, len(body))
	}
	p.envelope, p.init = body[:n:n], body[n:]
	return p, nil
}

// carried reports whether a chunk can be spread as pieces: it has fragments, not too many, and none too large.
func carried(e *envelope.Envelope) bool {
	return len(e.Fragments) > 0 && len(e.Fragments) <= episub.MaxFragments && e.FragmentSize <= maxFragment && e.Duration > 0
}
