// Package gateway serves recordings over HTTP as any IPFS gateway does: /ipfs/CID/path and /ipns/CHANNEL/path as files
// with ranges, or as verifiable blocks and CAR archives (?format=raw, ?format=car, or the Accept header).
//
// It reads; it changes nothing. What is not in the archive is fetched from the network only where the configuration says
// so, and never for a page of another origin: such a page can learn what the node has, as on any public gateway, but
// cannot make it fetch. What it serves comes from strangers: no script of it ever runs in the origin of the node's own
// page (see policy).
//
// The protocol is boxo's; see package exchange for what follows from that.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/gateway"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/prometheus/client_golang/prometheus"
)

// Blocks is where the blocks come from that are here already. An error from Get or GetSize means that there is none.
type Blocks interface {
	Has(ctx context.Context, c cid.Cid) (bool, error)
	Get(ctx context.Context, c cid.Cid) ([]byte, error)
	GetSize(ctx context.Context, c cid.Cid) (int, error)
}

// Fetcher brings blocks from the network, verified. The channel is closed when all have come or ctx ended. A session of
// package exchange is one.
type Fetcher interface {
	Blocks(ctx context.Context, cids []cid.Cid) (<-chan blocks.Block, error)
}

// Config says what a gateway serves. Blocks is required.
type Config struct {
	// Blocks are what is served.
	Blocks Blocks

	// Fetch starts the fetching of what Blocks lacks, for one request, until ctx ends. Nil: nothing is fetched.
	Fetch func(ctx context.Context) Fetcher

	// Fetches is how many requests may fetch at the same time. The default is 8. Further ones get what is here.
	Fetches int

	// Names returns the path that the name of a channel points at, such as /ipfs/CID. The channel is given as a peer ID.
	// Nil: no names.
	Names func(ctx context.Context, channel string) (string, error)

	// Requests is how many requests are served at once. The default is 128; more are answered 429.
	Requests int

	// Timeout is how long a request may wait for its first byte, or for the next one. The default is 30 s.
	Timeout time.Duration

	// Duration is how long a request may take as a whole. The default is one hour.
	Duration time.Duration

	// SameOrigin leaves out the headers by which pages of other origins may read answers. By default all may, as on any
	// gateway: the content is public.
	SameOrigin bool

	// Log is where the gateway tells its story. The default discards.
	Log *slog.Logger
}

// ErrConfig is wrapped by errors about a Config that cannot work.
var ErrConfig = errors.New("gateway: configuration")

// handler checks requests and answers' headers around boxo's handler.
type handler struct {
	cfg   Config
	next  http.Handler
	slots chan struct{} // one for each request that may fetch
}

// New returns the handler of /ipfs/ and /ipns/.
func New(cfg Config) (http.Handler, error) {
	if cfg.Blocks == nil {
		return nil, fmt.Errorf("%w: Blocks is missing", ErrConfig)
	}
	if cfg.Fetches < 0 || cfg.Requests < 0 || cfg.Timeout < 0 || cfg.Duration < 0 {
		return nil, fmt.Errorf("%w: a negative number", ErrConfig)
	}
	if cfg.Fetches == 0 {
		cfg.Fetches = 8
	}
	if cfg.Requests == 0 {
		cfg.Requests = 128
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Duration == 0 {
		cfg.Duration = time.Hour
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	recent := newRecent(recentBytes)
	here := store{from: cfg.Blocks, recent: recent, log: cfg.Log}
	service := blockservice.New(here, network{cfg.Fetch})
	backend, err := gateway.NewBlocksBackend(service, gateway.WithNameSystem(names{cfg.Names}), gateway.WithMaxTraversalDepth(64))
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	inner := gateway.NewHandler(gateway.Config{
		DeserializedResponses: true, NoDNSLink: true, DisableHTMLErrors: true,
		RetrievalTimeout: cfg.Timeout, MaxConcurrentRequests: cfg.Requests, MaxRequestDuration: cfg.Duration,
		MetricsRegistry: prometheus.NewRegistry(), // the node's own are enough
	}, backend)
	if !cfg.SameOrigin {
		inner = gateway.NewHeaders(nil).ApplyCors().Wrap(inner)
	}
	return &handler{cfg: cfg, next: inner, slots: make(chan struct{}, cfg.Fetches)}, nil
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/ipfs/") && !strings.HasPrefix(r.URL.Path, "/ipns/") {
		http.NotFound(w, r)
		return
	}
	if r.Header.Get("Service-Worker") != "" { // it would act for the whole of the node's origin
		http.Error(w, "No service workers from here.", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if h.cfg.Fetch != nil && !foreign(r) {
		select {
		case h.slots <- struct{}{}:
			defer func() { <-h.slots }()
			ctx = context.WithValue(ctx, mayFetch{}, true)
		default:
			h.cfg.Log.Debug("too many requests fetch; this one gets what is here", "path", r.URL.Path)
		}
	}
	h.next.ServeHTTP(&answer{ResponseWriter: w, path: r.URL.Path}, r.WithContext(ctx))
}

// foreign reports whether a page of another origin had a hand in the request: by a script (Origin), or by a link, an
// image or a frame (Sec-Fetch-Site). Programs such as players send neither.
func foreign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		scheme, host, ok := strings.Cut(origin, "://")
		return !ok || !strings.EqualFold(host, r.Host) || r.TLS != nil && scheme != "https"
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	return true
}
