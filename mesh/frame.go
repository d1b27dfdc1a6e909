package mesh

import (
	"encoding/binary"
	"errors"
	"fmt"

	"murmuration/chunker/envelope"
)

// A chunk travels, on a topic and in the log protocol alike, as one frame:
//
//	┌─────────┬──────────────┬───────────┬──────────┬──────────┬───────┬──────┐
//	│ version │ envelope len │ block len │ init len │ envelope │ block │ init │
//	│ 1 byte  │ 4 bytes      │ 4 bytes   │ 4 bytes  │          │       │      │
//	└─────────┴──────────────┴───────────┴──────────┴──────────┴───────┴──────┘
//
// Numbers are big-endian. The init segment is there exactly when the envelope is Independent and not End, so one chunk
// has one frame and (by the hash) one message id: nobody can make others carry it twice by framing it differently.
const (
	frameVersion = 1
	frameHeader  = 1 + 4 + 4 + 4
	maxFrame     = frameHeader + envelope.MaxEncoded + envelope.MaxBlock + envelope.MaxInit
)

// ErrFrame is wrapped by errors about bytes that are not a frame of this version.
var ErrFrame = errors.New("mesh: malformed chunk frame")

// carriesInit reports whether the frame of a chunk holds its init segment.
func carriesInit(e *envelope.Envelope) bool {
	return e.Flags.Has(envelope.Independent) && !e.Flags.Has(envelope.End)
}

// encodeFrame returns the chunk's frame.
func encodeFrame(c envelope.Chunk) ([]byte, error) {
	init := c.Init
	if !carriesInit(c.Envelope) {
		init = nil
	} else if len(init) == 0 {
		return nil, fmt.Errorf("mesh: chunk %v is independent and comes without its init segment", c.ID())
	}
	if len(c.Raw) == 0 || len(c.Raw) > envelope.MaxEncoded || len(c.Block) > envelope.MaxBlock || len(init) > envelope.MaxInit {
		return nil, fmt.Errorf("mesh: chunk %v is out of bounds: envelope %d, block %d, init %d bytes", c.ID(), len(c.Raw), len(c.Block), len(init))
	}
	b := make([]byte, 0, frameHeader+len(c.Raw)+len(c.Block)+len(init))
	b = append(b, frameVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Raw)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Block)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(init)))
	b = append(b, c.Raw...)
	b = append(b, c.Block...)
	return append(b, init...), nil
}

// decodeFrame reads a frame without verifying anything but its form. The chunk's slices share b.
func decodeFrame(b []byte) (envelope.Chunk, error) {
	var c envelope.Chunk
	if len(b) < frameHeader {
		return c, fmt.Errorf("%w: %d bytes", ErrFrame, len(b))
	}
	if b[0] != frameVersion {
		return c, fmt.Errorf("%w: version %d", ErrFrame, b[0])
	}
	env := uint64(binary.BigEndian.Uint32(b[1:]))
	block := uint64(binary.BigEndian.Uint32(b[5:]))
	init := uint64(binary.BigEndian.Uint32(b[9:]))
	if env == 0 || env > envelope.MaxEncoded || block > envelope.MaxBlock || init > envelope.MaxInit {
		return c, fmt.Errorf("%w: lengths %d, %d, %d", ErrFrame, env, block, init)
	}
	b = b[frameHeader:]
	if uint64(len(b)) != env+block+init {
		return c, fmt.Errorf("%w: %d bytes instead of %d", ErrFrame, len(b), env+block+init)
	}
	e, err := envelope.Decode(b[:env:env])
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if carriesInit(e) != (init > 0) {
		return c, fmt.Errorf("%w: init segment of %d bytes with flags %#x", ErrFrame, init, e.Flags)
	}
	c.Envelope, c.Raw = e, b[:env:env]
	c.Block = b[env : env+block : env+block]
	if init > 0 {
		c.Init = b[env+block : len(b) : len(b)]
	}
	return c, nil
}

// verifyChunk checks everything that binds a decoded frame to the track: the names, the channel's signature, the block
// and the init segment.
func verifyChunk(id TrackID, c envelope.Chunk) error {
	if c.Channel != id.Channel || c.Broadcast != id.Broadcast || c.Track != id.Track {
		return fmt.Errorf("mesh: chunk of another track: %v", TrackID{c.Channel, c.Broadcast, c.Track})
	}
	if err := c.Verify(); err != nil {
		return err
	}
	if err := c.CheckBlock(c.Block); err != nil {
		return err
	}
	if c.Init != nil {
		return c.CheckInit(c.Init)
	}
	return nil
}
