package shim

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"
)

// pageFiles holds the page: built/ is what Vite made of node/web, where that was done before `go build`; the files
// beside it are a plain page that needs no build.
//
//go:embed page
var pageFiles embed.FS

// page serves the web page.
type page struct {
	built  fs.FS // nil where the page was not built
	plain  fs.FS
	html   []byte
	policy string // Content-Security-Policy
}

func newPage(files fs.FS) (*page, error) {
	plain, err := fs.Sub(files, "page")
	if err != nil {
		return nil, err
	}
	p := &page{plain: plain}
	if built, err := fs.Sub(plain, "built"); err == nil {
		if p.html, err = fs.ReadFile(built, "index.html"); err == nil {
			p.built = built
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if p.built == nil {
		if p.html, err = fs.ReadFile(plain, "index.html"); err != nil {
			return nil, err
		}
	}
	// hls.js feeds the video through blob: URLs and runs its demuxer in a worker made from one.
	p.policy = strings.Join([]string{
		"default-src 'self'",
		"script-src 'self'" + inlineScripts(p.html),
		"style-src 'self' 'unsafe-inline'",
		"img-src 'self' data: blob:",
		"media-src 'self' blob:",
		"worker-src 'self' blob:",
		"object-src 'none'",
		"base-uri 'none'",
		"form-action 'self'",
		"frame-ancestors 'none'",
	}, "; ")
	return p, nil
}

var scriptTag = regexp.MustCompile(`(?is)<script([^>]*)>(.*?)</script>`)

// inlineScripts returns the CSP sources for the scripts that stand in the page itself, by their hashes.
func inlineScripts(html []byte) string {
	var b strings.Builder
	for _, m := range scriptTag.FindAllSubmatch(html, -1) {
		if len(m[2]) > 0 && !strings.Contains(string(m[1]), "src=") {
			sum := sha256.Sum256(m[2])
			b.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
		}
	}
	return b.String()
}

func (p *page) index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(p.html)
}

// asset serves what the page refers to under /assets/. What Vite builds is named by its content.
func (p *page) asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if p.built != nil && p.serve(w, r, p.built, path.Join("assets", name), "max-age=31536000, immutable") {
		return
	}
	if !p.serve(w, r, p.plain, name, "no-cache") {
		http.NotFound(w, r)
	}
}

// file serves what stands beside the page: an icon, a manifest.
func (p *page) file(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if p.built != nil && p.serve(w, r, p.built, name, "no-cache") || p.serve(w, r, p.plain, name, "no-cache") {
		return
	}
	http.NotFound(w, r)
}

func (p *page) serve(w http.ResponseWriter, _ *http.Request, files fs.FS, name, cache string) bool {
	if !fs.ValidPath(name) {
		return false
	}
	b, err := fs.ReadFile(files, name)
	if err != nil {
		return false
	}
	kind := mime.TypeByExtension(path.Ext(name))
	if kind == "" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", cache)
	_, _ = w.Write(b)
	return true
}
