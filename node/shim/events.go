package shim

import (
	"net/http"
	"time"
)

const (
	eventEvery = time.Second            // a status at least this often
	eventRest  = 200 * time.Millisecond // and, on changes, at most this often
)

// serveEvents tells the status every second, and at once when something changes, as server-sent events.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return
	}
	out := liveWriter{w: w, control: http.NewResponseController(w)}
	tick := time.NewTicker(eventEvery)
	defer tick.Stop()
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		// Changes in quick succession become one event.
		select {
		case <-rest.C:
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		}
		changed := s.changes() // before the status, so that no change is missed
		text, err := s.statusText()
		if err != nil {
			s.log.Error("status", "err", err)
			return
		}
		if !out.write([]byte("event: status\ndata: "), text, []byte("\n\n")) {
			return
		}
		rest.Reset(eventRest)
		select {
		case <-changed:
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		}
	}
}
