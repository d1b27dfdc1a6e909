package ingest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// RTMPConfig configures an RTMP server. Either Authorize or both Key and Sink must be set.
type RTMPConfig struct {
	// Listen is the TCP address. Default ":1935".
	Listen string
	// Listener, where set, is used instead of Listen.
	Listener net.Listener

	// Authorize decides on a publisher by the application, the stream key and the track that it names, as in
	// rtmp://host/APPLICATION/KEY?track=TRACK, and says where its units go. The track is empty where none is named. It
	// returns ErrWrongKey for a wrong key, and should compare in constant time (see SameKey). Each track of a broadcast
	// has a Sink of its own, comparable with ==; a publisher that returns must be given the same one.
	Authorize func(application, key, track string) (Sink, error)
	// Key and Sink serve one broadcast without Authorize, under any application name.
	Key  string
	Sink Sink

	// Grace is how long a publisher that dropped may stay away before GraceOver is reported. Default 30 s.
	Grace time.Duration
	// ReadTimeout is how long a publisher may send neither picture nor sound before it counts as gone. Default 10 s.
	ReadTimeout time.Duration
	// HandshakeTimeout bounds the time from the connection to the start of publishing. Default 10 s.
	HandshakeTimeout time.Duration
	// MaxConnections bounds the connections open at once. More are closed at once. Default 16.
	MaxConnections int

	// Event, where set, is told of publishers that come and go. It is called from several goroutines, in order for
	// each Sink, and must not wait for the server.
	Event func(RTMPEvent)
	// Log is silent by default.
	Log *slog.Logger
}

// RTMPEvent is something that happened to a publisher.
type RTMPEvent struct {
	Kind RTMPEventKind
	Sink Sink   // the broadcast's
	Peer string // the publisher's address; empty for GraceOver
	Err  error  // why a publisher dropped
}

// RTMPEventKind says what happened.
type RTMPEventKind int

const (
	// PublisherCame means that somebody publishes, for the first time or again.
	PublisherCame RTMPEventKind = iota
	// PublisherDropped means that the connection broke or fell silent. The grace begins.
	PublisherDropped
	// PublisherStopped means that the publisher ended its stream of its own will. The grace begins all the same, since
	// a broadcaster who pushes "stop" may push "start" again; who takes this as the end need not wait for it.
	PublisherStopped
	// GraceOver means that the publisher did not return in time. The next one with this Sink counts as a new one.
	GraceOver
)

// String says it in words, for logs.
func (k RTMPEventKind) String() string {
	return [...]string{"publisher came", "publisher dropped", "publisher stopped", "grace over"}[k]
}

// RTMPServer takes RTMP and Enhanced RTMP publishers. Make one with ListenRTMP.
type RTMPServer struct {
	config   RTMPConfig
	log      *slog.Logger
	listener net.Listener
	start    time.Time

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	seats map[Sink]*seat
	done  bool
	wait  sync.WaitGroup
}

// SameKey compares stream keys in a time that tells nothing about either.
func SameKey(a, b string) bool {
	ha, hb := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(ha[:], hb[:]) == 1
}

// ListenRTMP opens the port. Connections are served from Serve on.
func ListenRTMP(config RTMPConfig) (*RTMPServer, error) {
	if config.Listen == "" {
		config.Listen = ":1935"
	}
	if config.Grace == 0 {
		config.Grace = 30 * time.Second
	}
	if config.ReadTimeout == 0 {
		config.ReadTimeout = 10 * time.Second
	}
	if config.HandshakeTimeout == 0 {
		config.HandshakeTimeout = 10 * time.Second
	}
	if config.MaxConnections == 0 {
		config.MaxConnections = 16
	}
	if config.Event == nil {
		config.Event = func(RTMPEvent) {}
	}
	if config.Authorize == nil {
		if config.Key == "" || config.Sink == nil {
			return nil, errors.New("RTMP server: neither Authorize nor Key and Sink are set")
		}
		key, sink := config.Key, config.Sink
		config.Authorize = func(_, given, _ string) (Sink, error) {
			if !SameKey(given, key) {
				return nil, ErrWrongKey
			}
			return sink, nil
		}
	}
	s := &RTMPServer{
		config: config, log: logger(config.Log), listener: config.Listener, start: time.Now(),
		conns: make(map[net.Conn]struct{}), seats: make(map[Sink]*seat),
	}
	if s.listener == nil {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", config.Listen)
		if err != nil {
			return nil, fmt.Errorf("RTMP server: %w", err)
		}
		s.listener = l
	}
	return s, nil
}

// Addr is the address that the server listens on.
func (s *RTMPServer) Addr() net.Addr { return s.listener.Addr() }

// Close closes the port and all connections. Serve returns.
func (s *RTMPServer) Close() error {
	s.mu.Lock()
	s.done = true
	for c := range s.conns {
		c.Close() //nolint:errcheck // it is being thrown away
	}
	for _, seat := range s.seats {
		seat.stopTimer()
	}
	s.mu.Unlock()
	return s.listener.Close()
}

// Serve serves connections until ctx is done or Close is called, and then returns nil after the last publisher's sink
// was told (Interrupt). Events are not reported for publishers that the server itself sent away so.
func (s *RTMPServer) Serve(ctx context.Context) error {
	defer s.wait.Wait()
	stop := context.AfterFunc(ctx, func() { s.Close() }) //nolint:errcheck // nothing to do about it
	defer stop()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if s.closed() {
				return nil
			}
			var temporary net.Error
			if errors.As(err, &temporary) && temporary.Timeout() || errors.Is(err, errTooManyFiles) {
				s.log.Warn("cannot accept a connection", "err", err)
				time.Sleep(100 * time.Millisecond)
				continue
			}
			s.Close() //nolint:errcheck // the first error is the one to report
			return fmt.Errorf("RTMP server: %w", err)
		}
		if err := s.admit(conn); err != nil {
			s.log.Warn("RTMP connection refused", "peer", conn.RemoteAddr(), "err", err)
			conn.Close() //nolint:errcheck // it is being thrown away
			continue
		}
		go s.serve(conn)
	}
}

func (s *RTMPServer) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

func (s *RTMPServer) admit(conn net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return net.ErrClosed
	}
	if len(s.conns) >= s.config.MaxConnections {
		return fmt.Errorf("%d connections are open already", len(s.conns))
	}
	s.conns[conn] = struct{}{}
	s.wait.Add(1)
	return nil
}

func (s *RTMPServer) serve(conn net.Conn) {
	defer s.wait.Done()
	defer func() {
		conn.Close() //nolint:errcheck // it may be closed already
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	newSession(s, conn).run()
}
