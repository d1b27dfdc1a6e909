package shim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"murmuration/chunker/envelope"
)

const (
	headerTimeout   = 10 * time.Second
	idleTimeout     = 2 * time.Minute
	writeTimeout    = time.Minute     // of one answer, waiting included; endless ones renew it with every write
	shutdownTimeout = 3 * time.Second // for answers under way
	firstWait       = 8 * time.Second // for a broadcast to begin, or its first segment to be whole

	// An HTTP/2 connection holds many answers: it may not hold them for somebody who is gone or takes nothing.
	maxStreams   = 100              // under way at a time; RFC 9113, 6.5.2 wants no fewer
	pingAfter    = 30 * time.Second // of silence
	pingTimeout  = 15 * time.Second
	stallTimeout = 15 * time.Second // without a byte taken
)

// Server is the shim. Make one with New.
type Server struct {
	cfg      Config
	log      *slog.Logger
	mux      *http.ServeMux
	listener net.Listener
	cert     *certificate // nil: plain HTTP
	page     *page
	metrics  *metrics
	started  time.Time

	closing   chan struct{} // closed on shutdown: waiting requests end
	closeOnce sync.Once

	mu         sync.Mutex
	broadcasts []*Broadcast  // in the order opened
	changed    chan struct{} // closed and renewed when a broadcast comes, goes, begins or ends
	status     statusCache
	opening    map[string]chan struct{} // recordings that Config.Recording is opening, closed when it has

	fetches *fetches
}

// New returns a server that listens already, but serves only once Serve is called.
func New(cfg Config) (*Server, error) {
	if cfg.Listen == "" {
		cfg.Listen = DefaultListen
	}
	if len(cfg.MediaOrigins) == 0 {
		cfg.MediaOrigins = []string{"*"}
	}
	if cfg.Window <= 0 {
		cfg.Window = time.Minute
	}
	if cfg.DVR <= 0 {
		cfg.DVR = 12 * time.Hour
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, mux: http.NewServeMux(), listener: cfg.Listener, metrics: newMetrics(),
		started: time.Now(), closing: make(chan struct{}), changed: make(chan struct{}),
		opening: map[string]chan struct{}{}, fetches: newFetches(),
	}
	var err error
	if s.page, err = newPage(pageFiles); err != nil {
		return nil, fmt.Errorf("shim: page: %w", err)
	}
	if cfg.TLSCert != "" || cfg.TLSKey != "" {
		if s.cert, err = loadCertificate(cfg); err != nil {
			return nil, fmt.Errorf("shim: %w", err)
		}
	}
	if s.listener == nil {
		var lc net.ListenConfig
		if s.listener, err = lc.Listen(context.Background(), "tcp", cfg.Listen); err != nil {
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("shim: %s: %w", cfg.Listen, ErrPortInUse)
			}
			return nil, fmt.Errorf("shim: %w", err)
		}
	}
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	s.mux.HandleFunc("GET /{$}", s.page.index)
	s.mux.HandleFunc("GET /assets/{file...}", s.page.asset)
	s.mux.HandleFunc("GET /{file}", s.page.file)

	s.mux.HandleFunc("GET /live.m3u8", s.serveLiveMultivariant)
	s.mux.HandleFunc("GET /live.mp4", s.serveLive)
	s.mux.HandleFunc("GET /b/{broadcast}/index.m3u8", s.serveMultivariant)
	s.mux.HandleFunc("GET /b/{broadcast}/live.mp4", s.serveLive)
	s.mux.HandleFunc("GET /b/{broadcast}/{track}/{file}", s.serveTrack)

	s.mux.HandleFunc("GET /api/v1/status", s.serveStatus)
	s.mux.HandleFunc("GET /api/v1/events", s.serveEvents)
	s.mux.Handle("GET /metrics", s.metrics.handler(s.cfg.Metrics))
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "ok\n")
	})
}

// Handle registers a handler of the node's own, behind the shim's guards: what is not GET or HEAD needs the token.
// Patterns are those of http.ServeMux; under /api/ they are closed to pages of other origins.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// Handler returns the whole of the server as a handler.
func (s *Server) Handler() http.Handler { return s.guard(s.mux) }

// Addr returns the address the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL returns the page's address, for a browser on this machine. With TLS, and where more than loopback is listened on,
// its host is one that the certificate covers.
func (s *Server) URL() string {
	host, port := s.local()
	if s.cert == nil || s.cert.covers(host) {
		return s.at(host, port)
	}
	tcp, ok := s.listener.Addr().(*net.TCPAddr)
	if ok && tcp.IP.IsLoopback() {
		if s.cert.covers("localhost") {
			host = "localhost"
		}
	} else if name := s.cert.name(s.cfg.AllowHosts); name != "" {
		host = name
	}
	return s.at(host, port)
}

