package archive

import (
	"bytes"
	"errors"
	"testing"

	"murmuration/node/archive/unixfs"
)

// counting counts what it is asked to open.
type counting struct{ inits, chunks int }

func (o *counting) OpenInit(b []byte) ([]byte, error) { o.inits++; return b, nil }

func (o *counting) OpenChunk(_, _ uint64, b []byte) ([]byte, error) { o.chunks++; return b, nil }

// TestPrivate keeps the mark of a private recording through everything that can become of it: a store that was killed with
// the first chunk, the end, a CAR, a copy by its root.
func TestPrivate(t *testing.T) {
	src := newStream("talk", 2000)
	src.scheme = 1
	want := func(what string, i Info) {
		t.Helper()
		if i.KeyScheme != 1 {
			t.Errorf("%s: key scheme %d", what, i.KeyScheme)
		}
	}
	s := mustOpen(t, Config{Dir: t.TempDir()})
	r := mustCreate(t, s, src.key)
	list := append(src.take(t, 24), src.end(t))
	mustAppend(t, r, list[0])
	want("live", r.Info())
	// The small file alone says it: the chunk itself may be lost.
	killed := mustOpen(t, Config{Dir: copyStore(t, s, src.key, nil), open: newDisk().open})
	want("after a kill", killed.List()[0])

	mustAppend(t, r, list[1:]...)
	root, err := r.Finish(t.Context(), testSign)
	if err != nil {
		t.Fatal(err)
	}
	want("finished", r.Info())
	view, err := r.View(t.Context())
	if err != nil || !view.Info.Private {
		t.Fatalf("view: %v, %v", view, err)
	}
	var car bytes.Buffer
	if err := r.ExportCAR(t.Context(), &car, nil); err != nil {
		t.Fatal(err)
	}
	other := mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
	if _, err := other.ImportCAR(t.Context(), bytes.NewReader(car.Bytes()), nil); err != nil {
		t.Fatal(err)
	}
	want("imported", other.List()[0])
	third := mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
	if _, err := third.Adopt(t.Context(), Key{}, root, r, nil); err != nil {
		t.Fatal(err)
	}
	want("adopted", third.List()[0])

	adopted, _ := third.Lookup(src.key)
	for name, r := range map[string]*Recording{"by its envelopes": r, "by its view": adopted} {
		var out bytes.Buffer
		if err := r.ExportMP4(t.Context(), &out, "", nil, 0, 0, nil); !errors.Is(err, ErrPrivate) || out.Len() > 0 {
			t.Errorf("%s: MP4 without a key: %v, %d bytes", name, err, out.Len())
		}
		var o counting
		err := r.ExportMP4(t.Context(), &out, "", func(track string) unixfs.Opener {
			if track != "main" {
				t.Errorf("track %s", track)
			}
			return &o
		}, 0, 0, nil)
		if err != nil || o.inits != 1 || o.chunks != 24 {
			t.Errorf("%s: %v, opened %+v", name, err, o)
		}
	}
}
