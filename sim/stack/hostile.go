package stack

import (
	"bytes"
	"context"
	"encoding/binary"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/proto"

	"murmuration/mesh"
	"murmuration/sim"
)

// freeUpload is what a free rider gives, in bits a second: enough to say what it wants.
const freeUpload = 8_000

// newHostile starts a mesh node that does not play by the rules. It asks, advertises and grants as an honest one does, and
// then delivers nothing (mute), or fragments with a wrong byte in them (garbage). One that rides free is honest, but has
// no upload to give.
func newHostile(at *place, how sim.Behaviour) (participant, error) {
	if how == sim.Free {
		return startMesh(at, mesh.Config{Upload: freeUpload})
	}
	h, err := newHost(at, nil)
	if err != nil {
		return nil, err
	}
	return startMesh(at, mesh.Config{Upload: at.upload(), Host: &liar{h, how}})
}

// liar is a host that tampers with what its node sends.
type liar struct {
	host.Host
	how sim.Behaviour
}

// NewStream implements host.Host: pubsub writes to streams that it opened.
func (l *liar) NewStream(ctx context.Context, p peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	s, err := l.Host.NewStream(ctx, p, protocols...)
	if err != nil || len(protocols) == 0 || protocols[0] == mesh.LogProtocol || protocols[0] == mesh.ChannelProtocol {
		return s, err
	}
	return &lies{s, l.how}, nil
}

// SetStreamHandler implements host.Host: who asks for the log gets nothing.
func (l *liar) SetStreamHandler(id protocol.ID, h network.StreamHandler) {
	if id == mesh.LogProtocol {
		h = func(s network.Stream) { _ = s.Reset() }
	}
	l.Host.SetStreamHandler(id, h)
}

// lies is a stream of pubsub messages. Pubsub writes each in one piece, with its length before it.
type lies struct {
	network.Stream
	how sim.Behaviour
}

// Write implements network.Stream.
func (s *lies) Write(b []byte) (int, error) {
	size, n := binary.Uvarint(b)
	var rpc pb.RPC
	if n <= 0 || uint64(len(b)-n) != size || proto.Unmarshal(b[n:], &rpc) != nil || !tamper(&rpc, s.how) {
		return s.Stream.Write(b)
	}
	if proto.Size(&rpc) == 0 {
		return len(b), nil
	}
	out, err := proto.MarshalOptions{}.MarshalAppend(binary.AppendUvarint(nil, uint64(proto.Size(&rpc))), &rpc)
	if err == nil {
		_, err = s.Stream.Write(out)
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// tamper takes the media out of a message, or spoils it, and reports whether there was any.
func tamper(rpc *pb.RPC, how sim.Behaviour) (did bool) {
	if p := rpc.GetPartial(); len(p.GetPartialMessage()) > 1 && p.GetPartialMessage()[1] > 0 { // 0: an envelope
		did = true
		if how == sim.Garbage {
			p.PartialMessage = spoil(p.GetPartialMessage())
		} else if p.PartialMessage = nil; len(p.GetPartsMetadata()) == 0 {
			rpc.Partial = nil
		}
	}
	if len(rpc.GetPublish()) == 0 {
		return did
	}
	if how != sim.Garbage {
		rpc.Publish = nil
		return true
	}
	for _, m := range rpc.GetPublish() {
		m.Data = spoil(m.GetData())
	}
	return true
}

// spoil returns b with its last byte changed.
func spoil(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}
