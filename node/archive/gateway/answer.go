package gateway

import (
	"mime"
	"net/http"
	"path"
	"strings"
)

// types are the content types of a recording's files: those that players insist on, whatever the system's own table of
// types says.
var types = map[string]string{
	".m3u8": "application/vnd.apple.mpegurl",
	".m4s":  "video/mp4", // video/iso.segment is as right, and fewer players know it
	".mp4":  "video/mp4",
	".json": "application/json",
	".jpg":  "image/jpeg",
	".jpeg": "image/jpeg",
	".png":  "image/png",
	".webp": "image/webp",
	".avif": "image/avif",
}

// policy is what a document may do that was made by a stranger and is served from the node's own origin: show itself.
// In a sandbox it has an origin of its own, runs no script, and asks nothing of the node's API.
const policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'"

// answer puts the last word on an answer's headers.
type answer struct {
	http.ResponseWriter
	path  string
	wrote bool
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if !a.wrote && status >= 200 {
		a.wrote = true
		a.settle(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if !a.wrote {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Flush implements http.Flusher.
func (a *answer) Flush() { _ = http.NewResponseController(a.ResponseWriter).Flush() }

func (a *answer) settle(status int) {
	h := a.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Del("X-Frame-Options") // the policy says more
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	given, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if status == http.StatusOK || status == http.StatusPartialContent {
		right, known := types[strings.ToLower(path.Ext(a.path))]
		// Verifiable answers and listings keep their own type, and so does what another kind of node sits at the path.
		if known && !strings.HasPrefix(given, "application/vnd.ipld.") && !strings.HasPrefix(given, "multipart/") && given != "text/html" {
			h.Set("Content-Type", right)
			given = right
		}
	}
	// Sound and picture have nothing to run; players of some browsers stumble over a sandboxed one.
	if !strings.HasPrefix(given, "video/") && !strings.HasPrefix(given, "audio/") && given != types[".m3u8"] {
		h.Set("Content-Security-Policy", policy)
	} else {
		h.Del("Content-Security-Policy")
	}
}
