package exchange

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/dual"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"
)

// memory is a Blocks in memory that notes what was asked of it.
type memory struct {
	mu     sync.Mutex
	blocks map[cid.Cid][]byte
	gets   int
}

var errMissing = errors.New("missing")

func newMemory(data ...[]byte) *memory {
	m := &memory{blocks: map[cid.Cid][]byte{}}
	for _, d := range data {
		m.put(d)
	}
	return m
}

func (m *memory) put(data []byte) cid.Cid {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := rawCID(data)
	m.blocks[c] = data
	return c
}

func (m *memory) Has(_ context.Context, c cid.Cid) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.blocks[c]
	return ok, nil
}

func (m *memory) Get(_ context.Context, c cid.Cid) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets++
	if data, ok := m.blocks[c]; ok {
		return data, nil
	}
	return nil, errMissing
}

func (m *memory) GetSize(_ context.Context, c cid.Cid) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if data, ok := m.blocks[c]; ok {
		return len(data), nil
	}
	return 0, errMissing
}

func rawCID(data []byte) cid.Cid {
	c, err := cid.V1Builder{Codec: cid.Raw, MhType: multihash.SHA2_256}.Sum(data)
	if err != nil {
		panic(err)
	}
	return c
}

// leaves makes n blocks of a recording's size that differ, and their CIDs in order.
func leaves(seed uint64, n, size int) ([][]byte, []cid.Cid) {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	data, cids := make([][]byte, n), make([]cid.Cid, n)
	for i := range data {
		data[i] = make([]byte, size)
		_, _ = r.Read(data[i])
		cids[i] = rawCID(data[i])
	}
	return data, cids
}

func newHost(t testing.TB, options ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append([]libp2p.Option{
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/quic-v1"), libp2p.DisableRelay(), libp2p.DisableMetrics(),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// newExchange starts an exchange on a host of its own.
func newExchange(t testing.TB, cfg Config) *Exchange {
	t.Helper()
	if cfg.Host == nil {
		cfg.Host = newHost(t)
	}
	x, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// know writes b's addresses into a's address book.
func know(a, b host.Host) {
	a.Peerstore().AddAddrs(b.ID(), b.Addrs(), time.Hour)
}

func connect(t testing.TB, a, b host.Host) {
	t.Helper()
	if err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// collect takes everything from ch and fails on a block twice or one that does not match its CID.
func collect(t testing.TB, ch <-chan blocks.Block) map[cid.Cid][]byte {
	t.Helper()
	got := map[cid.Cid][]byte{}
	for b := range ch {
		if _, again := got[b.Cid()]; again {
			t.Errorf("%s came twice", b.Cid())
		}
		if c, err := b.Cid().Prefix().Sum(b.RawData()); err != nil || c != b.Cid() {
			t.Errorf("%s does not match its bytes", b.Cid())
		}
		got[b.Cid()] = b.RawData()
	}
	return got
}

// knows reports whether p is in a routing table of x's DHT.
func (x *Exchange) knows(p peer.ID) bool {
	switch d := x.dht.(type) {
	case *dual.DHT:
		return d.WAN.RoutingTable().Find(p) != "" || d.LAN.RoutingTable().Find(p) != ""
	case *dht.IpfsDHT:
		return d.RoutingTable().Find(p) != ""
	}
	return false
}
