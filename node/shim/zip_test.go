package shim

import (
	"compress/gzip"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestZip checks what is gzipped piece by piece against what it is made of, over a list that grows.
func TestZip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 20 * time.Second})
		defer r.stop()
		o := newOrigin("talk")
		h := made(o, 8000, &past{})
		b := r.joinLate(o, h, 24)
		for i := range 60 {
			r.more(b, o, h, 1+i%3)
			z := r.get("/b/talk/main/index.m3u8", "Accept-Encoding", "gzip")
			unzip, err := gzip.NewReader(strings.NewReader(z.body))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(unzip)
			if want := r.get("/b/talk/main/index.m3u8").body; err != nil || string(plain) != want || len(plain) < zipWhole {
				t.Fatalf("%d bytes of %d: %v", len(plain), len(want), err)
			}
			if len(z.body)*4 > len(plain) {
				t.Errorf("%d bytes became %d", len(plain), len(z.body))
			}
		}
	})
}
