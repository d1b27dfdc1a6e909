package ingest

import (
	"sync/atomic"
	"syscall"
	"time"
)

// errTooManyFiles is what Accept returns when the process is out of file descriptors: it passes.
const errTooManyFiles = syscall.EMFILE

// takeOver is how long a publisher must have been silent for another one with the same key to take its place. It lets
// a publisher whose network changed return before its old connection is found dead.
const takeOver = 3 * time.Second

// seat is the place of a broadcast's publisher: taken by one session at a time, kept free for a while when it drops.
type seat struct {
	holder *session
	heard  atomic.Int64  // when the holder last sent media, in nanoseconds since the server's start
	left   chan struct{} // closed when the holder has left
	timer  *time.Timer   // the grace, while there is no holder
}

func (t *seat) stopTimer() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// sit gives the seat of sink to a session, or returns ErrBusy.
func (s *RTMPServer) sit(sink Sink, who *session) (*seat, error) {
	for {
		s.mu.Lock()
		t := s.seats[sink]
		switch {
		case t == nil:
			t = new(seat)
			s.seats[sink] = t
		case t.holder != nil:
			silent := time.Since(s.start) - time.Duration(t.heard.Load())
			if silent < min(takeOver, s.config.ReadTimeout) {
				s.mu.Unlock()
				return nil, ErrBusy
			}
			old, left := t.holder, t.left
			s.mu.Unlock()
			s.log.Warn("a new publisher takes the place of a silent one", "old", old.peer, "new", who.peer, "silent", silent)
			old.conn.Close() //nolint:errcheck // to wake it
			<-left
			continue
		}
		t.stopTimer()
		t.timer = nil
		t.holder, t.left = who, make(chan struct{})
		t.heard.Store(int64(time.Since(s.start)))
		s.mu.Unlock()
		return t, nil
	}
}

// leave gives the seat up and starts the grace. Of a publisher that stopped of its own will nobody expects a return.
func (s *RTMPServer) leave(sink Sink, t *seat, stopped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.holder = nil
	close(t.left)
	if s.done {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(s.config.Grace, func() {
		s.mu.Lock()
		over := !s.done && t.timer == timer && t.holder == nil
		if over {
			delete(s.seats, sink)
		}
		s.mu.Unlock()
		if over {
			if !stopped {
				s.log.Info("the publisher did not return in time", "grace", s.config.Grace)
			}
			s.config.Event(RTMPEvent{Kind: GraceOver, Sink: sink})
		}
	})
	t.timer = timer
}
