package exchange

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/node/archive/internal/fixture"
	"murmuration/node/e2e/kubo"
)

func info(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

// A real IPFS node pins a recording that we serve, gives it out again by its own gateway, and then serves a node of ours
// that knows nobody else.
func TestKuboPinsServesAndFeedsUs(t *testing.T) {
	rec := fixture.New(40, 200, 20_000)
	daemon := kubo.Start(t, kubo.Config{})
	ours := newExchange(t, Config{Blocks: rec.Blocks})
	daemon.Connect(t, info(ours.cfg.Host))

	start := time.Now()
	daemon.Run(t, "pin", "add", "--progress=false", rec.Root.String())
	t.Logf("kubo pinned %d blocks in %v", len(rec.Blocks), time.Since(start))

	folder := filepath.Join(t.TempDir(), "got")
	daemon.Run(t, "get", "-o", folder, rec.Root.String())
	for name, want := range rec.Files {
		got, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("ipfs get: %s: %d bytes of %d, %v", name, len(got), len(want), err)
		}
		resp, err := http.Get(daemon.Gateway + "/ipfs/" + rec.Root.String() + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
			t.Errorf("kubo's gateway: %s: %s, %d bytes of %d, %v", name, resp.Status, len(body), len(want), err)
		}
	}

	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	ours.cfg.Host.Close()
	fresh := newExchange(t, Config{})
	fresh.cfg.Host.Peerstore().AddAddrs(daemon.Peer.ID, daemon.Peer.Addrs, time.Hour)
	session := fresh.Session(t.Context(), daemon.Peer.ID)
	var all []cid.Cid
	for c := range rec.Blocks {
		all = append(all, c)
	}
	ch, err := session.Blocks(within(t, time.Minute), all)
	if err != nil {
		t.Fatal(err)
	}
	for c, data := range collect(t, ch) {
		if !bytes.Equal(data, rec.Blocks[c]) {
			t.Errorf("%s differs", c)
		}
		delete(rec.Blocks, c)
	}
	if len(rec.Blocks) > 0 {
		t.Errorf("%d blocks did not come from kubo", len(rec.Blocks))
	}
}

// Both in one DHT, kubo finds a recording by its CID and a channel by its name; we find what kubo has.
func TestKuboSharesADHT(t *testing.T) {
	rec := fixture.New(41, 20, 5000)
	daemon := kubo.Start(t, kubo.Config{Routing: "dhtserver"})
	ours := newExchange(t, Config{
		Host: newHost(t, libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0")), Blocks: rec.Blocks,
		Routing: RoutingServer, Bootstrap: []peer.AddrInfo{},
	})
	daemon.Connect(t, info(ours.cfg.Host))
	awaitDHT(t, ours, daemon.Peer.ID)
	ctx := within(t, time.Minute)

	if err := ours.Provide(ctx, rec.Root); err != nil {
		t.Fatal(err)
	}
	out, err := daemon.Try(ctx, "routing", "findprovs", "-n", "1", rec.Root.String())
	if err != nil || !bytes.Contains([]byte(out), []byte(ours.cfg.Host.ID().String())) {
		t.Errorf("kubo's providers: %q, %v", out, err)
	}

	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	value := "/ipfs/" + rec.Root.String()
	if err := ours.PublishName(ctx, key, value, time.Hour); err != nil {
		t.Fatal(err)
	}
	sk, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	channel, err := peer.IDFromPrivateKey(sk)
	if err != nil {
		t.Fatal(err)
	}
	out, err = daemon.Try(ctx, "name", "resolve", "/ipns/"+peer.ToCid(channel).String())
	if err != nil || out != value+"\n" {
		t.Errorf("kubo resolves %q, %v", out, err)
	}
	if got, err := ours.ResolveName(ctx, channel); err != nil || got != value {
		t.Errorf("we resolve %q, %v", got, err)
	}

	// What kubo pinned, it announces; then it counts as another holder.
	daemon.Run(t, "pin", "add", "--progress=false", rec.Root.String())
	daemon.Run(t, "routing", "provide", rec.Root.String())
	found, err := ours.Providers(ctx, rec.Root, 10)
	if err != nil || len(found) != 1 || found[0].ID != daemon.Peer.ID {
		t.Errorf("providers: %v, %v", found, err)
	}
}

// awaitDHT waits until p is in the routing table of x, so that there is somebody to tell.
func awaitDHT(t *testing.T, x *Exchange, p peer.ID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond) // the DHT tells nobody of its table
	defer tick.Stop()
	for !x.knows(p) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("not in the routing table")
		}
	}
}
