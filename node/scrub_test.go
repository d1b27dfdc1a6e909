package node

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	blocks "github.com/ipfs/go-block-format"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-msgio"

	"murmuration/mesh"
	"murmuration/node/archive"
	"murmuration/node/shim"
)

// newLiar makes a peer of the mesh that says it has every block, and sends other bytes.
func newLiar(t *testing.T) (n *mesh.Node, lies func() int) {
	t.Helper()
	n, err := mesh.New(mesh.Config{Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	var mu sync.Mutex
	count := 0
	for _, id := range []protocol.ID{bsnet.ProtocolBitswap, bsnet.ProtocolBitswapOneOne, bsnet.ProtocolBitswapOneZero, bsnet.ProtocolBitswapNoVers} {
		n.Host().SetStreamHandler(id, func(s network.Stream) {
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
						b := make([]byte, 1000)
						for i := range b {
							b[i] = byte(rand.Uint32())
						}
						lie, _ := blocks.NewBlockWithCid(b, e.Cid)
						reply.AddBlock(lie)
						mu.Lock()
						count++
						mu.Unlock()
					}
				}
				if reply.Empty() {
					continue
				}
				out, err := n.Host().NewStream(context.Background(), s.Conn().RemotePeer(), bsnet.ProtocolBitswap)
				if err != nil {
					return
				}
				_ = reply.ToNetV1(out)
				_ = out.Close()
			}
		})
	}
	return n, func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
}

// story collects what a participant tells.
type story struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *story) tell(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.WriteString(line + "\n")
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// recordTalk makes an origin with one finished recording.
func recordTalk(t *testing.T) (*Origin, archive.Info) {
	t.Helper()
	o := newOrigin(t, OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"})
	run(t, o)
	stop := feed(o)
	s := until(t, o.PageURL(), "some of the talk", func(s shim.Status) bool { return recorded(s) > 4 })
	stop()
	if err := o.end(o.broadcastByID(live(s))); err != nil {
		t.Fatal(err)
	}
	o.closing.Wait()
	return o, o.library.store.List()[0]
}

// TestLyingPeer: a seed that fetches a recording from an honest peer and from one that lies has it whole, and only it.
func TestLyingPeer(t *testing.T) {
	o, want := recordTalk(t)
	liar, lies := newLiar(t)
	for range 8 { // whom a session asks first is chance
		fetchBeside(t, o, liar.Info(), want)
		if lies() > 0 {
			return
		}
	}
	t.Error("the liar was never asked")
}

// fetchBeside has a new seed fetch an origin's recording, with another peer to ask.
func fetchBeside(t *testing.T, o *Origin, other peer.AddrInfo, want archive.Info) {
	t.Helper()
	cfg := SeedConfig{Config: local(t, "seed")}
	link := o.shareLink()
	link.Peers = append([]peer.AddrInfo{other}, link.Peers...)
	cfg.Links = []string{link.String()}
	s, err := NewSeed(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer run(t, s)()
	until(t, s.PageURL(), "the recording", func(st shim.Status) bool {
		return len(st.Recordings) == 1 && st.Recordings[0].State == "finished" && st.Recordings[0].Root == want.Root.String()
	})
	rec, _ := s.library.store.Lookup(want.Key)
	rep, err := rec.Verify(t.Context(), nil)
	if err != nil || !rep.OK() || rep.Lost > 0 || rep.Missing > 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	if got := rec.Info(); got.Media != want.Media {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestScrub damages the file of a seed that is not running: reading it through finds the damage, and the origin has what
// is lost. A liar is about.
func TestScrub(t *testing.T) {
	o, want := recordTalk(t)
	cfg := SeedConfig{Config: local(t, "seed"), Links: []string{o.Link()}}
	s, err := NewSeed(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, s)
	until(t, s.PageURL(), "the recording", func(st shim.Status) bool { return len(st.Recordings) == 1 && st.Recordings[0].State == "finished" })
	stop()

	files, err := filepath.Glob(filepath.Join(cfg.Dir, "recordings", "*", "*.car"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	car, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	// Five long scratches in the media, each over the boundary of some blocks, so that even the framing suffers.
	media := len(car) / 2
	for range 5 {
		from := 1000 + rand.IntN(media)
		for i := from; i < from+9000 && i < len(car)*3/4; i++ {
			car[i] ^= 0x55
		}
	}
	if err := os.WriteFile(files[0], car, 0o600); err != nil {
		t.Fatal(err)
	}

	var said story
	cfg.Recordings.ScrubEvery = 500 * time.Millisecond
	cfg.Tell = said.tell
	cfg.Log = slog.New(slog.NewTextHandler(&said, nil))
	liar, _ := newLiar(t)
	link := o.shareLink()
	link.Peers = append([]peer.AddrInfo{liar.Info()}, link.Peers...)
	cfg.Links = []string{link.String()}
	if s, err = NewSeed(cfg); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	rec, ok := s.library.store.Lookup(want.Key)
	if !ok {
		t.Fatal("the recording is gone")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !strings.Contains(said.String(), "mended") {
		select {
		case <-s.library.store.Changed():
		case <-ctx.Done():
			t.Fatalf("not mended: %+v\n%s", rec.Info(), &said)
		case <-time.After(time.Second):
		}
	}
	rep, err := rec.Verify(t.Context(), nil)
	if err != nil || rep.View != nil {
		t.Errorf("%+v, %v", rep, err)
	}
	if i := rec.Info(); i.Damaged > 0 || i.Root != want.Root || i.Verified.IsZero() {
		t.Errorf("%+v", i)
	}
	t.Log(strings.TrimSpace(said.String()))
}

// Write takes what is logged.
func (s *story) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}