// LocalURL returns the page's address for programs on this machine: by an IP address, whatever the certificate's names.
// They know the certificate by Pin.
func (s *Server) LocalURL() string { return s.at(s.local()) }

// Pin returns the KeyPin of the certificate that is served now; empty without TLS.
func (s *Server) Pin() string {
	if s.cert == nil {
		return ""
	}
	return KeyPin(s.cert.now.Load().Leaf)
}

// local returns where programs on this machine connect to.
func (s *Server) local() (host, port string) {
	host, port, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil {
		return s.listener.Addr().String(), ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return host, port
}

func (s *Server) at(host, port string) string {
	scheme := "http://"
	if s.cert != nil {
		scheme = "https://"
	}
	if port == "" {
		return scheme + host + "/"
	}
	return scheme + net.JoinHostPort(host, port) + "/"
}

// Serve answers requests until ctx ends, then lets answers under way finish and returns nil.
func (s *Server) Serve(ctx context.Context) error {
	srv := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: stallTimeout,
		},
	}
	serve := srv.Serve
	if s.cert != nil {
		srv.TLSConfig = s.cert.config()
		serve = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	done := make(chan error, 1)
	go func() { done <- serve(s.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("shim: %w", errors.Join(err, s.Close()))
	case <-ctx.Done():
	}
	s.stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		s.log.Debug("answers cut off", "err", errors.Join(err, srv.Close()))
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("shim: %w", err)
	}
	if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("shim: %w", err)
	}
	return nil
}

// stop ends waiting and endless requests.
func (s *Server) stop() { s.closeOnce.Do(func() { close(s.closing) }) }

// Close ends waiting requests, closes all broadcasts and the listener.
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	open := slices.Clone(s.broadcasts)
	s.mu.Unlock()
	for _, b := range open {
		b.Close()
	}
	return s.listener.Close()
}

// Open adds a broadcast. It is served until it is closed.
func (s *Server) Open(info BroadcastInfo) (*Broadcast, error) {
	if err := envelope.CheckName(info.ID); err != nil {
		return nil, fmt.Errorf("shim: broadcast: %w", err)
	}
	if info.Started.IsZero() {
		info.Started = time.Now()
	}
	b := &Broadcast{server: s, info: info, private: info.Private, log: s.log.With("broadcast", info.ID)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	b.demand = s.opening[info.ID] != nil
	for _, other := range s.broadcasts {
		if other.info.ID == info.ID {
			b.cancel()
			return nil, fmt.Errorf("shim: broadcast %s: %w", info.ID, ErrExists)
		}
	}
	s.broadcasts = append(s.broadcasts, b)
	s.changedLocked()
	return b, nil
}

// Changed tells clients of /api/v1/events that the status has changed.
func (s *Server) Changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changedLocked()
}

func (s *Server) changedLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
	s.status.stale = true
}

func (s *Server) broadcast(id string) *Broadcast {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.broadcasts {
		if b.info.ID == id {
			return b
		}
	}
	return nil
}

// on returns what is on now: the newest live broadcast, else the newest that waits for its first chunk, else the
// newest that has ended; of those that may be asked for.
func (s *Server) on(may func(*Broadcast) bool) *Broadcast {
	s.mu.Lock()
	defer s.mu.Unlock()
	rank := map[string]int{StateLive: 2, StateWaiting: 1, StateEnded: 0}
	var best *Broadcast
	for _, b := range s.broadcasts {
		if b.demand || !may(b) {
			continue
		}
		if best == nil {
			best = b
			continue
		}
		switch r, rb := rank[b.State()], rank[best.State()]; {
		case r > rb, r == rb && !b.info.Started.Before(best.info.Started):
			best = b
		}
	}
	return best
}

// await waits until cond holds, and reports whether it does: it does not once d has passed, the client has gone or
// the server stops. Cond is asked anew whenever the channel that changed returns is closed.
func (s *Server) await(ctx context.Context, d time.Duration, changed func() <-chan struct{}, cond func() bool) bool {
	var timeout <-chan time.Time
	for {
		ch := changed() // before cond, so that no change is missed
		if cond() {
			return true
		}
		if timeout == nil {
			t := time.NewTimer(d)
			defer t.Stop()
			timeout = t.C
			s.metrics.waiting.Inc()
			defer s.metrics.waiting.Dec()
		}
		select {
		case <-ch:
		case <-timeout:
			return false
		case <-ctx.Done():
			return false
		case <-s.closing:
			return cond() // an end mark may just have come
		}
	}
}

func (s *Server) changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}
