package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"murmuration/chunker/envelope"
)

// KeyOf returns the key that the chunk with a seq is sealed with.
func KeyOf(seq uint64) envelope.Key {
	return envelope.Key{Scheme: Scheme, Number: seq >> keyShift}
}

// SealBlock returns the ciphertext of a chunk's block, of the same size, and the key's name. The caller must not seal two
// different blocks as one epoch and seq: an origin that restarts begins a higher epoch.
func (t *Track) SealBlock(epoch, seq uint64, block []byte) ([]byte, envelope.Key, error) {
	if len(block) >= envelope.MaxBlock {
		return nil, envelope.Key{}, fmt.Errorf("%w: a block of %d bytes", ErrSize, len(block))
	}
	key := KeyOf(seq)
	return t.crypt(key, epoch, seq, block), key, nil
}

// OpenBlock returns what SealBlock sealed. It cannot tell a wrong secret from the right one: that an init segment opens does.
func (t *Track) OpenBlock(key envelope.Key, epoch, seq uint64, sealed []byte) ([]byte, error) {
	if key != KeyOf(seq) {
		return nil, fmt.Errorf("%w: scheme %d, key %d of chunk %d-%d", ErrKey, key.Scheme, key.Number, epoch, seq)
	}
	if len(sealed) >= envelope.MaxBlock {
		return nil, fmt.Errorf("%w: a block of %d bytes", ErrSize, len(sealed))
	}
	return t.crypt(key, epoch, seq, sealed), nil
}

// OpenChunk is OpenBlock where no envelope is at hand, but it is known that the chunk is sealed by Scheme.
func (t *Track) OpenChunk(epoch, seq uint64, sealed []byte) ([]byte, error) {
	return t.OpenBlock(KeyOf(seq), epoch, seq, sealed)
}

// crypt is AES in counter mode. The first half of a counter block is seq, the second counts the 16 bytes of the block, of
// which there are less than 2^16: so no two chunks of one key share a counter.
func (t *Track) crypt(key envelope.Key, epoch, seq uint64, in []byte) []byte {
	if len(in) == 0 {
		return nil
	}
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint64(iv[:], seq)
	out := make([]byte, len(in))
	cipher.NewCTR(t.blocksOf(epoch, key.Number), iv[:]).XORKeyStream(out, in)
	return out
}
