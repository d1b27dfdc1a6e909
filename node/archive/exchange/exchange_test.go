package exchange

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"
	"github.com/prometheus/client_golang/prometheus"
)

func TestTwoNodes(t *testing.T) {
	data, cids := leaves(1, 300, 3000)
	server := newExchange(t, Config{Blocks: newMemory(data...)})
	client := newExchange(t, Config{Metrics: prometheus.NewRegistry()})
	know(client.cfg.Host, server.cfg.Host)

	session := client.Session(t.Context(), server.cfg.Host.ID())
	defer session.Close()
	one, err := session.Block(within(t, 20*time.Second), cids[7])
	if err != nil || !slices.Equal(one, data[7]) {
		t.Fatalf("block: %d bytes, %v", len(one), err)
	}
	ch, err := session.Blocks(within(t, 20*time.Second), append(slices.Clone(cids), cids...))
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, ch); len(got) != len(cids) {
		t.Fatalf("%d of %d blocks", len(got), len(cids))
	}
}

func TestFiveNodesShareTheWork(t *testing.T) {
	data, cids := leaves(2, 400, 20_000)
	client := newExchange(t, Config{})
	var peers []peer.ID
	var stores []*memory
	for range 4 {
		store := newMemory(data...)
		server := newExchange(t, Config{Blocks: store})
		connect(t, client.cfg.Host, server.cfg.Host)
		peers, stores = append(peers, server.cfg.Host.ID()), append(stores, store)
	}
	session := client.Session(t.Context(), peers...)
	defer session.Close()
	ch, err := session.Blocks(within(t, 30*time.Second), cids)
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, ch); len(got) != len(cids) {
		t.Fatalf("%d of %d blocks", len(got), len(cids))
	}
	for i, s := range stores {
		s.mu.Lock()
		if s.gets == 0 {
			t.Errorf("peer %d gave nothing", i)
		}
		t.Logf("peer %d gave %d", i, s.gets)
		s.mu.Unlock()
	}
}

// A block that one peer lacks comes from another; the holes of each are different.
func TestHolesAreFilledFromOthers(t *testing.T) {
	data, cids := leaves(3, 120, 4000)
	client := newExchange(t, Config{})
	var peers []peer.ID
	for i := range 3 {
		store := newMemory()
		for j, d := range data {
			if j%3 != i {
				store.put(d)
			}
		}
		server := newExchange(t, Config{Blocks: store})
		know(client.cfg.Host, server.cfg.Host)
		peers = append(peers, server.cfg.Host.ID())
	}
	ch, err := client.Session(t.Context(), peers...).Blocks(within(t, 30*time.Second), cids)
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, ch); len(got) != len(cids) {
		t.Fatalf("%d of %d blocks", len(got), len(cids))
	}
}

// Blocks come in the order of play, give or take the window, and never further ahead than that of a reader that stops.
func TestOrderAndWindow(t *testing.T) {
	const window = 16
	data, cids := leaves(4, 400, 2000)
	server := newExchange(t, Config{Blocks: newMemory(data...)})
	client := newExchange(t, Config{Window: window})
	know(client.cfg.Host, server.cfg.Host)
	session := client.Session(t.Context(), server.cfg.Host.ID())
	ch, err := session.Blocks(within(t, 30*time.Second), cids)
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for b := range ch {
		taken++
		at := slices.Index(cids, b.Cid())
		// A window is asked for at a time; what comes is of the first taken+window of the list.
		if at >= taken+window {
			t.Fatalf("block %d came after %d were taken", at, taken-1)
		}
		if n := client.asked.count(); n > window {
			t.Fatalf("%d blocks asked for at once", n)
		}
	}
	if taken != len(cids) {
		t.Fatalf("%d of %d blocks", taken, len(cids))
	}
}

func TestLocalBlocksNeedNoPeer(t *testing.T) {
	data, cids := leaves(5, 3, 100)
	x := newExchange(t, Config{Blocks: newMemory(data...)})
	mh, err := multihash.Sum([]byte("inside"), multihash.IDENTITY, -1)
	if err != nil {
		t.Fatal(err)
	}
	session := x.Session(t.Context())
	for want, c := range map[string]cid.Cid{string(data[0]): cids[0], "inside": cid.NewCidV1(cid.Raw, mh)} {
		got, err := session.Block(within(t, 5*time.Second), c)
		if err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", c, len(got), err)
		}
	}
}

