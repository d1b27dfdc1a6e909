package shim

import (
	"bytes"
	"compress/gzip"
	"time"

	"murmuration/playlist"
)

// rendered is one version of the playlist's text. It is made once and shared by all who wait for it.
type rendered struct {
	version uint64
	made    bool
	plain   []byte
	zipped  []byte // nil until somebody wants it
}

// render returns the current playlist, gzipped where wanted.
func (t *track) render(skip, zip bool) []byte {
	var reports []playlist.Report
	for _, other := range t.broadcast.all() {
		if other != t {
			if r := other.end.Load(); r != nil {
				reports = append(reports, *r)
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.text
	if skip {
		r = &t.delta
	}
	if !r.made || r.version != t.list.Version() {
		*r = rendered{version: t.list.Version(), made: true, plain: t.list.Render(skip, reports...)}
	}
	if !zip {
		return r.plain
	}
	if r.zipped == nil {
		var b bytes.Buffer
		// Writing to a Buffer cannot fail, nor can a level that exists.
		z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		_, _ = z.Write(r.plain)
		_ = z.Close()
		r.zipped = b.Bytes()
	}
	return r.zipped
}

// variant describes the track for the multivariant playlist, and tells whether it is sound alone.
func (t *track) variant() (v playlist.Variant, sound bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var size int
	var span time.Duration
	for _, a := range t.backlog {
		size += a.Size
		span += a.Length()
	}
	var peak, mean int
	if t.list != nil {
		peak, mean = t.list.Bandwidth()
	} else if span > 0 {
		peak = int(float64(size) * 8 / span.Seconds())
	}
	const step = 50_000 // the measure wavers; the text need not
	return playlist.Variant{
		Codecs: t.media.Codecs, Width: t.media.Width, Height: t.media.Height, FrameRate: t.media.FrameRate,
		Bandwidth: (peak/step + 1) * step, Average: (mean + step - 1) / step * step,
	}, t.media.VideoCodec == "" && t.media.AudioCodec != ""
}
