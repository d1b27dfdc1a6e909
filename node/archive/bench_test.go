package archive

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
)

// cpu returns the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// forge makes chunks fast: one signed envelope whose seq, block and times are changed without signing again. The store
// takes what its caller has verified.
type forge struct {
	c     envelope.Chunk
	block []byte
}

func newForge(b testing.TB, broadcast string, size int) *forge {
	src := newStream(broadcast, size)
	src.seq = 1 << 10
	c := src.next(b)
	return &forge{c: c, block: c.Block}
}

func (f *forge) next(seq uint64) envelope.Chunk {
	e := *f.c.Envelope
	e.Seq, e.DecodeTime, e.Captured = seq, seq*22500, noon.Add(time.Duration(seq)*chunkTime)
	e.Flags = 0
	c := envelope.Chunk{Envelope: &e, Block: f.block}
	if seq%8 == 0 {
		e.Flags, c.Init = envelope.Independent, testInit
	}
	for i := range 8 {
		f.block[i] = byte(seq >> (8 * i)) // another block
	}
	e.Block = envelope.RawCID(f.block)
	c.Raw = e.Encode()
	return c
}

// BenchmarkAppend100 appends one second of 100 broadcasts of 3 Mbit/s an iteration, and reports what share of one core
// that takes, hashing and encoding by the benchmark itself not counted.
func BenchmarkAppend100(b *testing.B) {
	s := mustOpen(b, Config{Dir: b.TempDir()})
	var recs []*Recording
	var forges []*forge
	for i := range 100 {
		f := newForge(b, fmt.Sprintf("talk-%d", i), 94_000)
		r := mustCreate(b, s, Key{f.c.Channel, f.c.Broadcast})
		recs, forges = append(recs, r), append(forges, f)
	}
	var spent, took time.Duration
	seq := uint64(0)
	b.ResetTimer()
	for range b.N {
		for range 4 {
			for i, f := range forges {
				c := f.next(seq)
				at, begin := cpu(), time.Now()
				if _, err := recs[i].Append(c); err != nil {
					b.Fatal(err)
				}
				took += time.Since(begin)
				spent += cpu() - at
			}
			seq++
		}
	}
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(spent.Seconds()/n*100, "%core")
	b.ReportMetric(took.Seconds()/n*1000, "ms-append/s")
	at, begin := cpu(), time.Now()
	s.syncAll()
	b.ReportMetric(float64(time.Since(begin).Milliseconds()), "ms-sync")
	b.ReportMetric(float64((cpu() - at).Milliseconds()), "ms-cpu-sync")
}

func heapBytes() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// hours4 is 4 h of a track in chunks of 250 ms.
const hours4 = 57_600

// BenchmarkMemory4h records 4 h of one track (small chunks, so that the disk is not what is measured) and reports the heap
// that the recording takes after 1 h and after 4 h, by how much the fourth hour's end is above the first's, and what it
// costs to tell of it, to close it, and to load it again.
func BenchmarkMemory4h(b *testing.B) {
	for range b.N {
		s := mustOpen(b, Config{Dir: b.TempDir(), open: newDisk().open})
		f := newForge(b, "talk", 2000)
		r := mustCreate(b, s, Key{f.c.Channel, f.c.Broadcast})
		before := heapBytes()
		var hour float64
		for seq := range uint64(hours4) {
			if _, err := r.Append(f.next(seq)); err != nil {
				b.Fatal(err)
			}
			if seq == hours4/4 {
				hour = heapBytes() - before
			}
		}
		all := heapBytes() - before
		b.ReportMetric(hour, "B-1h")
		b.ReportMetric(all, "B-4h")
		b.ReportMetric(all-hour, "B-growth")
		at := cpu()
		r.Info()
		b.ReportMetric(float64((cpu() - at).Microseconds()), "µs-cpu-info")
		if _, err := r.Finish(b.Context(), testSign); err != nil {
			b.Fatal(err)
		}
		s.sealing.Wait()
		r.mu.Lock()
		if err := r.unload(); err != nil {
			b.Fatal(err)
		}
		r.mu.Unlock()
		b.ReportMetric(heapBytes()-before, "B-closed")
		at = cpu()
		mustTrack(b, r, "main")
		b.ReportMetric((cpu()-at).Seconds()*1000, "ms-cpu-load")
		s.Close()
	}
}