func TestRefusedCIDs(t *testing.T) {
	x := newExchange(t, Config{})
	weak, err := multihash.Sum([]byte("x"), multihash.MURMUR3X64_64, -1)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]cid.Cid{"undefined": cid.Undef, "hash that proves nothing": cid.NewCidV1(cid.Raw, weak)} {
		if _, err := x.Session(t.Context()).Block(t.Context(), c); !errors.Is(err, ErrCID) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := x.Providers(t.Context(), c, 1); !errors.Is(err, ErrNoRouting) {
			t.Errorf("%s: providers: %v", name, err)
		}
	}
}

// A block that came otherwise, such as by the live push, ends the waiting here and at peers.
func TestAdded(t *testing.T) {
	data, cids := leaves(8, 1, 5000)
	store := newMemory()
	middle := newExchange(t, Config{Blocks: store})
	client := newExchange(t, Config{})
	connect(t, client.cfg.Host, middle.cfg.Host)
	here, err := middle.Session(t.Context()).Blocks(within(t, 20*time.Second), cids)
	if err != nil {
		t.Fatal(err)
	}
	there, err := client.Session(t.Context(), middle.cfg.Host.ID()).Blocks(within(t, 20*time.Second), cids)
	if err != nil {
		t.Fatal(err)
	}
	for middle.asked.count() == 0 || client.asked.count() == 0 {
		runtime.Gosched()
	}
	store.put(data[0])
	b, err := blocks.NewBlockWithCid(data[0], cids[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := middle.Added(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if len(collect(t, here)) != 1 || len(collect(t, there)) != 1 {
		t.Error("somebody still waits")
	}
}

// Whoever waits is told when the session, the exchange or the request ends.
func TestEnds(t *testing.T) {
	_, cids := leaves(6, 200, 10)
	t.Run("request", func(t *testing.T) {
		x := newExchange(t, Config{})
		if _, err := x.Session(t.Context()).Block(within(t, 50*time.Millisecond), cids[0]); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("session", func(t *testing.T) {
		x := newExchange(t, Config{})
		s := x.Session(t.Context())
		ch, err := s.Blocks(t.Context(), cids)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if got := collect(t, ch); len(got) != 0 {
			t.Error("blocks from nowhere")
		}
		if _, err := s.Block(t.Context(), cids[0]); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	t.Run("exchange", func(t *testing.T) {
		x := newExchange(t, Config{Blocks: newMemory()})
		ch, err := x.Session(t.Context()).Blocks(t.Context(), cids)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		collect(t, ch)
		for _, id := range bitswapProtocols {
			if slices.Contains(x.cfg.Host.Mux().Protocols(), id) {
				t.Errorf("%s is still served", id)
			}
		}
		if err := x.Close(); err != nil {
			t.Error("second close:", err)
		}
	})
}

func TestConfig(t *testing.T) {
	h := newHost(t)
	for name, cfg := range map[string]Config{
		"no host": {}, "routing": {Host: h, Routing: 9}, "negative": {Host: h, Window: -1},
	} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The upload limit holds for all peers together, and Admit sees every byte of it.
func TestUploadLimit(t *testing.T) {
	data, cids := leaves(7, 60, 100_000)
	admitted := make(chan int, 1000)
	server := newExchange(t, Config{
		Blocks: newMemory(data...), UploadBitsPerSecond: 16_000_000, // 2 MB/s beyond the burst
		Admit: func(_ context.Context, _ peer.ID, bytes int) error {
			admitted <- bytes
			return nil
		},
	})
	client := newExchange(t, Config{})
	know(client.cfg.Host, server.cfg.Host)
	start := time.Now()
	ch, err := client.Session(t.Context(), server.cfg.Host.ID()).Blocks(within(t, 30*time.Second), cids)
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, ch); len(got) != len(cids) {
		t.Fatalf("%d of %d blocks", len(got), len(cids))
	}
	// 6 MB, of which a burst of 2.1 MB is free: 1.9 s.
	if took := time.Since(start); took < 1500*time.Millisecond {
		t.Errorf("6 MB at 2 MB/s in %v", took)
	}
	total := 0
	for len(admitted) > 0 {
		total += <-admitted
	}
	if total < 60*100_000 {
		t.Errorf("admitted %d bytes", total)
	}
}
