package exchange

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-msgio"
)

// liar is a bitswap peer that says it has everything, answers by answer, and counts what it was asked.
func liar(t *testing.T, answer func(want cid.Cid) []blocks.Block) host.Host {
	t.Helper()
	h := newHost(t)
	h.SetStreamHandler(bsnet.ProtocolBitswap, func(s network.Stream) {
		defer s.Close()
		reader := msgio.NewVarintReaderSize(s, network.MessageSizeMax)
		for {
			m, _, err := message.FromMsgReader(reader)
			if err != nil {
				return
			}
			reply := message.New(false)
			for _, e := range m.Wantlist() {
				switch {
				case e.Cancel:
				case e.WantType == pb.Message_Wantlist_Have:
					reply.AddHave(e.Cid)
				default:
					for _, b := range answer(e.Cid) {
						reply.AddBlock(b)
					}
				}
			}
			if reply.Empty() {
				continue
			}
			out, err := h.NewStream(context.Background(), s.Conn().RemotePeer(), bsnet.ProtocolBitswap)
			if err != nil {
				return
			}
			_ = reply.ToNetV1(out)
			_ = out.Close()
		}
	})
	return h
}

// Whatever a peer sends, what comes out of a session is what was asked for and matches its CID; the honest peer's blocks
// all come.
func TestHostilePeer(t *testing.T) {
	data, cids := leaves(20, 40, 2000)
	junk := func() []blocks.Block {
		made := make([]blocks.Block, 1+rand.IntN(3))
		for i := range made {
			b := make([]byte, 1+rand.IntN(4000))
			for j := range b {
				b[j] = byte(rand.Uint32())
			}
			made[i] = blocks.NewBlock(b) // a CIDv0, or:
			if rand.IntN(2) == 0 {
				made[i], _ = blocks.NewBlockWithCid(b, rawCID(b))
			}
		}
		return made
	}
	for name, answer := range map[string]func(cid.Cid) []blocks.Block{
		"wrong bytes": func(cid.Cid) []blocks.Block { return junk() },
		"one byte changed": func(c cid.Cid) []blocks.Block {
			i := slices.Index(cids, c)
			if i < 0 {
				return nil
			}
			b := slices.Clone(data[i])
			b[len(b)/2] ^= 1
			lie, _ := blocks.NewBlockWithCid(b, c) // claims the CID; the wire carries only its prefix
			return []blocks.Block{lie}
		},
		"silence": func(cid.Cid) []blocks.Block { return nil },
		"right and wrong": func(c cid.Cid) []blocks.Block {
			made := junk()
			if i := slices.Index(cids, c); i%2 == 0 && i >= 0 {
				b, _ := blocks.NewBlockWithCid(data[i], c)
				made = append(made, b)
			}
			return made
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := liar(t, answer)
			honest := newExchange(t, Config{Blocks: newMemory(data...)})
			client := newExchange(t, Config{})
			know(client.cfg.Host, honest.cfg.Host)
			connect(t, client.cfg.Host, bad) // the liar is there first
			session := client.Session(t.Context(), bad.ID(), honest.cfg.Host.ID())
			ch, err := session.Blocks(within(t, time.Minute), cids)
			if err != nil {
				t.Fatal(err)
			}
			got := collect(t, ch)
			for c := range got {
				if !slices.Contains(cids, c) {
					t.Errorf("%s was never asked for", c)
				}
			}
			if len(got) != len(cids) {
				t.Errorf("%d of %d blocks", len(got), len(cids))
			}
		})
	}
}

// Alone with a liar, a session gives nothing rather than something wrong.
func TestOnlyLiars(t *testing.T) {
	_, cids := leaves(21, 4, 500)
	bad := liar(t, func(cid.Cid) []blocks.Block { return []blocks.Block{blocks.NewBlock([]byte("no"))} })
	client := newExchange(t, Config{})
	connect(t, client.cfg.Host, bad)
	_, err := client.Session(t.Context(), bad.ID()).Block(within(t, 500*time.Millisecond), cids[0])
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

// A peer that floods a node with blocks that nobody asked for is cut off.
func TestFloodIsCutOff(t *testing.T) {
	flooder, victim := newHost(t), newExchange(t, Config{})
	connect(t, flooder, victim.cfg.Host)
	gone := make(chan struct{})
	flooder.Network().Notify(&network.NotifyBundle{DisconnectedF: func(n network.Network, c network.Conn) {
		if n.Connectedness(c.RemotePeer()) != network.Connected {
			close(gone)
		}
	}})
	out, err := flooder.NewStream(t.Context(), victim.cfg.Host.ID(), bsnet.ProtocolBitswap)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := leaves(22, misuseBlocks+10, 100)
	for _, d := range data {
		m := message.New(false)
		m.AddBlock(blocks.NewBlock(d))
		if m.ToNetV1(out) != nil {
			break // already cut off
		}
	}
	select {
	case <-gone:
	case <-within(t, 10*time.Second).Done():
		t.Fatal("still connected")
	}
}

func TestMisuseForgets(t *testing.T) {
	var m misuse
	now := time.Unix(1_790_000_000, 0)
	if m.add("a", misuseBlocks, now) {
		t.Error("too early")
	}
	if !m.add("a", 1, now.Add(time.Second)) {
		t.Error("too late")
	}
	if m.add("a", 1, now.Add(misuseSpan+2*time.Second)) {
		t.Error("not forgotten")
	}
	for i := range 2 * misusePeers {
		m.add(peer.ID(rune(i)), 1, now)
	}
	if len(m.peers) > misusePeers {
		t.Errorf("remembers %d peers", len(m.peers))
	}
}

func TestAsked(t *testing.T) {
	var a asked
	_, cids := leaves(23, 3, 10)
	now := time.Unix(1_790_000_000, 0)
	a.add(cids[:1])
	a.add(cids[:1])
	a.done(cids[:1], now)
	if a.count() != 1 || !a.has(cids[0]) || a.has(cids[1]) {
		t.Error("one of two requests is still open")
	}
	a.done(cids[:1], now)
	if a.count() != 0 || !a.has(cids[0]) {
		t.Error("a second copy may still come")
	}
	for range 3 {
		now = now.Add(2 * askedTurn)
		a.add(cids[2:])
		a.done(cids[2:], now)
	}
	if a.has(cids[0]) {
		t.Error("remembered for ever")
	}
}
