package chunker

import (
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

// stream3M is a feed of 3 Mbit/s: 30 pictures a second and sound at 128 kbit/s, a key frame every two seconds.
func stream3M(length time.Duration) feed {
	return feed{format: av(), rate: 30, gop: 60, size: 12_000, length: length}
}

// BenchmarkCut measures a stream of 3 Mbit/s through the Cutter: cut, boxed, hashed and signed.
// core%/stream is the part of a core that the stream takes in real time.
func BenchmarkCut(b *testing.B) {
	f := stream3M(10 * time.Second)
	units := f.units()
	var size int64
	for _, u := range units {
		for _, d := range u.Data {
			size += int64(len(d))
		}
	}
	b.SetBytes(size)
	b.ReportAllocs()
	chunks := 0
	for b.Loop() {
		chunks += len(cut(b, newCutter(b, nil), f.format, units))
	}
	perStream := b.Elapsed().Seconds() / float64(b.N) / f.length.Seconds()
	b.ReportMetric(100*perStream, "core%/stream")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(chunks), "µs/chunk")
}

// BenchmarkVerify measures what a viewer does with a chunk of that stream: decode the envelope, verify it, check each
// fragment as it comes and the whole block at the end.
func BenchmarkVerify(b *testing.B) {
	f := stream3M(10 * time.Second)
	chunks := cut(b, newCutter(b, nil), f.format, f.units())
	chunks = chunks[:len(chunks)-1]
	var size int64
	for _, c := range chunks {
		size += int64(len(c.Block))
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range chunks {
			e, err := envelope.Decode(c.Raw)
			if err != nil {
				b.Fatal(err)
			}
			if err := e.Verify(); err != nil {
				b.Fatal(err)
			}
			for i := range e.Fragments {
				lo, hi := e.FragmentRange(i)
				if err := e.CheckFragment(i, c.Block[lo:hi]); err != nil {
					b.Fatal(err)
				}
			}
			if err := e.CheckBlock(c.Block); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(100*b.Elapsed().Seconds()/float64(b.N)/f.length.Seconds(), "core%/stream")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(chunks)), "µs/chunk")
}
