package envelope

import (
	"crypto/ed25519"
	"errors"
	"fmt"
)

// The domain stands before the signed bytes, so that a signature over anything else by the same key (a channel record,
// a libp2p handshake, an IPNS record) can never pass for an envelope's. It names the envelope's version.
const (
	domainPlain  = "murmuration envelope v1\x00"
	domainSealed = "murmuration envelope v2\x00"
)

func (e *Envelope) domain() string {
	if e.Key.Sealed() {
		return domainSealed
	}
	return domainPlain
}

var (
	// ErrSignature is returned by Verify for a signature that is not the channel's.
	ErrSignature = errors.New("envelope is not signed by its channel")
	// ErrKey is returned by Sign for a key of the wrong length.
	ErrKey = errors.New("not an Ed25519 private key")
)

// Sign sets Channel and Signature. It refuses an envelope that Decode would refuse.
func (e *Envelope) Sign(key ed25519.PrivateKey) error {
	_, err := e.Seal(key)
	return err
}

// Seal signs as Sign does and returns the encoded envelope.
func (e *Envelope) Seal(key ed25519.PrivateKey) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, ErrKey
	}
	copy(e.Channel[:], key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
	domain := e.domain()
	b := append(make([]byte, 0, len(domain)+e.sizeHint()), domain...)
	b = e.appendUnsigned(b)
	copy(e.Signature[:], ed25519.Sign(key, b))
	raw := appendBytes(b, e.Signature[:])[len(domain):]
	if _, err := Decode(raw); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return raw, nil
}

// Verify checks the signature against e.Channel. Whether that channel is the wanted one is the caller's to check.
func (e *Envelope) Verify() error {
	domain := e.domain()
	b := append(make([]byte, 0, len(domain)+e.sizeHint()), domain...)
	b = e.appendUnsigned(b)
	if !ed25519.Verify(e.Channel[:], b, e.Signature[:]) {
		return ErrSignature
	}
	return nil
}
