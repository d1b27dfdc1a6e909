package ingest

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/bluenviron/gortmplib/pkg/message"
)

const (
	// anonymousBytes is how much a connection may send before it has shown the key. The handshake takes 3 kB and the
	// commands of the usual encoders less than 2 kB.
	anonymousBytes = 64 << 10
	// publishID is the message stream on which we answer a publisher, little-endian 1 as the library writes it.
	publishID = 0x1000000
	// farewell is how long a refused publisher is given to read why.
	farewell = time.Second
)

var (
	errTooMuch   = errors.New("too much data before publishing")
	errEncrypted = errors.New("RTMPE is not supported")
	errPlayer    = errors.New("this server does not play")
	errStopped   = errors.New("the publisher stopped")
)

// session is one RTMP connection.
//
// It works on gortmplib's handshake and messages, not on its ServerConn and Reader: those answer "publish" before the
// key can be checked, hold the first two seconds back, and give up on the first unknown codec.
type session struct {
	server *RTMPServer
	conn   net.Conn
	peer   string
	log    *slog.Logger
	clock  clock
	rw     *message.ReadWriter

	application string
	track       string
	left        int64 // bytes that may still be read before publishing; negative: no limit
}

func newSession(s *RTMPServer, conn net.Conn) *session {
	peer := conn.RemoteAddr().String()
	return &session{
		server: s, conn: conn, peer: peer, log: s.log.With("peer", peer), clock: newClock(), left: anonymousBytes,
	}
}

// Read reads from the connection within the bounds for strangers.
func (n *session) Read(p []byte) (int, error) {
	if n.left < 0 {
		return n.conn.Read(p)
	}
	if n.left == 0 {
		return 0, errTooMuch
	}
	m, err := n.conn.Read(p[:min(int64(len(p)), n.left)])
	n.left -= int64(m)
	return m, err
}

// Write writes to the connection, but does not wait for ever for one who does not read.
func (n *session) Write(p []byte) (int, error) {
	if err := n.conn.SetWriteDeadline(time.Now().Add(n.server.config.ReadTimeout)); err != nil {
		return 0, err
	}
	return n.conn.Write(p)
}

// run serves the connection to its end.
func (n *session) run() {
	n.log.Debug("RTMP connection opened")
	deadline := time.Now().Add(n.server.config.HandshakeTimeout)
	if err := n.conn.SetReadDeadline(deadline); err != nil {
		return
	}
	var key string
	var command *message.CommandAMF0
	err := guard(func() (err error) {
		key, command, err = n.negotiate()
		return err
	})
	if err != nil {
		n.log.Info("RTMP connection closed before publishing", "err", err)
		return
	}
	sink, err := n.server.config.Authorize(n.application, key, n.track)
	if err != nil {
		n.refuse(command, err)
		return
	}
	seat, err := n.server.sit(sink, n)
	if err != nil {
		n.refuse(command, err)
		return
	}

	err = guard(func() error { return n.publish(command, sink, seat) })
	if interruptErr := sink.Interrupt(); interruptErr != nil {
		err = errors.Join(err, interruptErr)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w for %v", ErrSilent, n.server.config.ReadTimeout)
	}
	stopped := errors.Is(err, errStopped)
	if !n.server.closed() {
		event := RTMPEvent{Kind: PublisherDropped, Sink: sink, Peer: n.peer, Err: err}
		if stopped {
			event.Kind, event.Err = PublisherStopped, nil
			n.log.Info("publisher stopped")
		} else {
			n.log.Warn("publisher dropped", "err", err)
		}
		n.server.config.Event(event)
	}
	n.server.leave(sink, seat, stopped)
	// Last, so that the next publisher need not wait for it.
	var sent *sinkError
	if errors.Is(err, ErrUnsupportedCodec) || errors.Is(err, ErrNoStreams) || errors.As(err, &sent) {
		n.refuse(command, err)
	}
}

// guard turns a panic in f into an error. The parsers of what strangers send are not ours: a fault in one shall end that
// connection alone.
func guard(f func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("fault: %v\n%s", fault, debug.Stack())
		}
	}()
	return f()
}

// sinkError is an error that the sink returned.
type sinkError struct{ error }

func (e *sinkError) Unwrap() error { return e.error }

