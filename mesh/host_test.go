package mesh

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"murmuration/chunker/envelope"
)

// TestHallBehindOneAddress: a hundred viewers and more behind one IP address come in at once, which libp2p's defaults
// refuse; and each may open its streams.
func TestHallBehindOneAddress(t *testing.T) {
	admitted := func(m network.ResourceManager) (conns, streams int) {
		defer m.Close()
		for i := range 150 {
			addr := multiaddr.StringCast(fmt.Sprintf("/ip4/203.0.113.7/udp/%d/quic-v1", 20_000+i))
			scope, err := m.OpenConnection(network.DirInbound, false, addr)
			if err != nil {
				continue
			}
			id := ChannelID(envelope.Channel{byte(i), 1})
			if err := scope.SetPeer(id); err != nil {
				continue
			}
			conns++
			for _, p := range []protocol.ID{"/ipfs/id/1.0.0", "/meshsub/1.3.0", LogProtocol, ChannelProtocol} {
				s, err := m.OpenStream(id, network.DirInbound)
				if err == nil && s.SetProtocol(p) == nil {
					streams++
				}
			}
		}
		return conns, streams
	}
	ours, err := newResources()
	if err != nil {
		t.Fatal(err)
	}
	if conns, streams := admitted(ours); conns != 150 || streams != 600 {
		t.Errorf("%d of 150 viewers admitted, with %d of 600 streams", conns, streams)
	}
	stock, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(rcmgr.DefaultLimits.AutoScale()), rcmgr.WithMetricsDisabled())
	if err != nil {
		t.Fatal(err)
	}
	if conns, _ := admitted(stock); conns > 20 {
		t.Errorf("the defaults admit %d: this test shows nothing", conns)
	}
}

// TestHallBehindOneAddressForReal: the same with hosts: many nodes from one (simulated) public address, each on its own
// port, as behind a NAT.
func TestHallBehindOneAddressForReal(t *testing.T) {
	inVirtualTime(t, 5*time.Millisecond, func(t *testing.T, w *internet) {
		origin := w.node(Config{Role: Origin}, 1000, 1000)
		const viewers = 100
		for range viewers {
			w.behindOneAddress = true
			v := w.node(Config{}, 20, 100)
			w.connect(v, origin)
		}
		time.Sleep(time.Second)
		if n := len(origin.host.Network().Peers()); n != viewers {
			t.Errorf("%d of %d viewers are connected", n, viewers)
		}
	})
}

func TestAdmission(t *testing.T) {
	a := newAdmission(6, 10, 5)
	p, q := peer.ID("p"), peer.ID("q")
	var leave []func()
	enter := func(who peer.ID, want bool) {
		t.Helper()
		l, err := a.enter(who, noon)
		if (err == nil) != want {
			t.Errorf("%s: %v", who, err)
		}
		if err == nil {
			leave = append(leave, l)
		}
	}
	for range streamsPerPeer {
		enter(p, true)
	}
	enter(p, false) // one peer's share
	enter(q, true)
	enter(q, true)
	enter(q, false) // everyone's
	for _, l := range leave {
		l()
	}
	leave = nil
	enter(p, true)  // the fifth of its burst
	enter(p, false) // its pace
	if l, err := a.enter(p, noon.Add(time.Second)); err != nil {
		t.Error(err)
	} else {
		l()
	}
	for i := range 3000 {
		if l, err := a.enter(peer.ID(fmt.Sprint(i)), noon.Add(time.Duration(i)*time.Second)); err == nil {
			l()
		}
	}
	if len(a.callers) > 1400 {
		t.Errorf("%d callers remembered", len(a.callers))
	}
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate([]peer.ID{"never"})
		if g.allowed("never") || !g.allowed("p") {
			t.Error("avoided or not")
		}
		g.ban("p")
		if g.allowed("p") || g.InterceptPeerDial("p") || g.InterceptSecured(network.DirInbound, "p", nil) {
			t.Error("not banned")
		}
		time.Sleep(banFor)
		if !g.allowed("p") {
			t.Error("banned for ever")
		}
		g.offend("p", 100)
		time.Sleep(offenceHalfLife)
		g.offend("p", 100)
		if s := g.score("p"); s > -149 || s < -151 {
			t.Errorf("score %v", s)
		}
		for range 200 { // every stripe of three seconds
			g.mute("busy")
			g.mute("p")
		}
		if s := g.score("busy"); s != -offenceMutest {
			t.Errorf("a peer that was busy has score %v", s)
		}
		if s := g.score("p"); s < -151 {
			t.Errorf("one that was worse, and busy: score %v", s)
		}
		for i := range 3 * maxBans {
			g.ban(peer.ID(fmt.Sprint(i)))
			g.offend(peer.ID(fmt.Sprint(i)), 1)
		}
		if len(g.banned) > maxBans || len(g.offences) > maxBans {
			t.Errorf("%d bans, %d offences", len(g.banned), len(g.offences))
		}
	})
}

func TestConfigErrors(t *testing.T) {
	for says, cfg := range map[string]Config{
		"listen address":   {Listen: []string{"localhost:4001"}},
		"announce address": {Announce: []string{"example.org"}},
		"node key":         {Key: channelKey[:10]},
		"no preset":        {Role: 9},
	} {
		n, err := New(cfg)
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
		if n != nil {
			n.Close()
		}
	}
}

func TestPortInUse(t *testing.T) {
	first := mustNode(t, Config{Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}})
	taken := first.host.Network().ListenAddresses()[0]
	for _, a := range first.host.Network().ListenAddresses() {
		if _, err := a.ValueForProtocol(multiaddr.P_QUIC_V1); err == nil {
			taken = a
		}
	}
	for _, also := range [][]string{nil, {"/ip4/127.0.0.1/tcp/0"}} {
		n, err := New(Config{Listen: append([]string{taken.String()}, also...)})
		if !errors.Is(err, ErrListen) || !strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%v", err)
		}
		if n != nil {
			n.Close()
		}
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	reg := prometheus.NewRegistry()
	n := mustNode(t, Config{Metrics: reg})
	if _, err := New(Config{Metrics: reg}); err == nil {
		t.Error("two nodes on one registry, unnoticed")
	}
	other := prometheus.NewRegistry()
	for range 2 { // a node that is gone leaves the registry
		again, err := New(Config{Metrics: other, MDNS: true, Listen: []string{"/ip4/127.0.0.1/udp/0/quic-v1"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	mustJoin(t, n, JoinConfig{})
	families, err := reg.Gather()
	if err != nil || len(families) < 5 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "murmur_mesh_") {
			t.Errorf("metric %s", f.GetName())
		}
	}
}
