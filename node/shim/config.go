package shim

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"murmuration/chunker/envelope"
	"murmuration/playlist"
)

// DefaultListen is where the shim listens unless told otherwise.
const DefaultListen = "127.0.0.1:8480"

// Errors of this package.
var (
	// ErrPortInUse is wrapped by New where something else listens on the port.
	ErrPortInUse = errors.New("port in use")
	// ErrCertificate is wrapped by New where the TLS certificate or its key cannot be used.
	ErrCertificate = errors.New("TLS certificate")
	// ErrExists is wrapped by Open and AddTrack where the name is taken.
	ErrExists = errors.New("exists already")
	// ErrTrack is wrapped by Push for a track that was not added, or a chunk that is not the track's.
	ErrTrack = errors.New("no such track")
	// ErrNoInit is wrapped by Push for an independent chunk whose init segment is not at hand.
	ErrNoInit = errors.New("init segment missing")
	// ErrGone is wrapped by what a History returns for what will not come back: players are told 404. Any other error of
	// it is told as 503, and players try again.
	ErrGone = errors.New("not to be had any more")
)

// Config configures a Server. The zero value works.
type Config struct {
	// Listen is the TCP address. Default DefaultListen.
	Listen string

	// Listener, where set, is served instead of listening on Listen.
	Listener net.Listener

	// TLSCert and TLSKey are PEM files with a certificate (and those that vouch for it) and its key. With both the face
	// serves HTTPS only, HTTP/2 included; the certificate's names are allowed hosts. When the files change, what they then
	// hold is taken over within a minute; if that is unusable, it is logged and the old certificate goes on.
	TLSCert, TLSKey string

	// Renewed is called when a renewed certificate was taken over, before it is shown to anybody. It may be nil.
	Renewed func()

	// Token is what requests that change something must carry. Without one, nothing can be changed over HTTP.
	Token string

	// AllowHosts are host names (without port) by which the shim may be addressed, besides loopback ones and the IP
	// address that a connection came in on. "*" allows any: for a gateway, whose content is public.
	AllowHosts []string

	// MediaOrigins are the origins whose pages may read playlists and media. Default "*", any: they are read-only and
	// public. Those of private broadcasts are never among them. Status and API are never readable by pages of other origins.
	MediaOrigins []string

	// OpenContent lets pages of other origins read /ipfs/ and /ipns/, as on any IPFS gateway. Without it they cannot find
	// out what is here.
	OpenContent bool

	// Window is how much of a broadcast the playlists list where a track has no History, and how much of a track the shim
	// itself holds where it has one. Default 60 s.
	Window time.Duration

	// DVR is how much of a broadcast the playlists of tracks with a History list at most. Default 12 h.
	DVR time.Duration

	// Recording is asked to open the broadcast with an id that is not open, when somebody asks for it: by Open and then
	// Recorded, before it returns true. Such a broadcast is closed when nobody has asked for it for some minutes, so
	// that thousands of recordings need not be open; what was given to Recorded is then closed too, where it is an
	// io.Closer. It is never what is on, nor in the status.
	Recording func(id string) bool

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
	Private bool      // not for everybody who reaches the server; see Broadcast.Lock
}

// TrackInfo describes a track to AddTrack.
type TrackInfo struct {
	Name     string // as in its chunks
	Language string // RFC 5646, of a sound track; may be empty
	Title    string // shown to choose sound tracks by; default Name

	// Codecs, Width, Height and Bandwidth (bits per second) are what was announced of a track, of which nothing need have
	// come yet: it is listed by them until its own init segment tells. Without codecs it is listed once it has begun.
	Codecs        string
	Width, Height int
	Bandwidth     int

	// Wanted is called whenever a player asks for the track, and must not wait. It may be nil.
	Wanted func()

	// TargetDuration overrides the choice of TARGETDURATION by the keyframe intervals seen first.
	TargetDuration time.Duration

	// History is what the track was before the shim's window, while it lives and after. With one, players can go back to
	// the start of the broadcast. It may be nil.
	History History
}

// Blocks is where chunks are read back that are no longer listed but may still be asked for. What is listed is held
// by the shim itself (it shares the bytes), so that a listed part can never turn out to be gone.
type Blocks interface {
	Chunk(envelope.ID) (envelope.Chunk, bool)
}

// History is what a track was before the shim's window. It may fetch over the network: what Parts tells may be hearsay,
// what Chunks and Init return is verified. Its methods are called concurrently.
type History interface {
	// Parts returns all chunks below before that are known of, ascending.
	Parts(ctx context.Context, before playlist.ID) ([]playlist.Part, error)
	// Chunks returns the chunks of one epoch with from <= id <= to, all of them or an error.
	Chunks(ctx context.Context, from, to playlist.ID) ([]envelope.Chunk, error)
	// Init returns an init segment by its CID's text.
	Init(ctx context.Context, name string) ([]byte, error)
}
