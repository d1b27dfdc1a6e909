package shim

import (
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"murmuration/chunker/envelope"
)

// DefaultListen is where the shim listens unless told otherwise.
const DefaultListen = "127.0.0.1:8480"

// Errors of this package.
var (
	// ErrPortInUse is wrapped by New where something else listens on the port.
	ErrPortInUse = errors.New("port in use")
	// ErrExists is wrapped by Open and AddTrack where the name is taken.
	ErrExists = errors.New("exists already")
	// ErrTrack is wrapped by Push for a track that was not added, or a chunk that is not the track's.
	ErrTrack = errors.New("no such track")
	// ErrNoInit is wrapped by Push for an independent chunk whose init segment is not at hand.
	ErrNoInit = errors.New("init segment missing")
)

// Config configures a Server. The zero value works.
type Config struct {
	// Listen is the TCP address. Default DefaultListen.
	Listen string

	// Listener, where set, is served instead of listening on Listen.
	Listener net.Listener

	// Token is what requests that change something must carry. Without one, nothing can be changed over HTTP.
	Token string

	// AllowHosts are host names (without port) by which the shim may be addressed, besides loopback ones and the IP
	// address that a connection came in on. "*" allows any: for a gateway, whose content is public.
	AllowHosts []string

	// MediaOrigins are the origins whose pages may read playlists and media. Default "*", any: they are read-only and
	// public. Status and API are never readable by pages of other origins.
	MediaOrigins []string

	// Window is how much of a broadcast the playlists list. Default 60 s.
	Window time.Duration

	// Grace is how long a missing chunk is waited for before it is declared a gap. Default 1 s.
	Grace time.Duration

	// Status tells the node's state; the shim fills in what it knows itself only where the function is nil.
	Status func() Status

	// Metrics is what /metrics shows besides the shim's own.
	Metrics prometheus.Gatherer

	// Log takes what happens. Default: nothing.
	Log *slog.Logger
}

// BroadcastInfo describes a broadcast to Open.
type BroadcastInfo struct {
	ID      string // as in its chunks; see envelope.CheckName
	Title   string
	Started time.Time // default: now
}

// TrackInfo describes a track to AddTrack.
type TrackInfo struct {
	Name     string // as in its chunks
	Language string // RFC 5646, of a sound track; may be empty
	Title    string // shown to choose sound tracks by; default Name

	// TargetDuration overrides the choice of TARGETDURATION by the keyframe intervals seen first.
	TargetDuration time.Duration
}

// Blocks is where chunks are read back that are no longer listed but may still be asked for. What is listed is held
// by the shim itself (it shares the bytes), so that a listed part can never turn out to be gone.
type Blocks interface {
	Chunk(envelope.ID) (envelope.Chunk, bool)
}
