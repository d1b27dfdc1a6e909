package mesh

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
)

// Role is a preset of the numbers that differ between participants.
type Role int

const (
	// Viewer is the preset for a home uplink: it relays to a few neighbours.
	Viewer Role = iota
	// Seed is the preset for a volunteer with bandwidth to give: more neighbours, more served requests.
	Seed
	// Origin is the preset for the publisher: it sends about eight copies and admits everyone who knows its address.
	Origin
)

// String returns the role's name in lower case.
func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Seed:
		return "seed"
	case Origin:
		return "origin"
	}
	return fmt.Sprintf("role(%d)", int(r))
}

// Config says what a Node is. The zero value is a viewer with a fresh key that dials out and listens nowhere.
type Config struct {
	// Key is the node's own identity, apart from any channel key. Nil makes a fresh one.
	Key ed25519.PrivateKey

	// Role selects the presets. The default is Viewer.
	Role Role

	// Listen are the multiaddrs to listen on, such as /ip4/0.0.0.0/udp/4001/quic-v1 and /ip4/0.0.0.0/tcp/4001.
	// None means that nobody can connect to this node.
	Listen []string

	// Announce are further multiaddrs that others can reach this node at (a forwarded port, a DNS name).
	Announce []string

	// MDNS finds peers of the same channels on the local network.
	MDNS bool

	// PortMap asks the router for a port by UPnP or NAT-PMP.
	PortMap bool

	// NoExchange keeps the node from dialling peers that others told it of. It then knows only the peers it was
	// given, those that dial it, and those on the local network.
	NoExchange bool

	// Upload is the most that this node may send, in bits a second, its own broadcasts and repairs included. The
	// default is what the uplink is seen to carry; that also bounds a figure set too high.
	Upload int64

	// Whole keeps the node from spreading chunks fragment by fragment: it sends and takes ordinary gossipsub messages
	// of whole chunks only, as peers of other programs do.
	Whole bool

	// Seed makes the choices of the protocol that spreads fragments repeatable. The default is a random one.
	Seed uint64

	// Avoid are peers that this node never connects to, in either direction.
	Avoid []peer.ID

	// Version goes into the agent name that peers see, murmur/VERSION. The default is "dev".
	Version string

	// Log is where the node tells its story. The default discards.
	Log *slog.Logger

	// Metrics is where the node registers its Prometheus metrics. The default registers none.
	Metrics prometheus.Registerer

	// Host replaces the libp2p host that New would make; Key, Listen, Announce, Avoid and PortMap are then unused,
	// misbehaving peers are disconnected but may come back, and traffic totals count only what QUIC reports. The
	// node closes it.
	Host host.Host

	// Options are appended to the options that New gives libp2p: a simulated network, or an address book of a test.
	Options []libp2p.Option
}

// ErrConfig is wrapped by errors about a Config that cannot work.
var ErrConfig = errors.New("mesh: configuration")

// preset holds the numbers that follow from the role.
type preset struct {
	// gossipsub degrees: the number of mesh neighbours aimed at, the least and the most, and how many of them this
	// node dialled itself (an attacker cannot then fill the mesh by dialling in).
	d, dLow, dHigh, dOut int

	connLow, connHigh int // connections: trimmed to connLow when above connHigh
	neighbours        int // connections on a channel that the node tries to keep
	neighboursMost    int // above this many the node lets far ones go that carry nothing; 0: it keeps all
	machine           int // neighbours that take part in a track's trees, at most

	upload float64 // bytes a second of the upload budget, until it is measured

	logStreams   int           // log requests served at once, all peers together
	windowSpan   time.Duration // default of JoinConfig.Window
	windowBytes  int           // default of JoinConfig.WindowBytes
	requestRate  float64       // log and channel requests served per second and peer
	requestBurst int
}

// presets: an upload of D copies is what whole-message gossip costs, so a viewer's D is small; an origin's first hop
// decides everybody's delay, so it has a few more. The connection limits are for a hall: an origin may be everyone's
// first contact, and an idle QUIC connection costs some 50 kB.
var presets = map[Role]preset{
	Viewer: {
		d: 5, dLow: 4, dHigh: 8, dOut: 1, connLow: 64, connHigh: 128, neighbours: 24, neighboursMost: 30, machine: 64, upload: 10e6 / 8, logStreams: 16,
		windowSpan: time.Minute, windowBytes: 48 << 20, requestRate: 10, requestBurst: 40,
	},
	Seed: {
		d: 6, dLow: 5, dHigh: 10, dOut: 2, connLow: 300, connHigh: 600, neighbours: 32, machine: 64, upload: 50e6 / 8, logStreams: 64,
		windowSpan: time.Minute, windowBytes: 48 << 20, requestRate: 10, requestBurst: 40,
	},
	Origin: {
		d: 8, dLow: 6, dHigh: 10, dOut: 2, connLow: 600, connHigh: 1000, neighbours: 8, machine: 64, upload: 30e6 / 8, logStreams: 64,
		windowSpan: time.Minute, windowBytes: 48 << 20, requestRate: 10, requestBurst: 40,
	},
}

// checked returns the configuration with its defaults filled in, and the addresses parsed.
func (c Config) checked() (Config, []multiaddr.Multiaddr, []multiaddr.Multiaddr, error) {
	if _, ok := presets[c.Role]; !ok {
		return c, nil, nil, fmt.Errorf("%w: no preset for %v", ErrConfig, c.Role)
	}
	if c.Key != nil && len(c.Key) != ed25519.PrivateKeySize {
		return c, nil, nil, fmt.Errorf("%w: the node key has %d bytes instead of %d", ErrConfig, len(c.Key), ed25519.PrivateKeySize)
	}
	if c.Upload < 0 {
		return c, nil, nil, fmt.Errorf("%w: an upload of %d bit/s", ErrConfig, c.Upload)
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	listen, err := parseAddrs("listen", c.Listen)
	if err != nil {
		return c, nil, nil, err
	}
	announce, err := parseAddrs("announce", c.Announce)
	if err != nil {
		return c, nil, nil, err
	}
	return c, listen, announce, nil
}

func parseAddrs(what string, list []string) ([]multiaddr.Multiaddr, error) {
	out := make([]multiaddr.Multiaddr, 0, len(list))
	for _, s := range list {
		a, err := multiaddr.NewMultiaddr(s)
		if err != nil {
			return nil, fmt.Errorf("%w: %s address %q is not a multiaddr such as /ip4/0.0.0.0/udp/4001/quic-v1: %w", ErrConfig, what, s, err)
		}
		out = append(out, a)
	}
	return out, nil
}
