package exchange

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/node/archive/internal/fixture"
)

// ownDHT starts n nodes of a DHT of their own; the first is everybody's way in.
func ownDHT(t *testing.T, cfgs ...Config) []*Exchange {
	t.Helper()
	var nodes []*Exchange
	for i, cfg := range cfgs {
		cfg.Prefix, cfg.Routing = "/murmur-test", RoutingServer
		if i > 0 {
			cfg.Bootstrap = []peer.AddrInfo{info(nodes[0].cfg.Host)}
		}
		x := newExchange(t, cfg)
		if i > 0 {
			connect(t, x.cfg.Host, nodes[0].cfg.Host)
			awaitDHT(t, x, nodes[0].cfg.Host.ID())
			awaitDHT(t, nodes[0], x.cfg.Host.ID())
		}
		nodes = append(nodes, x)
	}
	return nodes
}

// channel makes a channel's key and its ID.
func channel(t testing.TB) (ed25519.PrivateKey, crypto.PrivKey, peer.ID) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sk, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(sk)
	if err != nil {
		t.Fatal(err)
	}
	return key, sk, id
}

// A node that is told nothing but the root finds who has it, and fetches from there.
func TestFoundByTheDHT(t *testing.T) {
	rec := fixture.New(50, 20, 3000)
	other := fixture.New(51, 2, 300)
	nodes := ownDHT(t, Config{}, Config{Blocks: rec.Blocks}, Config{Blocks: other.Blocks}, Config{})
	holder, asker := nodes[1], nodes[3]
	ctx := within(t, time.Minute)
	if found, err := asker.Providers(ctx, rec.Root, 0); err != nil || len(found) != 0 {
		t.Errorf("before: %v, %v", found, err)
	}
	if err := holder.Provide(ctx, rec.Root); err != nil {
		t.Fatal(err)
	}
	found, err := asker.Providers(ctx, rec.Root, 0)
	if err != nil || len(found) != 1 || found[0].ID != holder.cfg.Host.ID() {
		t.Errorf("after: %v, %v", found, err)
	}
	if found, err := holder.Providers(ctx, rec.Root, 0); err != nil || len(found) != 0 {
		t.Errorf("it counts itself: %v, %v", found, err)
	}
	session := asker.Session(ctx)
	data, err := session.Block(ctx, rec.Root)
	if err != nil || !bytes.Equal(data, rec.Blocks[rec.Root]) {
		t.Fatal(err)
	}
	ch, err := session.Blocks(ctx, rec.Leaves)
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, ch); len(got) != len(rec.Leaves) {
		t.Errorf("%d of %d blocks", len(got), len(rec.Leaves))
	}
}

// What is kept is announced without being asked for, and at once when the node says so.
func TestRootsAreAnnounced(t *testing.T) {
	recs := []*fixture.Recording{fixture.New(52, 2, 100), fixture.New(53, 2, 100)}
	roots := make(chan []cid.Cid, 10)
	nodes := ownDHT(t, Config{}, Config{Roots: func() []cid.Cid {
		select {
		case r := <-roots:
			return r
		default:
			return nil
		}
	}}, Config{})
	roots <- []cid.Cid{recs[0].Root, recs[1].Root, recs[0].Root, cid.Undef}
	nodes[1].Announce()
	ctx := within(t, 30*time.Second)
	for _, rec := range recs {
		for { // there is no word of an announcement's arrival
			found, err := nodes[2].Providers(ctx, rec.Root, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 1 {
				break
			}
		}
	}
}

func TestNames(t *testing.T) {
	nodes := ownDHT(t, Config{}, Config{}, Config{})
	key, _, id := channel(t)
	ctx := within(t, time.Minute)
	if _, err := nodes[2].ResolveName(ctx, id); !errors.Is(err, ErrName) {
		t.Errorf("before: %v", err)
	}
	var value string
	for i := range 3 {
		value = "/ipfs/" + fixture.New(uint64(60+i), 1, 10).Root.String()
		if err := nodes[1].PublishName(ctx, key, value, time.Hour); err != nil {
			t.Fatal(err)
		}
		for j, x := range nodes {
			if got, err := x.ResolveName(ctx, id); err != nil || got != value {
				t.Errorf("node %d resolves %q, %v", j, got, err)
			}
		}
	}
	// A second origin of the same channel goes on from there.
	value = "/ipfs/" + fixture.New(70, 1, 10).Root.String()
	if err := nodes[2].PublishName(ctx, key, value, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := nodes[0].ResolveName(ctx, id); err != nil || got != value {
		t.Errorf("second origin: %q, %v", got, err)
	}
	// The record is put again as long as it is valid, and no key is kept for it.
	x := nodes[2]
	x.putNames(time.Now().Add(nameEvery))
	if p := x.names[string(ipns.NameFromPeer(id).RoutingKey())]; p == nil || p.next.Before(time.Now().Add(nameEvery)) {
		t.Errorf("not put again: %+v", p)
	}
	x.putNames(time.Now().Add(49 * time.Hour))
	if len(x.names) != 0 {
		t.Error("expired, and still there")
	}
	for name, bad := range map[string]string{"not a path": "nonsense", "nothing": ""} {
		if err := x.PublishName(ctx, key, bad, 0); !errors.Is(err, ErrName) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := x.PublishName(ctx, nil, value, 0); !errors.Is(err, ErrName) {
		t.Errorf("no key: %v", err)
	}
}

func TestWithoutRouting(t *testing.T) {
	x := newExchange(t, Config{})
	key, _, id := channel(t)
	_, err := x.ResolveName(t.Context(), id)
	for name, err := range map[string]error{
		"resolve": err, "publish": x.PublishName(t.Context(), key, "/ipfs/bafkqaaa", 0), "provide": x.Provide(t.Context(), rawCID(nil)),
	} {
		if !errors.Is(err, ErrNoRouting) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A record that came from the network is believed only when the channel signed it, and only while it is valid.
func TestForgedNames(t *testing.T) {
	_, sk, id := channel(t)
	_, other, _ := channel(t)
	target, err := path.NewPath("/ipfs/" + rawCID(nil).String())
	if err != nil {
		t.Fatal(err)
	}
	made := func(sk crypto.PrivKey, until time.Time) []byte {
		rec, err := ipns.NewRecord(sk, target, 1, until, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		data, err := ipns.MarshalRecord(rec)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := made(sk, time.Now().Add(time.Hour))
	if got, err := readName(ipns.NameFromPeer(id), good); err != nil || got != target.String() {
		t.Fatalf("%q, %v", got, err)
	}
	changed := bytes.Clone(good)
	changed[len(changed)/2] ^= 1
	for name, data := range map[string][]byte{
		"another key": made(other, time.Now().Add(time.Hour)), "expired": made(sk, time.Now().Add(-time.Second)),
		"changed": changed, "empty": nil, "huge": make([]byte, 1<<20),
	} {
		if got, err := readName(ipns.NameFromPeer(id), data); !errors.Is(err, ErrName) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzName(f *testing.F) {
	_, sk, id := channel(f)
	target, err := path.NewPath("/ipfs/" + rawCID(nil).String())
	if err != nil {
		f.Fatal(err)
	}
	rec, err := ipns.NewRecord(sk, target, 1, time.Now().Add(24*time.Hour), time.Minute)
	if err != nil {
		f.Fatal(err)
	}
	data, err := ipns.MarshalRecord(rec)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := readName(ipns.NameFromPeer(id), data); err == nil && got != target.String() {
			t.Fatalf("a forged record points at %q", got)
		}
	})
}
