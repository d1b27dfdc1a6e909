package stack

import (
	"bytes"
	"testing"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"

	"murmuration/sim"
)

// TestTamper: media is taken out or spoilt; what keeps a liar in the trees (control, envelopes) is left alone.
func TestTamper(t *testing.T) {
	envelope, fragment, control := []byte{1, 0, 9, 9}, []byte{1, 1, 9, 9}, []byte{1, 7}
	message := func(piece, control, whole []byte) *pb.RPC {
		rpc := &pb.RPC{Partial: &pb.PartialMessagesExtension{PartialMessage: piece, PartsMetadata: control}}
		if whole != nil {
			rpc.Publish = []*pb.Message{{Data: whole}}
		}
		return rpc
	}
	for _, c := range []struct {
		name                  string
		how                   sim.Behaviour
		piece, control, whole []byte
		did                   bool
		wantPiece, wantWhole  []byte
	}{
		{"control", sim.Mute, nil, control, nil, false, nil, nil},
		{"envelope", sim.Garbage, envelope, nil, nil, false, envelope, nil},
		{"mute", sim.Mute, fragment, control, nil, true, nil, nil},
		{"garbage", sim.Garbage, fragment, control, nil, true, []byte{1, 1, 9, 8}, nil},
		{"mute, whole", sim.Mute, nil, control, []byte{5}, true, nil, nil},
		{"garbage, whole", sim.Garbage, nil, control, []byte{5}, true, nil, []byte{4}},
	} {
		rpc := message(c.piece, c.control, c.whole)
		if did := tamper(rpc, c.how); did != c.did {
			t.Errorf("%s: tampered %v", c.name, did)
		}
		if p := rpc.GetPartial(); !bytes.Equal(p.GetPartialMessage(), c.wantPiece) || !bytes.Equal(p.GetPartsMetadata(), c.control) {
			t.Errorf("%s: left %v and %v", c.name, p.GetPartialMessage(), p.GetPartsMetadata())
		}
		if got := rpc.GetPublish(); (len(got) > 0) != (c.wantWhole != nil) || len(got) > 0 && !bytes.Equal(got[0].GetData(), c.wantWhole) {
			t.Errorf("%s: left %v", c.name, got)
		}
	}
	rpc := message(fragment, nil, nil)
	if !tamper(rpc, sim.Mute) || rpc.Partial != nil {
		t.Error("a mute one sends an empty partial message")
	}
	if fragment[3] != 9 {
		t.Error("the sender's own fragment was spoilt")
	}
}
