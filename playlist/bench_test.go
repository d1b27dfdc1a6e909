package playlist

import (
	"fmt"
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

func BenchmarkPush(b *testing.B) {
	p, s := mustNew(Config{}), newStream()
	b.ReportAllocs()
	for b.Loop() {
		feed(p, s.next())
	}
}
