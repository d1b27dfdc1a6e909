package playlist

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden holds whole playlists against files that were read and approved by eye.
func TestGolden(t *testing.T) {
	for name, build := range map[string]func() []byte{
		"first-part": func() []byte {
			p, s := mustNew(Config{}), newStream()
			feed(p, s.next())
			return p.Render(false)
		},
		"steady": func() []byte {
			p, s := mustNew(Config{Window: 12 * time.Second}), newStream()
			feed(p, s.take(101)...)
			return p.Render(false, Report{URI: "../sv/index.m3u8", MSN: 12, Part: 4})
		},
		"one-second-keyframes": func() []byte {
			p, s := mustNew(Config{}), newStream()
			s.gop = 4
			feed(p, s.take(18)...)
			return p.Render(false)
		},
		"gap": func() []byte {
			p, s := mustNew(Config{}), newStream()
			parts := s.take(20)
			feed(p, parts[:11]...)
			now := feed(p, parts[12:]...)
			p.Tick(now.Add(time.Second))
			return p.Render(false)
		},
		"discontinuity": func() []byte {
			p, s := mustNew(Config{}), newStream()
			feed(p, s.take(11)...)
			s.interrupt(10*time.Second, "b")
			feed(p, s.take(9)...)
			return p.Render(false)
		},
		"restart": func() []byte {
			p, s := mustNew(Config{}), newStream()
			feed(p, s.take(11)...)
			s.restart(5 * time.Second)
			feed(p, s.take(9)...)
			return p.Render(false)
		},
		"long-keyframes": func() []byte {
			p, s := mustNew(Config{}), newStream()
			s.gop = 16
			feed(p, s.take(20)...)
			return p.Render(false)
		},
		"ended": func() []byte {
			p, s := mustNew(Config{}), newStream()
			feed(p, s.take(19)...)
			feed(p, s.end())
			return p.Render(false)
		},
		"ended-long-ago": func() []byte {
			p, s := mustNew(Config{}), newStream()
			feed(p, s.take(19)...)
			now := feed(p, s.end())
			p.Tick(now.Add(time.Minute))
			return p.Render(false)
		},
		"delta": func() []byte {
			p, s := mustNew(Config{Window: 3 * time.Minute}), newStream()
			feed(p, s.take(200)...)
			return p.Render(true)
		},
		"multivariant": func() []byte {
			return Multivariant([]Variant{
				{URI: "main/index.m3u8", Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 29.97, Bandwidth: 3100000, Average: 2900000},
				{URI: "sound/index.m3u8", Codecs: "mp4a.40.2", Bandwidth: 128000},
			}, []Rendition{{Group: "audio", Name: `Swe"den`, Language: "sv", URI: "sv/index.m3u8", Default: true}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := build()
			golden(t, name, got)
			if name != "multivariant" && name != "delta" {
				newChecker(t).reload(got)
			}
		})
	}
}

// golden holds a playlist against its file in testdata, or writes that with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".m3u8")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
