package mesh

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/x/rate"
	"github.com/multiformats/go-multiaddr"
)

// connsPerAddress is how many connections one IP address may have with this node. libp2p allows 8 for IPv4, but the
// whole audience in a hall sits behind the address of its Wi-Fi, each viewer perhaps with a QUIC and a TCP attempt.
const connsPerAddress = 512

// ErrListen is wrapped by what New returns where an address could not be listened on: most often, another program has
// the port.
var ErrListen = errors.New("mesh: cannot listen")

// newHost makes the libp2p host that a Config describes.
func newHost(cfg Config, p preset, listen, announce []multiaddr.Multiaddr, g *gate, traffic *traffic) (host.Host, error) {
	key := cfg.Key
	if key == nil {
		var err error
		if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
			return nil, fmt.Errorf("mesh: node key: %w", err)
		}
	}
	priv, err := crypto.UnmarshalEd25519PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: node key: %w", ErrConfig, err)
	}
	limits, err := newResources()
	if err != nil {
		return nil, err
	}
	conns, err := connmgr.NewConnManager(p.connLow, p.connHigh, connmgr.WithGracePeriod(20*time.Second))
	if err != nil {
		return nil, fmt.Errorf("mesh: connection manager: %w", err)
	}
	opts := []libp2p.Option{
		libp2p.Identity(priv),
		libp2p.UserAgent("murmur/" + cfg.Version),
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(conns),
		libp2p.ConnectionGater(g),
		libp2p.BandwidthReporter(traffic),
		libp2p.DisableMetrics(), // ours are few and named by room
		libp2p.EnableRelay(),    // as a client: what hole punching starts from
		libp2p.EnableHolePunching(),
	}
	if len(listen) > 0 {
		opts = append(opts, libp2p.ListenAddrs(listen...))
	} else {
		opts = append(opts, libp2p.NoListenAddrs)
	}
	if len(announce) > 0 {
		opts = append(opts, libp2p.AddrsFactory(func(own []multiaddr.Multiaddr) []multiaddr.Multiaddr {
			return append(own[:len(own):len(own)], announce...)
		}))
	}
	if cfg.PortMap {
		opts = append(opts, libp2p.NATPortMap())
	}
	h, err := libp2p.New(append(opts, cfg.Options...)...)
	if err != nil && strings.Contains(err.Error(), "failed to listen") { // libp2p has no error value for it
		return nil, fmt.Errorf("%w: %w", ErrListen, err)
	}
	if err != nil {
		return nil, fmt.Errorf("mesh: host: %w", err)
	}
	if err := checkListening(h, listen, cfg.Log); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// checkListening reports an address that the host does not listen on. libp2p is content with any one of them; so are we
// for IPv6, which many machines lack.
func checkListening(h host.Host, want []multiaddr.Multiaddr, log *slog.Logger) error {
	for _, a := range want {
		if !slices.ContainsFunc(h.Network().ListenAddresses(), func(b multiaddr.Multiaddr) bool { return sameSocket(a, b) }) {
			if _, err := a.ValueForProtocol(multiaddr.P_IP6); err == nil {
				log.Warn("cannot listen", "addr", a)
				continue
			}
			return fmt.Errorf("%w on %s: is another program using the port?", ErrListen, a)
		}
	}
	return nil
}

// sameSocket reports whether b is what listening on a gives: the same protocols, and the same values but for a port that
// the system chose.
func sameSocket(a, b multiaddr.Multiaddr) bool {
	if len(a) > len(b) {
		return false
	}
	for i, c := range a {
		d := b[i]
		if c.Code() != d.Code() || c.Value() != d.Value() && c.Value() != "0" {
			return false
		}
	}
	return true
}

// newResources returns libp2p's resource manager with limits for an audience: its defaults scale with the machine's
// memory and suit a node of a large network, which meets few peers at a time and never hundreds from one address.
func newResources() (network.ResourceManager, error) {
	scaling := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaling)

	// Everyone comes when the talk begins: handshakes are under way for hundreds at once.
	raise(&scaling.SystemBaseLimit, 1024)
	raise(&scaling.TransientBaseLimit, 512)
	scaling.SystemBaseLimit.Memory = max(scaling.SystemBaseLimit.Memory, 256<<20)
	scaling.TransientBaseLimit.Memory = max(scaling.TransientBaseLimit.Memory, 64<<20)
	// A protocol has one long stream a peer (pubsub), or short ones at the start (identify, channel, log).
	raise(&scaling.ProtocolBaseLimit, 2048)
	raise(&scaling.ServiceBaseLimit, 2048)

	m, err := rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(scaling.AutoScale()),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: connsPerAddress}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: connsPerAddress}, {PrefixLength: 48, ConnCount: 2 * connsPerAddress}},
		),
		rcmgr.WithConnRateLimiters(newConnRate()),
	)
	if err != nil {
		return nil, fmt.Errorf("mesh: resource manager: %w", err)
	}
	return m, nil
}

// raise lifts the counts of a limit to at least n connections and four times as many streams.
func raise(l *rcmgr.BaseLimit, n int) {
	l.Conns, l.ConnsInbound, l.ConnsOutbound = max(l.Conns, 2*n), max(l.ConnsInbound, n), max(l.ConnsOutbound, n)
	l.Streams, l.StreamsInbound, l.StreamsOutbound = max(l.Streams, 8*n), max(l.StreamsInbound, 4*n), max(l.StreamsOutbound, 4*n)
	l.FD = max(l.FD, n)
}

// newConnRate bounds new connections a second. libp2p's default is one every five seconds and 16 at once for an IPv4
// address; here a hall may come in at once, and a flood from one address is still held to 50 handshakes a second.
func newConnRate() *rate.Limiter {
	hall := rate.Limit{RPS: 50, Burst: connsPerAddress}
	return &rate.Limiter{
		NetworkPrefixLimits: []rate.PrefixLimit{
			{Prefix: netip.MustParsePrefix("127.0.0.0/8")}, // zero: no limit
			{Prefix: netip.MustParsePrefix("::1/128")},
		},
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: hall}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: hall}, {PrefixLength: 48, Limit: rate.Limit{RPS: 100, Burst: 2 * connsPerAddress}}},
			GracePeriod:      time.Minute,
		},
	}
}
