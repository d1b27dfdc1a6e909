package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"

	"murmuration/chunker/envelope"
)

const (
	// Scheme is the one of this package, in an envelope's key.
	Scheme = 1

	// ChunksPerKey is how many chunks are sealed with one key: 4 min 16 s at 250 ms. What a key opens that got out alone (from
	// a dump of memory, or given away on purpose to show somebody a piece) is minutes; and deriving one, some microseconds,
	// is nothing in that time, neither live nor for a player that jumps about.
	ChunksPerKey = 1 << keyShift
	keyShift     = 10

	keySize = 32 // AES-256

	// keptKeys are those at hand: the running one, its neighbour, and where a player has gone back to.
	keptKeys = 4
)

// What keys are for, as HKDF's info begins. Each ends in a zero byte, which no name holds.
const (
	infoBlocks = "murmuration seal 1 blocks\x00"
	infoInit   = "murmuration seal 1 init\x00"
	infoInitIV = "murmuration seal 1 init iv\x00"
)

var (
	// ErrKey is returned for chunks that are sealed in a way this program does not know, or that name another key than
	// their place in the track says.
	ErrKey = errors.New("sealed with a key of another kind")
	// ErrWrong is returned for an init segment that the secret does not open: it is another broadcast's, or the bytes are.
	ErrWrong = errors.New("the secret does not open it")
	// ErrSize is returned for what is too large to be sealed.
	ErrSize = errors.New("too large to be sealed")
)

// Track seals and opens one track of a broadcast. It is safe for concurrent use.
type Track struct {
	secret Secret
	name   []byte // channel, broadcast and track, as HKDF's info holds them

	init   cipher.Block
	initIV []byte

	mu     sync.Mutex
	blocks [keptKeys]blockKey // the one used last first
}

type blockKey struct {
	epoch, number uint64
	cipher        cipher.Block // nil: none
}

// New returns the keys of a track. Equal arguments give equal keys, on every machine.
func New(secret Secret, channel envelope.Channel, broadcast, track string) *Track {
	name := append([]byte{}, channel[:]...)
	name = append(append(name, broadcast...), 0)
	name = append(append(name, track...), 0)
	t := &Track{secret: secret, name: name}
	t.init = newCipher(t.derive(infoInit))
	t.initIV = t.derive(infoInitIV)
	return t
}

// derive returns a key by HKDF (RFC 5869) with SHA2-256, without salt: the secret is random to begin with.
func (t *Track) derive(purpose string, numbers ...uint64) []byte {
	info := append([]byte(purpose), t.name...)
	for _, n := range numbers {
		info = binary.BigEndian.AppendUint64(info, n)
	}
	key, err := hkdf.Key(sha256.New, t.secret[:], nil, string(info), keySize)
	if err != nil {
		panic(err) // only for sizes that ours is not
	}
	return key
}

func newCipher(key []byte) cipher.Block {
	c, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for sizes that ours is not
	}
	return c
}

// blocksOf returns the cipher of the chunks of an epoch with a key's number.
func (t *Track) blocksOf(epoch, number uint64) cipher.Block {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := 0
	for ; at < keptKeys-1; at++ {
		if k := t.blocks[at]; k.cipher != nil && k.epoch == epoch && k.number == number {
			break
		}
	}
	k := t.blocks[at]
	if k.cipher == nil || k.epoch != epoch || k.number != number {
		k = blockKey{epoch, number, newCipher(t.derive(infoBlocks, epoch, number))}
	}
	copy(t.blocks[1:at+1], t.blocks[:at])
	t.blocks[0] = k
	return k.cipher
}
