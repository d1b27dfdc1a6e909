package envelope

import (
	"crypto/ed25519"

	"github.com/ipfs/go-cid"
)

const (
	// versionPlain and versionSealed are the first element of the encoding. Readers refuse any other.
	versionPlain  = 1
	versionSealed = 2
	// elements is how many elements the encoded list of a plain chunk has; that of a sealed one has the key besides.
	elements = 20
	// maxScheme bounds Key.Scheme, so that a scheme is one byte of the encoding.
	maxScheme = 23
	// signatureSize is the encoded size in bytes of the last element: the head of a byte string, and the signature.
	signatureSize = 2 + ed25519.SignatureSize
)

// Encode returns the envelope in canonical dag-cbor, with the signature as it stands.
// It checks nothing: what Sign accepted or Decode returned encodes to what Decode takes.
func (e *Envelope) Encode() []byte {
	b := make([]byte, 0, e.sizeHint())
	b = e.appendUnsigned(b)
	return appendBytes(b, e.Signature[:])
}

func (e *Envelope) sizeHint() int {
	n := 336 + len(e.Broadcast) + len(e.Track) + HashSize*len(e.Fragments) + 41*len(e.Previous)
	for _, x := range e.Extensions {
		n += 4 + len(x.Key) + len(x.Value)
	}
	return n
}

// appendUnsigned appends everything that stands before the signature: what the signature covers.
func (e *Envelope) appendUnsigned(b []byte) []byte {
	if e.Key.Sealed() {
		b = appendHead(b, majorList, elements+1)
		b = appendHead(b, majorUint, versionSealed)
	} else {
		b = appendHead(b, majorList, elements)
		b = appendHead(b, majorUint, versionPlain)
	}
	b = appendBytes(b, e.Channel[:])
	b = appendText(b, e.Broadcast)
	b = appendText(b, e.Track)
	b = appendHead(b, majorUint, e.Epoch)
	b = appendHead(b, majorUint, e.Seq)
	b = appendHead(b, majorUint, uint64(e.Timescale))
	b = appendHead(b, majorUint, e.DecodeTime)
	b = appendHead(b, majorUint, uint64(e.Duration))
	b = appendHead(b, majorUint, uint64(e.PartTarget))
	b = appendHead(b, majorUint, uint64(e.Captured.UnixMicro()))
	b = appendHead(b, majorUint, uint64(e.Flags))
	b = appendCID(b, e.Init)
	b = appendCID(b, e.Block)
	b = appendHead(b, majorUint, uint64(e.BlockSize))
	b = appendHead(b, majorUint, uint64(e.FragmentSize))
	b = appendHead(b, majorBytes, uint64(HashSize*len(e.Fragments)))
	for i := range e.Fragments {
		b = append(b, e.Fragments[i][:]...)
	}
	b = appendHead(b, majorList, uint64(len(e.Previous)))
	for _, c := range e.Previous {
		b = appendCID(b, c)
	}
	if e.Key.Sealed() {
		b = appendHead(b, majorList, 2)
		b = appendHead(b, majorUint, uint64(e.Key.Scheme))
		b = appendHead(b, majorUint, e.Key.Number)
	}
	b = appendHead(b, majorMap, uint64(len(e.Extensions)))
	for _, x := range e.Extensions {
		b = append(appendText(b, x.Key), x.Value...)
	}
	return b
}

// CID returns the CID of an encoded envelope: version 1, dag-cbor, SHA2-256.
func CID(raw []byte) cid.Cid { return sum(prefixCBOR, raw) }
