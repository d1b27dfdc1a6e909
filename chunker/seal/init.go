package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"murmuration/chunker/envelope"
)

// InitOverhead is by how many bytes a sealed init segment is longer.
const InitOverhead = aes.BlockSize

// SealInit returns the ciphertext of an init segment, behind the IV that it was made with. The IV is a keyed hash of the
// init segment (as in RFC 5297): init segments have no number of their own, equal ones of one track stay equal blocks, and
// different ones get different IVs.
func (t *Track) SealInit(init []byte) ([]byte, error) {
	if len(init) == 0 || len(init) > envelope.MaxInit-InitOverhead {
		return nil, fmt.Errorf("%w: an init segment of %d bytes", ErrSize, len(init))
	}
	out := make([]byte, InitOverhead+len(init))
	iv := t.ivOf(init)
	copy(out, iv)
	cipher.NewCTR(t.init, iv).XORKeyStream(out[InitOverhead:], init)
	return out, nil
}

// OpenInit returns the init segment that SealInit sealed. ErrWrong where it was not sealed with this secret for this track.
func (t *Track) OpenInit(sealed []byte) ([]byte, error) {
	if len(sealed) <= InitOverhead || len(sealed) > envelope.MaxInit {
		return nil, fmt.Errorf("%w: an init segment of %d bytes", ErrWrong, len(sealed))
	}
	iv := sealed[:InitOverhead]
	init := make([]byte, len(sealed)-InitOverhead)
	cipher.NewCTR(t.init, iv).XORKeyStream(init, sealed[InitOverhead:])
	if !hmac.Equal(iv, t.ivOf(init)) {
		return nil, ErrWrong
	}
	return init, nil
}

func (t *Track) ivOf(init []byte) []byte {
	mac := hmac.New(sha256.New, t.initIV)
	mac.Write(init)
	return mac.Sum(nil)[:aes.BlockSize]
}
