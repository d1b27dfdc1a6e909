package playlist

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

func BenchmarkRender(b *testing.B) {
	for _, window := range []time.Duration{time.Minute, 2 * time.Hour} {
		b.Run(fmt.Sprint(window), func(b *testing.B) {
			p, s := mustNew(Config{Window: window}), newStream()
			feed(p, s.take(int(window/(250*time.Millisecond))+20)...)
			b.ReportAllocs()
			var n int
			for b.Loop() {
				n = len(p.Render(false))
			}
			b.ReportMetric(float64(n), "bytes/list")
		})
	}
}

// BenchmarkUpdate is what a part costs a list of four hours that is asked for after each: whole, or by delta updates.
func BenchmarkUpdate(b *testing.B) {
	for _, skip := range []bool{false, true} {
		b.Run(map[bool]string{false: "whole", true: "delta"}[skip], func(b *testing.B) {
			p, s := mustNew(Config{Window: 12 * time.Hour}), newStream()
			feed(p, s.take(4*3600*4)...)
			p.Text(skip)
			b.ReportAllocs()
			var n int
			for b.Loop() {
				feed(p, s.next())
				t := p.Text(skip)
				n = len(t.Head) + len(t.Body) + len(t.Tail)
			}
			b.ReportMetric(float64(n), "bytes/list")
		})
	}
}

// BenchmarkHistory is what it costs to put four hours in front of a list, and what they take in memory.
func BenchmarkHistory(b *testing.B) {
	s := newStream()
	parts := s.take(4 * 3600 * 4)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var p *Playlist
	b.ReportAllocs()
	for b.Loop() {
		p = mustNew(Config{Window: 12 * time.Hour})
		feed(p, parts[len(parts)-40:]...)
		if err := p.Backfill(parts, s.at); err != nil {
			b.Fatal(err)
		}
	}
	p.Text(false)
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc)-float64(before.HeapAlloc), "bytes-held")
	runtime.KeepAlive(p)
	runtime.KeepAlive(parts)
}

func BenchmarkPush(b *testing.B) {
	p, s := mustNew(Config{}), newStream()
	b.ReportAllocs()
	for b.Loop() {
		feed(p, s.next())
	}
}
