package mesh

import (
	"bufio"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"murmuration/chunker/envelope"
)

const (
	requestTimeout    = 5 * time.Second  // for a request to come, once its stream is open
	partTimeout       = 10 * time.Second // for one part of an answer to be taken
	streamsPerPeer    = 4                // requests of one peer served at once
	forgetCallerAfter = 5 * time.Minute
)

// errBusy means that a caller asks too much, or everyone together does.
var errBusy = errors.New("mesh: busy")

// admission bounds what other peers may ask of this node: how many requests at once, in all and for each peer, and how
// many a second.
type admission struct {
	limit int
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	open    int
	callers map[peer.ID]*caller
}

type caller struct {
	open int
	pace *rate.Limiter
	last time.Time
}

func newAdmission(limit int, perSecond float64, burst int) *admission {
	return &admission{limit: limit, rate: rate.Limit(perSecond), burst: burst, callers: map[peer.ID]*caller{}}
}

// enter admits a request, which ends with a call of leave.
func (a *admission) enter(p peer.ID, now time.Time) (leave func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.callers[p]
	if c == nil {
		a.sweep(now)
		c = &caller{pace: rate.NewLimiter(a.rate, a.burst)}
		a.callers[p] = c
	}
	c.last = now
	if a.open >= a.limit || c.open >= streamsPerPeer || !c.pace.AllowN(now, 1) {
		return nil, errBusy
	}
	a.open++
	c.open++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.open--
		c.open--
	}, nil
}

// sweep forgets callers that have not asked for long, when there are many.
func (a *admission) sweep(now time.Time) {
	if len(a.callers) < 1024 {
		return
	}
	for p, c := range a.callers {
		if c.open == 0 && now.Sub(c.last) > forgetCallerAfter {
			delete(a.callers, p)
		}
	}
}

// serveLog answers one request of the log protocol.
func (n *Node) serveLog(s network.Stream) {
	from := s.Conn().RemotePeer()
	err := n.answerLog(s, from)
	result := "served"
	switch {
	case errors.Is(err, errBusy):
		result = "busy"
	case errors.Is(err, ErrLogWire):
		result = "malformed"
		n.gate.offend(from, offenceMalformed)
	case err != nil:
		result = "broken"
	}
	n.metrics.logServed.WithLabelValues(result).Inc()
	if err != nil {
		n.log.Debug("log request not served", "peer", from, "err", err)
	}
	if result == "broken" {
		s.Reset()
		return
	}
	s.Close() // the answer, also one that says no, still has to leave
}

func (n *Node) answerLog(s network.Stream, from peer.ID) error {
	_ = s.SetReadDeadline(time.Now().Add(requestTimeout)) // streams without deadlines end with their connection
	raw, err := readSized(s, maxLogRequest)
	if err != nil {
		return err
	}
	tick := func() { _ = s.SetWriteDeadline(time.Now().Add(partTimeout)) }
	w := bufio.NewWriterSize(n.pace.writer(n.ctx, s, tick), paceSlice)
	end := func(e logEnd) error {
		if _, err := w.Write(appendLogEnd(nil, e)); err != nil {
			return err
		}
		return w.Flush()
	}
	leave, err := n.admit.enter(from, time.Now())
	if err != nil {
		return errors.Join(err, end(logEnd{Status: logBusy}))
	}
	defer leave()
	req, err := parseLogRequest(raw)
	if err != nil {
		return errors.Join(err, end(logEnd{Status: logRefused}))
	}
	log := n.chunkLog(req.Track)
	if log == nil {
		return end(logEnd{Status: logUnknown})
	}
	if req.Kind == logRange || req.Kind == logLatest {
		leave, ok := n.pace.enter()
		if !ok {
			return errors.Join(errBusy, end(logEnd{Status: logBusy}))
		}
		defer leave()
	}
	return writeLogAnswer(w, req, log, end)
}

// writeLogAnswer writes what a log has of what was asked.
func writeLogAnswer(w io.Writer, req logRequest, log ChunkLog, end func(logEnd) error) error {
	e := logEnd{Status: logDone}
	e.Newest, _ = log.Newest()
	var chunks []envelope.Chunk
	var more bool
	switch req.Kind {
	case logRange:
		chunks, more = log.Range(req.From, req.To, req.Count, req.Size)
	case logLatest:
		chunks, more = log.Latest(req.Span, req.Count, req.Size)
	case logIndex:
		var err error
		if e.Status, err = writeIndex(w, req, log); err != nil {
			return err
		}
	case logInit:
		init, ok := log.Init(req.Init)
		if !ok {
			e.Status = logUnknown
			return end(e)
		}
		if _, err := w.Write(appendLogItem(nil, logItemInit, init)); err != nil {
			return err
		}
	}
	if more {
		e.Status = logMore
	}
	for _, c := range chunks {
		frame, err := encodeFrame(c)
		if err != nil {
			continue // its init segment is not at hand: this node cannot serve it
		}
		if _, err := w.Write(appendLogHead(nil, logItemChunk, len(frame))); err != nil {
			return err
		}
		if _, err := w.Write(frame); err != nil {
			return err
		}
	}
	return end(e)
}
