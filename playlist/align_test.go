package playlist

import (
	"strings"
	"testing"
	"time"
)

// TestAlign: a track that begins after the main one's second discontinuity carries on its numbers, whether its own first
// chunk is a discontinuity or not, and a list that was seen is left alone.
func TestAlign(t *testing.T) {
	began := time.Date(2026, 9, 21, 9, 0, 0, 0, time.UTC)
	list := func(from int, breaks ...int) *Playlist {
		p, err := New(Config{PartTarget: 250 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		for i := from; i < from+200; i++ {
			part := Part{
				Epoch: 1, Seq: uint64(i - from), Timescale: 1000, DecodeTime: uint64(i) * 250, Duration: 250, Independent: true,
				Captured: began.Add(time.Duration(i) * 250 * time.Millisecond), Init: "init", Size: 1,
			}
			for _, b := range breaks {
				part.Discontinuity = part.Discontinuity || i == b
			}
			if err := p.Push(part, part.Captured); err != nil {
				t.Fatal(err)
			}
		}
		return p
	}
	for _, test := range []struct {
		name   string
		from   int
		breaks []int
		want   string
	}{
		{"from the start", 0, []int{40, 80, 120}, "0"},
		{"between the first and the second", 60, []int{81, 121}, "1"},
		{"after the second", 100, []int{121}, "2"},
		{"with the second", 82, []int{82, 121}, "2"},
		{"a little before the second", 78, []int{78, 121}, "2"},
	} {
		p := list(test.from, test.breaks...)
		p.Align(list(0, 40, 80, 120))
		if text := string(p.Render(false)); !strings.Contains(text, "#EXT-X-DISCONTINUITY-SEQUENCE:"+test.want+"\n") {
			t.Errorf("%s: not number %s:\n%.300s", test.name, test.want, text)
		}
	}
	seen := list(100)
	seen.Render(false)
	seen.Align(list(0, 40, 80))
	if text := string(seen.Render(false)); !strings.Contains(text, "#EXT-X-DISCONTINUITY-SEQUENCE:0\n") {
		t.Error("a list that was seen has other numbers now")
	}
}
