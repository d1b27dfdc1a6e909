package playlist

import (
	"fmt"
	"time"
)

var start = time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)

// stream makes the parts that an origin would.
type stream struct {
	epoch, seq uint64
	scale      uint32
	part       uint32 // ticks
	gop        int    // parts from one independent part to the next
	dt         uint64
	at         time.Time // capture time
	init       string
	since      int
	cut        bool // the next part is a discontinuity
}

func newStream() *stream {
	return &stream{epoch: 100, scale: 90000, part: 22500, gop: 8, at: start, init: "a"}
}

func (s *stream) next() Part {
	p := Part{
		Epoch: s.epoch, Seq: s.seq, Timescale: s.scale, DecodeTime: s.dt, Duration: s.part,
		Independent: s.since%s.gop == 0, Discontinuity: s.cut, Captured: s.at, Init: s.init, Size: 1000 + int(s.seq%7)*100,
	}
	s.seq++
	s.since++
	s.dt += uint64(s.part)
	s.at = s.at.Add(ticks(uint64(s.part), s.scale))
	s.cut = false
	return p
}

func (s *stream) take(n int) []Part {
	parts := make([]Part, n)
	for i := range parts {
		parts[i] = s.next()
	}
	return parts
}

// interrupt is what a publisher's return looks like: another timeline, perhaps another format.
func (s *stream) interrupt(pause time.Duration, init string) {
	s.dt += 1 << 33
	s.at = s.at.Add(pause)
	s.init = init
	s.cut, s.since = true, 0
}

// restart is what an origin's restart without its state looks like.
func (s *stream) restart(pause time.Duration) {
	s.epoch += 50
	s.seq, s.dt, s.since = 0, 0, 0
	s.at = s.at.Add(pause)
}

func (s *stream) end() Part {
	return Part{Epoch: s.epoch, Seq: s.seq, Timescale: s.scale, DecodeTime: s.dt, End: true, Captured: s.at, Init: s.init}
}

// feed pushes parts as they complete, one part's length after their capture.
func feed(p *Playlist, parts ...Part) time.Time {
	var now time.Time
	for _, part := range parts {
		now = part.Captured.Add(part.Length())
		if err := p.Push(part, now); err != nil {
			panic(fmt.Sprint(part, err))
		}
	}
	return now
}

func mustNew(cfg Config) *Playlist {
	if cfg.PartTarget == 0 {
		cfg.PartTarget = 250 * time.Millisecond
	}
	p, err := New(cfg)
	if err != nil {
		panic(err)
	}
	return p
}