// BenchmarkFinish4h reports what finishing takes, of 4 h and of a quarter of an hour, and what of the history the local face
// and the page must be told then: the list of all chunks.
func BenchmarkFinish4h(b *testing.B) {
	for name, chunks := range map[string]uint64{"4h": hours4, "15min": hours4 / 16} {
		b.Run(name, func(b *testing.B) {
			var finish, parts time.Duration
			for range b.N {
				s := mustOpen(b, Config{Dir: b.TempDir(), open: newDisk().open})
				f := newForge(b, "talk", 2000)
				r := mustCreate(b, s, Key{f.c.Channel, f.c.Broadcast})
				for seq := range chunks {
					if _, err := r.Append(f.next(seq)); err != nil {
						b.Fatal(err)
					}
				}
				at := cpu()
				list := mustTrack(b, r, "main").Parts(envelope.ID{}, lastID)
				parts += cpu() - at
				if uint64(len(list)) != chunks {
					b.Fatal(len(list))
				}
				runtime.GC()
				at = cpu()
				if _, err := r.Finish(b.Context(), testSign); err != nil {
					b.Fatal(err)
				}
				finish += cpu() - at // the sealing behind it is under way by now, and counts as far as it is
				s.Close()
			}
			b.ReportMetric(finish.Seconds()*1000/float64(b.N), "ms-cpu-finish")
			b.ReportMetric(parts.Seconds()*1000/float64(b.N), "ms-cpu-parts")
		})
	}
}

// BenchmarkVerify reports how fast a recording is verified, in MB/s, its envelopes' signatures included.
func BenchmarkVerify(b *testing.B) {
	s := mustOpen(b, Config{Dir: b.TempDir()})
	src := newStream("talk", 94_000)
	r := mustCreate(b, s, src.key)
	mustAppend(b, r, src.take(b, 1000)...)
	if _, err := r.Finish(b.Context(), testSign); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(r.Info().Size)
	for b.Loop() {
		if rep, err := r.Verify(b.Context(), nil); err != nil || !rep.OK() {
			b.Fatal(rep, err)
		}
	}
}

// BenchmarkExport reports how fast a recording leaves as a CAR.
func BenchmarkExport(b *testing.B) {
	s := mustOpen(b, Config{Dir: b.TempDir()})
	src := newStream("talk", 94_000)
	r := mustCreate(b, s, src.key)
	mustAppend(b, r, src.take(b, 1000)...)
	if _, err := r.Finish(b.Context(), testSign); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(r.Info().Size)
	for b.Loop() {
		if err := r.ExportCAR(b.Context(), io.Discard, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkThousand asks a store of 1,000 recordings (of 400 blocks) for blocks that it has and that it does not have.
func BenchmarkThousand(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "x")
	s := mustOpen(b, Config{Dir: dir, open: newDisk().open})
	var have, none []cid.Cid
	for i := range 1000 {
		f := newForge(b, fmt.Sprintf("talk-%d", i), 100)
		r := mustCreate(b, s, Key{f.c.Channel, f.c.Broadcast})
		for seq := range uint64(100) {
			c := f.next(seq + uint64(i)<<20)
			if _, err := r.Append(c); err != nil {
				b.Fatal(err)
			}
			if seq == 50 {
				have = append(have, c.Envelope.Block)
			}
		}
		if _, err := r.Finish(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
		none = append(none, envelope.RawCID([]byte(fmt.Sprint(i))))
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	s = mustOpen(b, Config{Dir: dir})
	open := time.Since(begin)
	for name, list := range map[string][]cid.Cid{"has": have, "has-not": none} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if has, err := s.Has(b.Context(), list[i*37%1000]); err != nil || has != (name == "has") {
					b.Fatal(has, err)
				}
			}
			b.ReportMetric(float64(open.Milliseconds()), "ms-open")
		})
	}
}
