package playlist

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gohls "github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// vodNames names things as a recording does.
func vodNames() VODConfig {
	inits := map[string]string{"a": "init.mp4", "b": "init-2.mp4"}
	return VODConfig{
		SegmentURI: func(epoch, first, last uint64) string { return "segments/" + SegmentURI(epoch, first, last) },
		InitURI:    func(name string) string { return inits[name] },
	}
}

func TestVODGolden(t *testing.T) {
	for name, parts := range map[string]func() []Part{
		"vod": func() []Part {
			s := newStream()
			return append(s.take(35), s.end())
		},
		"vod-changes": func() []Part { // another format, then a restart of the origin
			s := newStream()
			parts := s.take(11)
			s.interrupt(10*time.Second, "b")
			parts = append(parts, s.take(9)...)
			s.restart(5 * time.Second)
			return append(append(parts, s.take(9)...), s.end())
		},
		"vod-holes": func() []Part { // begins in the middle; one chunk lost; the end lost
			s := newStream()
			return slices.Delete(s.take(40)[3:], 10, 11)
		},
		"vod-keyless": func() []Part {
			s := newStream()
			s.since, s.gop = 1, 1<<20
			return append(s.take(90), s.end())
		},
		"vod-short-groups": func() []Part {
			s := newStream()
			s.gop = 3
			return append(s.take(30), s.end())
		},
		"vod-empty": func() []Part { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			parts := parts()
			v := NewVOD(parts, vodNames())
			checkVOD(t, parts, v)
			got := v.Render()
			golden(t, name, got)
		})
	}
}

// checkVOD holds a playlist against the parts it was made from, and its text against two parsers.
func checkVOD(t testing.TB, parts []Part, v *VOD) {
	t.Helper()
	seen := make([]int, len(parts))
	for _, i := range v.Left {
		seen[i]++
	}
	var length time.Duration
	for n, s := range v.Segments {
		if s.From >= s.To {
			t.Fatalf("segment %d is empty", n)
		}
		for i := s.From; i < s.To; i++ {
			seen[i]++
			if p := parts[i]; p.Epoch != s.Epoch || p.Seq != s.First+uint64(i-s.From) || p.Init != s.Init {
				t.Fatalf("segment %d: part %d does not belong", n, i)
			}
		}
		if s.Last != parts[s.To-1].Seq {
			t.Fatalf("segment %d: ends with %d", n, s.Last)
		}
		if v.Independent && !parts[s.From].Independent {
			t.Fatalf("segment %d does not start with a random access point", n)
		}
		length += s.Length
	}
	if length != v.Length {
		t.Fatalf("length %v, segments %v", v.Length, length)
	}
	for i, n := range seen {
		if parts[i].End && n != 0 || !parts[i].End && n != 1 {
			t.Fatalf("part %d listed %d times", i, n)
		}
	}
	text := v.Render()
	m, err := ParseMedia(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !m.End || len(m.Segments) != len(v.Segments) || m.Independent != v.Independent {
		t.Fatalf("parsed: %+v", m)
	}
	for i, s := range m.Segments {
		want := v.Segments[i]
		if s.Init != v.cfg.InitURI(want.Init) || s.URI != v.URI(want) || s.Discontinuity != want.Discontinuity ||
			(s.Duration-want.Length).Abs() > 10*time.Microsecond || s.Duration.Round(time.Second) > m.TargetDuration {
			t.Fatalf("segment %d: parsed %+v, want %+v", i, s, want)
		}
	}
	if len(v.Segments) == 0 {
		return
	}
	var second gohls.Media
	if err := second.Unmarshal(text); err != nil {
		t.Fatalf("gohlslib: %v\n%s", err, text)
	}
	if !second.Endlist || len(second.Segments) != len(v.Segments) || second.PlaylistType == nil {
		t.Fatalf("gohlslib: %+v", second)
	}
	if !strings.Contains(string(text), "#EXT-X-PLAYLIST-TYPE:VOD\n") {
		t.Fatal("not a VOD")
	}
}

// FuzzVOD makes recordings with holes, restarts and changes of format from random bytes.
func FuzzVOD(f *testing.F) {
	f.Add([]byte("0123456789"))
	f.Add([]byte{0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 2000 {
			return
		}
		s := newStream()
		var parts []Part
		for _, b := range script {
			switch {
			case b < 160:
				parts = append(parts, s.next())
			case b < 180: // lost
				s.next()
			case b < 190:
				s.interrupt(time.Second, string('a'+rune(b%3)))
			case b < 200:
				s.restart(time.Second)
			case b < 220:
				s.gop = 1 + int(b%20)
			case b < 240:
				s.part = 1 + uint32(b%20)*2000
			default:
				parts = append(parts, s.end())
				s.restart(time.Second)
			}
		}
		cfg := vodNames()
		cfg.InitURI = func(name string) string { return fmt.Sprintf("init-%s.mp4", name) }
		checkVOD(t, parts, NewVOD(parts, cfg))
	})
}
