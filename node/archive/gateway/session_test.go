package gateway

import (
	"bytes"
	"context"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/node/archive/exchange"
	"murmuration/node/archive/internal/fixture"
)

// A player asks a gateway that has nothing, and gets the recording from a node that has it; only what it asked for is
// fetched.
func TestFetchesBySession(t *testing.T) {
	node := func(cfg exchange.Config) (*exchange.Exchange, peer.AddrInfo) {
		h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/quic-v1"), libp2p.DisableRelay(), libp2p.DisableMetrics())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		cfg.Host = h
		x, err := exchange.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { x.Close() })
		return x, peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
	}
	rec := fixture.New(30, 40, 8000)
	_, far := node(exchange.Config{Blocks: rec.Blocks})
	here, _ := node(exchange.Config{})
	h := serve(t, Config{Blocks: fixture.Blocks{}, Fetch: func(ctx context.Context) Fetcher {
		return here.Session(ctx, far.ID)
	}})
	here.Learn(far)
	for _, name := range []string{"index.m3u8", "segments/1-8-15.m4s", "recording.mp4"} {
		if w := ask(h, "/ipfs/"+rec.Root.String()+"/"+name); w.Code != 200 || !bytes.Equal(w.Body.Bytes(), rec.Files[name]) {
			t.Errorf("%s: %d, %d bytes", name, w.Code, w.Body.Len())
		}
	}
	w := ask(h, "/ipfs/"+rec.Root.String()+"/recording.mp4", "Range", "bytes=100000-100099")
	if w.Code != 206 || !bytes.Equal(w.Body.Bytes(), rec.Files["recording.mp4"][100_000:100_100]) {
		t.Errorf("range: %d, %d bytes", w.Code, w.Body.Len())
	}
}
