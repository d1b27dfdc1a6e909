package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/prometheus/client_golang/prometheus"
)

// Blocks is where the blocks that a node serves come from. An error from Get or GetSize means that there is none.
type Blocks interface {
	Has(ctx context.Context, c cid.Cid) (bool, error)
	Get(ctx context.Context, c cid.Cid) ([]byte, error)
	GetSize(ctx context.Context, c cid.Cid) (int, error)
}

// Routing says how much a node takes part in the DHT.
type Routing int

const (
	// RoutingOff asks and tells nobody: blocks come from connected peers, and from those a session is given.
	RoutingOff Routing = iota
	// RoutingClient asks the DHT and announces to it, and answers nobody's questions.
	RoutingClient
	// RoutingAuto is a client that also answers once others can reach it.
	RoutingAuto
	// RoutingServer always answers.
	RoutingServer
)

// String returns the mode's name in lower case.
func (r Routing) String() string {
	switch r {
	case RoutingOff:
		return "off"
	case RoutingClient:
		return "client"
	case RoutingAuto:
		return "auto"
	case RoutingServer:
		return "server"
	}
	return fmt.Sprintf("routing(%d)", int(r))
}

// Errors of this package.
var (
	// ErrConfig is wrapped by errors about a Config that cannot work.
	ErrConfig = errors.New("exchange: configuration")
	// ErrClosed means that the exchange, or the session, has been closed.
	ErrClosed = errors.New("exchange: closed")
	// ErrNoRouting means that the question is one for the DHT and the node takes no part in it.
	ErrNoRouting = errors.New("exchange: the node takes no part in the DHT")
	// ErrCID means that no block can be asked for by this CID: it is undefined, or its hash proves nothing.
	ErrCID = errors.New("exchange: not a CID that blocks can be verified by")
	// ErrName means that a name's record is invalid, or that there is none.
	ErrName = errors.New("exchange: no valid record of this name")
)

// PublicPrefix is the protocol prefix of the public IPFS DHT.
const PublicPrefix protocol.ID = "/ipfs"

// Config says what an Exchange works with. Host is required; the zero value of the rest fetches from connected peers,
// serves nothing and takes no part in the DHT.
type Config struct {
	// Host is the node's libp2p host. Close leaves it open.
	Host host.Host

	// Blocks are the blocks that are served, and that need not be fetched. None serves nothing.
	Blocks Blocks

	// Routing is the part that the node takes in the DHT. The default is none.
	Routing Routing

	// Bootstrap are the peers by which the DHT is entered. Nil takes the public IPFS bootstrap peers, with the public
	// prefix; empty dials nobody, and the DHT is made of the peers that connect.
	Bootstrap []peer.AddrInfo

	// Prefix names the DHT. The default, PublicPrefix, is the public one together with the one of the local network.
	// Any other is a DHT of its own, in which private and loopback addresses count like others.
	Prefix protocol.ID

	// Roots returns what the DHT is told of again and again: the recordings that the node keeps. It is asked once a
	// minute, and at Announce.
	Roots func() []cid.Cid

	// Reprovide is how often the DHT is told of a root again. The default is 22 hours: records live for 48.
	Reprovide time.Duration

	// Window is how many blocks a session asks for ahead of what was taken from it, at most. The default is 64: 6 MB
	// of a recording at 3 Mbit/s. It bounds a session's memory: a block is 2 MiB at most.
	Window int

	// UploadBitsPerSecond is the most that is sent in answer to others' requests, all peers together. The default is
	// no limit. It can be changed by SetUpload.
	UploadBitsPerSecond int64

	// Admit is asked before a message of this many bytes of blocks is sent, and may wait: so the live push goes first.
	// An error drops the message; the peer asks again or elsewhere.
	Admit func(ctx context.Context, p peer.ID, bytes int) error

	// Wants is how many requests of one peer are kept, at most; the least urgent go first. The default is 1024.
	Wants int

	// Log is where the exchange tells its story. The default discards.
	Log *slog.Logger

	// Metrics is where metrics are registered. The default registers none.
	Metrics prometheus.Registerer
}

// fill checks cfg and sets the defaults.
func (cfg *Config) fill() error {
	if cfg.Host == nil {
		return fmt.Errorf("%w: Host is missing", ErrConfig)
	}
	if cfg.Routing < RoutingOff || cfg.Routing > RoutingServer {
		return fmt.Errorf("%w: %v", ErrConfig, cfg.Routing)
	}
	if cfg.UploadBitsPerSecond < 0 || cfg.Window < 0 || cfg.Wants < 0 || cfg.Reprovide < 0 {
		return fmt.Errorf("%w: a negative number", ErrConfig)
	}
	if cfg.Prefix == "" {
		cfg.Prefix = PublicPrefix
	}
	if cfg.Bootstrap == nil && cfg.Prefix == PublicPrefix {
		cfg.Bootstrap = dht.GetDefaultBootstrapPeerAddrInfos()
	}
	if cfg.Reprovide == 0 {
		cfg.Reprovide = 22 * time.Hour
	}
	if cfg.Window == 0 {
		cfg.Window = 64
	}
	if cfg.Wants == 0 {
		cfg.Wants = 1024
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
