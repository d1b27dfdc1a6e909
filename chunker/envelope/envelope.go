package envelope

import (
	"crypto/ed25519"
	"time"

	"github.com/ipfs/go-cid"
)

// Bounds of the format. A decoder refuses what passes them before it allocates anything.
const (
	// MaxBlock is the size in bytes that a chunk's block stays below (1 MiB).
	MaxBlock = 1 << 20
	// MaxInit is the largest init segment in bytes.
	MaxInit = 64 << 10
	// MaxName is the longest broadcast id or track name, in bytes of [0-9a-z-].
	MaxName = 40
	// MaxEncoded is the largest encoded envelope in bytes.
	MaxEncoded = 8 << 10
	// MaxPrevious is how many previous envelopes one may link to.
	MaxPrevious = 8
	// MaxInteger bounds every integer of the encoding, so that JavaScript holds it exactly.
	MaxInteger = 1<<53 - 1
	// MinFragment is the smallest fragment size in bytes.
	MinFragment = 1 << 10
	// MaxExtensions is how many extension fields an envelope may carry.
	MaxExtensions = 16
	// HashSize is the size in bytes of a fragment hash: SHA2-256 cut to 128 bits (second preimages are what matters).
	HashSize = 16
	// DefaultFragment is the default fragment size in bytes: it leaves in one QUIC burst (DESIGN.md 5).
	DefaultFragment = 8 << 10
)

// Channel is the organiser's identity: an Ed25519 public key.
type Channel [ed25519.PublicKeySize]byte

// Flags of an envelope.
type Flags uint32

const (
	// Independent marks a chunk that starts with a random access point.
	Independent Flags = 1 << iota
	// Discontinuity marks a chunk whose timeline or format does not continue the one before.
	Discontinuity
	// End marks the last envelope of a track. Its block is empty and its duration zero.
	End
)

// Has reports whether all of g are set in f.
func (f Flags) Has(g Flags) bool { return f&g == g }

// Envelope is the signed description of one chunk.
type Envelope struct {
	Channel   Channel
	Broadcast string // broadcast id
	Track     string // track name, "main" to begin with

	Epoch uint64 // grows when an origin restarts without its state: Unix seconds of its start
	Seq   uint64 // grows by one within an epoch, from 0

	Timescale  uint32 // units per second of DecodeTime, Duration and PartTarget
	DecodeTime uint64 // of the chunk's first sample, in Timescale units; continues across chunks without rounding
	Duration   uint32 // in Timescale units; DecodeTime+Duration is the next chunk's DecodeTime unless it is a Discontinuity
	PartTarget uint32 // PART-TARGET of the track in Timescale units, the same in all envelopes of a broadcast's track

	Captured time.Time // wall clock at which the chunk's first sample was captured, UTC, microseconds
	Flags    Flags

	Init         cid.Cid          // CID of the init segment that the chunk needs
	Block        cid.Cid          // CID of the block
	BlockSize    uint32           // bytes
	FragmentSize uint32           // bytes of each fragment but the last
	Fragments    [][HashSize]byte // hash of each fragment, in order

	// Key says under which key the block and the init segment are sealed (FORMAT.md, 6). The zero Key: they are plain.
	Key Key

	Previous []cid.Cid // Previous[i] is the CID of the envelope at Seq-2^i of the same epoch; empty for Seq 0

	// Extensions are fields that later versions add without a break: kept and signed whether or not they are known.
	Extensions []Extension

	Signature [ed25519.SignatureSize]byte
}

// Extension is one entry of the extensions map.
type Extension struct {
	Key   string // 1 to MaxName bytes of [0-9a-z-]
	Value []byte // one canonical dag-cbor item
}

// Key names the key of a sealed chunk. It does not tell anything of the secret that keys are derived from.
type Key struct {
	Scheme uint8  // how it is sealed; zero: not at all
	Number uint64 // which of the track's keys in this epoch
}

// Sealed reports whether a chunk of this key is ciphertext.
func (k Key) Sealed() bool { return k.Scheme != 0 }

// ID names a chunk within its track.
type ID struct {
	Epoch, Seq uint64
}

// Chunk is an envelope with the bytes it describes. Chunks are immutable once made: everyone shares the slices.
type Chunk struct {
	*Envelope
	Raw   []byte // the encoded envelope, as signed and hashed
	Block []byte // moof+mdat, sealed where Key says so; empty for an End
	Init  []byte // the init segment, set on Independent chunks (and wherever it is at hand), else nil
}
