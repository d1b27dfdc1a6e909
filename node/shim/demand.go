package shim

import (
	"context"
	"io"
	"net/http"
	"time"

	"murmuration/chunker/envelope"
)

const (
	demandIdle = 5 * time.Minute // nobody asked for so long: a recording is closed
	demandOpen = 64              // recordings open at once because somebody asked
)

// lookup returns the broadcast that a request names, where need be by asking for its recording. Leave must be called
// when the answer is given.
func (s *Server) lookup(r *http.Request) *Broadcast {
	id := r.PathValue("broadcast")
	b := s.broadcast(id)
	if b == nil && s.cfg.Recording != nil && envelope.CheckName(id) == nil {
		b = s.openRecording(r, id)
	}
	if b != nil {
		b.enter()
	}
	return b
}

// openRecording has Config.Recording open a broadcast. Equal requests share one question.
func (s *Server) openRecording(r *http.Request, id string) *Broadcast {
	s.mu.Lock()
	if done := s.opening[id]; done != nil {
		s.mu.Unlock()
		select {
		case <-done:
		case <-r.Context().Done():
		}
		return s.broadcast(id)
	}
	if len(s.opening) >= demandOpen || !s.makeRoom() {
		s.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	s.opening[id] = done
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.opening, id)
		s.mu.Unlock()
		close(done)
	}()
	if !s.cfg.Recording(id) {
		return nil
	}
	b := s.broadcast(id)
	if b != nil && b.demand {
		b.used.Store(time.Now().UnixNano())
		b.closeIdle()
	}
	return b
}

// makeRoom reports whether another recording may be opened; it closes the one that was not used for longest where there
// are too many. Call with the lock held; it is given up meanwhile.
func (s *Server) makeRoom() bool {
	var oldest *Broadcast
	n := 0
	for _, b := range s.broadcasts {
		if !b.demand {
			continue
		}
		n++
		if b.using.Load() == 0 && (oldest == nil || b.used.Load() < oldest.used.Load()) {
			oldest = b
		}
	}
	if n < demandOpen {
		return true
	}
	if oldest == nil {
		return false
	}
	s.mu.Unlock()
	oldest.Close()
	s.mu.Lock()
	return true
}

// closeIdle closes a recording once nobody has asked for it for a while.
func (b *Broadcast) closeIdle() {
	rest := time.Until(time.Unix(0, b.used.Load()).Add(demandIdle))
	if b.using.Load() > 0 {
		rest = demandIdle
	}
	if rest <= 0 {
		b.log.Debug("recording closed: nobody asks for it")
		b.Close()
		return
	}
	again := time.AfterFunc(rest, b.closeIdle)
	context.AfterFunc(b.ctx, func() { again.Stop() }) // a broadcast that is closed otherwise takes the timer along
}

func (b *Broadcast) enter() {
	b.using.Add(1)
	b.used.Store(time.Now().UnixNano())
}

func (b *Broadcast) leave() {
	b.used.Store(time.Now().UnixNano())
	b.using.Add(-1)
}

// close lets go of what a recorded track was made of, and of its timer.
func (t *track) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
	t.wake()
	if !t.recorded {
		return
	}
	for _, of := range []any{t.blocks, t.info.History} {
		if c, ok := of.(io.Closer); ok {
			if err := c.Close(); err != nil {
				t.log.Warn("recording not closed", "err", err)
			}
		}
	}
}