// negotiate does the handshake and answers commands up to "publish". It returns the stream key and the command.
func (n *session) negotiate() (string, *message.CommandAMF0, error) {
	counted := bytecounter.NewReadWriter(n)
	keyIn, _, err := handshake.DoServer(counted, false)
	if err != nil {
		return "", nil, fmt.Errorf("handshake: %w", err)
	}
	if keyIn != nil {
		return "", nil, errEncrypted
	}
	n.rw = message.NewReadWriter(counted, counted, false)

	for {
		msg, err := n.rw.Read()
		if err != nil {
			return "", nil, err
		}
		command, ok := msg.(*message.CommandAMF0)
		if !ok {
			continue
		}
		switch command.Name {
		case "connect":
			if err := n.connect(command); err != nil {
				return "", nil, err
			}
		case "createStream":
			err := n.write(&message.CommandAMF0{
				ChunkStreamID: command.ChunkStreamID, Name: "_result", CommandID: command.CommandID,
				Arguments: amf0.Data{nil, float64(1)},
			})
			if err != nil {
				return "", nil, err
			}
		case "publish":
			name, ok := argument(command, 1).(string)
			if !ok {
				return "", nil, errors.New("publish: no stream name")
			}
			var key string
			n.track = trackOf(n.application, name)
			n.application, key = splitPath(n.application, name)
			return key, command, nil
		case "play":
			n.status(command, "error", "NetStream.Play.StreamNotFound", errPlayer.Error())
			return "", nil, errPlayer
		}
	}
}

// connect answers the command of that name.
func (n *session) connect(command *message.CommandAMF0) error {
	switch o := argument(command, 0).(type) {
	case amf0.Object:
		n.application, _ = o.GetString("app")
	case amf0.ECMAArray:
		n.application, _ = amf0.Object(o).GetString("app")
	default:
		return errors.New("connect: no parameters")
	}
	for _, msg := range []message.Message{
		&message.SetWindowAckSize{Value: 2500000},
		&message.SetPeerBandwidth{Value: 2500000, Type: 2},
		&message.SetChunkSize{Value: 65536},
		&message.CommandAMF0{
			ChunkStreamID: command.ChunkStreamID, Name: "_result", CommandID: command.CommandID,
			Arguments: amf0.Data{
				amf0.Object{{Key: "fmsVer", Value: "FMS/3,5,7,7009"}, {Key: "capabilities", Value: float64(31)}},
				amf0.Object{
					{Key: "level", Value: "status"},
					{Key: "code", Value: "NetConnection.Connect.Success"},
					{Key: "description", Value: "Connection succeeded."},
					{Key: "objectEncoding", Value: float64(0)},
					{Key: "fourCcList", Value: amf0.StrictArray{"avc1", "hvc1", "av01", "vp09", "mp4a", "Opus", ".mp3"}},
				},
			},
		},
	} {
		if err := n.write(msg); err != nil {
			return err
		}
	}
	return nil
}

// refuse tells a publisher why, and gives it a moment to read it.
func (n *session) refuse(command *message.CommandAMF0, why error) {
	n.log.Warn("publisher refused", "application", n.application, "err", why)
	code := "NetStream.Publish.BadName"
	if errors.Is(why, ErrWrongKey) {
		code = "NetStream.Publish.Denied"
	}
	if !n.status(command, "error", code, why.Error()) {
		return
	}
	// Closing with unread data would reset the connection before the message is read.
	if c, ok := n.conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		if n.conn.SetReadDeadline(time.Now().Add(farewell)) == nil {
			io.Copy(io.Discard, io.LimitReader(n.conn, 1<<20)) //nolint:errcheck // its end is all we wait for
		}
	}
}

// status sends an onStatus and reports whether it went out.
func (n *session) status(command *message.CommandAMF0, level, code, description string) bool {
	return n.write(&message.CommandAMF0{
		ChunkStreamID: 5, MessageStreamID: publishID, Name: "onStatus", CommandID: command.CommandID,
		Arguments: amf0.Data{nil, amf0.Object{
			{Key: "level", Value: level}, {Key: "code", Value: code}, {Key: "description", Value: description},
		}},
	}) == nil
}

func (n *session) write(m message.Message) error { return n.rw.Write(m) }

// argument is the i-th argument of a command, nil where it has none.
func argument(c *message.CommandAMF0, i int) any {
	if i >= len(c.Arguments) {
		return nil
	}
	return c.Arguments[i]
}

// splitPath takes the stream key off the end of the application's path and the stream name, so that
// rtmp://host/live + KEY, rtmp://host/live/KEY and rtmp://host/KEY all do. A query is not part of either.
func splitPath(application, name string) (app, key string) {
	application, _, _ = strings.Cut(application, "?")
	name, _, _ = strings.Cut(name, "?")
	path := strings.Trim(strings.Trim(application, "/")+"/"+strings.Trim(name, "/"), "/")
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// trackOf reads the track from the query behind the stream name, else from the one behind the application: encoders
// take KEY?track=de as the stream key, and some keep what stands behind the server's address instead.
func trackOf(application, name string) string {
	for _, path := range [...]string{name, application} {
		_, query, _ := strings.Cut(path, "?")
		if values, err := url.ParseQuery(query); err == nil && values.Get("track") != "" {
			return values.Get("track")
		}
	}
	return ""
}
