package stack

import (
	"encoding/binary"
	"errors"

	"murmuration/chunker/envelope"
)

// A stock gossipsub peer gets each chunk as the one message that mesh/PROTOCOL.md specifies for it: a version, the
// lengths of envelope, block and init segment, and these three.
const frameHeader = 1 + 4 + 4 + 4

var errFrame = errors.New("not a chunk's frame")

func writeFrame(c envelope.Chunk) []byte {
	init := c.Init
	if !c.Flags.Has(envelope.Independent) {
		init = nil
	}
	b := make([]byte, 0, frameHeader+len(c.Raw)+len(c.Block)+len(init))
	b = append(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Raw)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Block)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(init)))
	b = append(b, c.Raw...)
	b = append(b, c.Block...)
	return append(b, init...)
}

// readFrame returns the envelope of a frame. It verifies nothing: stock peers here are sent true chunks, or damaged
// copies that a hostile one made, and checking takes no virtual time.
func readFrame(b []byte) (*envelope.Envelope, error) {
	if len(b) < frameHeader || b[0] != 1 {
		return nil, errFrame
	}
	n := int(binary.BigEndian.Uint32(b[1:]))
	if n > envelope.MaxEncoded || len(b) < frameHeader+n {
		return nil, errFrame
	}
	return envelope.Decode(b[frameHeader : frameHeader+n])
}
