package shim

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// guard decides who may ask for what, before anything else happens.
//
//   - The Host header must name this machine: a page elsewhere whose name was rebound to 127.0.0.1 is turned away.
//     The names of its own TLS certificate are its own.
//   - Playlists and media may be read by pages of MediaOrigins, but those of private broadcasts (private.go) by none.
//   - Everything else is closed to pages of other origins, whatever the method.
//   - What is not GET, HEAD or OPTIONS needs the token.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count := &counter{ResponseWriter: w, kind: kindOf(r.URL.Path)}
		w = count
		defer s.metrics.count(count)
		// Not every ResponseWriter has deadlines (those of tests do not).
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")

		if !s.hostAllowed(r) {
			http.Error(w, "This address is not one of this node's. Add it to the allowed hosts.", http.StatusForbidden)
			return
		}
		switch {
		case isMedia(r.URL.Path):
			s.mediaHeaders(h, r)
		case isContent(r.URL.Path) && (s.cfg.OpenContent || !s.foreign(r)):
			// It comes from strangers, and its handler says what it may do.
		default:
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Content-Security-Policy", s.page.policy)
			if s.foreign(r) {
				http.Error(w, "Pages of other origins may not ask this.", http.StatusForbidden)
				return
			}
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodOptions:
			if !s.admitOptions(w, r) {
				return
			}
			h.Set("Allow", "GET, HEAD, OPTIONS")
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			if !s.tokenRight(r) {
				h.Set("WWW-Authenticate", "Bearer")
				http.Error(w, "This needs the token that the node printed when it started.", http.StatusUnauthorized)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func isMedia(path string) bool {
	return strings.HasPrefix(path, "/b/") || path == "/live.m3u8" || path == "/live.mp4"
}

// isContent reports whether a path is one of IPFS content, that the node's gateway serves.
func isContent(path string) bool {
	return strings.HasPrefix(path, "/ipfs/") || strings.HasPrefix(path, "/ipns/")
}

func (s *Server) mediaHeaders(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	switch {
	case slices.Contains(s.cfg.MediaOrigins, "*"):
		h.Set("Access-Control-Allow-Origin", "*")
	case origin != "" && slices.Contains(s.cfg.MediaOrigins, origin):
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
	default:
		h.Add("Vary", "Origin")
		return
	}
	h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, Date")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Range")
		h.Set("Access-Control-Max-Age", "86400")
		// Chromium asks before a public page may read from a loopback address.
		if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
			h.Set("Access-Control-Allow-Private-Network", "true")
		}
	}
}

// hostAllowed reports whether the request was addressed to this machine by a name that an attacker cannot choose.
func (s *Server) hostAllowed(r *http.Request) bool {
	host := hostname(r.Host)
	if isLoopback(host) {
		return true
	}
	if ip := net.ParseIP(host); ip != nil {
		// An address is no name: it cannot be rebound. So it may be the one the connection came in on.
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
			if tcp, ok := local.(*net.TCPAddr); ok && tcp.IP.Equal(ip) {
				return true
			}
		}
	}
	if s.cert != nil && s.cert.covers(host) {
		return true
	}
	return slices.ContainsFunc(s.cfg.AllowHosts, func(allowed string) bool {
		return allowed == "*" || strings.EqualFold(allowed, host)
	})
}

// isLoopback reports whether a host name always means the machine of who asks.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// hostname takes the port, the brackets and a final dot off a Host header.
func hostname(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// foreign reports whether a page of another origin sent the request. Browsers say so in Origin (scripts) or
// Sec-Fetch-Site (images, frames, forms); programs send neither. Following a link to the page is not foreign.
func (s *Server) foreign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		// Over TLS, a page that came by http is another origin: anybody on the way may have written it. Without TLS, a
		// proxy before us may have it.
		scheme := err == nil && (u.Scheme == "https" || u.Scheme == "http" && r.TLS == nil)
		return !scheme || !strings.EqualFold(u.Host, r.Host)
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	navigation := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return !navigation || strings.HasPrefix(r.URL.Path, "/api/")
}

func (s *Server) tokenRight(r *http.Request) bool {
	if s.cfg.Token == "" {
		return false
	}
	token := r.Header.Get("X-Murmur-Token")
	if scheme, t, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(t)
	}
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.Token)) == 1
}
