package shim

import (
	"time"

	"murmuration/playlist"
)

// rendered is one version of the playlist's text. It is made once and shared by all who wait for it.
type rendered struct {
	version uint64
	made    bool
	text    playlist.Text
	plain   [][]byte
	zipped  [][]byte // nil until somebody wants it
}

// zipWhole is the length of a body below which it is compressed anew with every version.
const zipWhole = 32 << 10

// texts are the current texts of one list.
type texts struct {
	whole, delta rendered
	zipper       zipper
}

// render returns the current playlist, or its late edition, gzipped where wanted, in pieces.
func (t *track) render(late, skip, zip bool) [][]byte {
	var reports []playlist.Report
	for _, other := range t.broadcast.all() {
		if other != t {
			if r := other.end.Load(); r != nil {
				reports = append(reports, *r)
			}
		}
	}
	lead := t.broadcast.first()
	t.mu.Lock()
	defer t.mu.Unlock()
	list, texts := t.list, &t.texts
	if late && t.late != nil {
		list, texts = t.late, &t.lateTexts
	}
	if lead != nil && lead != t && !list.Shown() {
		lead.edition(true, list.Align) // the first track never waits for another one's lock
	}
	r := &texts.whole
	if skip {
		r = &texts.delta
	}
	if !r.made || r.version != list.Version() {
		text := list.Text(skip, reports...)
		*r = rendered{version: list.Version(), made: true, text: text, plain: [][]byte{text.Head, text.Body, text.Tail}}
	}
	if !zip {
		return r.plain
	}
	if r.zipped == nil {
		if skip || len(r.text.Body) < zipWhole {
			r.zipped = zipOnce(r.text)
		} else {
			r.zipped = texts.zipper.zip(r.text)
		}
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
	if peak == 0 {
		peak = t.info.Bandwidth
	}
	const step = 50_000 // the measure wavers; the text need not
	v = playlist.Variant{
		Codecs: t.media.Codecs, Width: t.media.Width, Height: t.media.Height, FrameRate: t.media.FrameRate,
		Bandwidth: (peak/step + 1) * step, Average: (mean + step - 1) / step * step,
	}
	if t.newest == "" {
		v.Codecs, v.Width, v.Height = t.info.Codecs, t.info.Width, t.info.Height
		return v, t.info.Width == 0
	}
	return v, t.media.VideoCodec == "" && t.media.AudioCodec != ""
}
