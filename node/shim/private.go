package shim

import (
	"maps"
	"net"
	"net/http"
	"path"
	"strings"
)

// A private broadcast is shown to the one who sits at this machine, and to who has the token: to nobody else who reaches the
// port, and to no page but our own. Other pages could embed what they may not read, and see how large it is and how it moves.

// Lock says that the broadcast is private and cannot be opened here, and why, in words for its visitors. It reports
// whether that is news. What was pushed before stays.
func (b *Broadcast) Lock(why string) bool {
	b.mu.Lock()
	news := b.locked != why
	b.private, b.locked = true, why
	b.mu.Unlock()
	if news {
		b.server.Changed()
	}
	return news
}

// Unlock says that the broadcast is private and can be opened here.
func (b *Broadcast) Unlock() {
	b.mu.Lock()
	news := !b.private || b.locked != ""
	b.private, b.locked = true, ""
	b.mu.Unlock()
	if news {
		b.server.Changed()
	}
}

// Private reports whether the broadcast is private, and why it cannot be shown; empty where it can.
func (b *Broadcast) Private() (private bool, locked string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.private, b.locked
}

// admits reports whether a request may have a broadcast's media, as far as privacy goes.
func (s *Server) admits(r *http.Request, b *Broadcast) bool {
	private, _ := b.Private()
	return !private || !s.foreign(r) && (s.near(r) || s.tokenRight(r))
}

// admit is admits for a request that names the broadcast, and answers where it may not, or where the broadcast is locked.
// It takes back what the guard promised to other origins.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, b *Broadcast) bool {
	private, locked := b.Private()
	if !private {
		return true
	}
	h := w.Header()
	maps.DeleteFunc(h, func(name string, _ []string) bool { return strings.HasPrefix(name, "Access-Control-") })
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "private, no-store") // nor is it left on a disk by a browser
	switch {
	case !s.admits(r, b):
		http.Error(w, "This broadcast is private: it is shown to players on the same machine, and with the token.", http.StatusForbidden)
	case locked != "":
		http.Error(w, "This broadcast is "+locked+".", http.StatusForbidden)
	default:
		return true
	}
	return false
}

// admitOptions is admit for OPTIONS, which no handler sees: what a page may not read, it is not promised either.
func (s *Server) admitOptions(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(path.Clean(r.URL.Path), "/b/")
	if !ok {
		return true
	}
	id, _, _ := strings.Cut(rest, "/")
	r.SetPathValue("broadcast", id)
	b := s.lookup(r)
	if b == nil {
		return true
	}
	defer b.leave()
	return s.admit(w, r, b)
}

// near reports whether a request comes from a program on this machine that asked this machine: over loopback, by a loopback
// name, and not through a proxy, which would be near while its clients are not.
func (s *Server) near(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return false
	}
	if !r.ProtoAtLeast(1, 1) {
		return false // no player is that old, but nginx that was told nothing asks so, and names neither itself nor its client
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return isLoopback(hostname(r.Host))
}

// setCache sets how long an answer may be kept, unless it is of a private broadcast.
func setCache(h http.Header, value string) {
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", value)
	}
}
