package shim

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

// bench is one broadcast of 3 Mbit/s: 94 kB chunks, four a second.
type bench struct {
	*Server
	b  *Broadcast
	o  *origin
	at sync.Map // part's path -> time it was pushed
}

func newBench(tb testing.TB) *bench {
	s := onLoopback(tb, Config{})
	b, err := s.Open(BroadcastInfo{ID: "talk"})
	if err != nil {
		tb.Fatal(err)
	}
	if err := b.AddTrack(TrackInfo{Name: "main"}, nil); err != nil {
		tb.Fatal(err)
	}
	o := newOrigin("talk")
	o.size = 93_750 - 30
	x := &bench{Server: s, b: b, o: o}
	began := time.Now().Add(-5 * time.Second)
	for i := range 20 {
		x.push(tb, began.Add(time.Duration(i)*250*time.Millisecond))
	}
	return x
}

func (x *bench) push(tb testing.TB, captured time.Time) {
	c := x.o.chunk(captured)
	x.at.Store(c.Seq, time.Now())
	if err := x.b.Push("main", c); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkBlockingClients has LL-HLS clients of one shim, over loopback, do what hls.js does for every part: a blocking
// reload, then the part it lists. It reports how long after a part was pushed the clients have it whole, and what the
// process uses, clients included: they are part of it, but are written to do as little as they can.
func BenchmarkBlockingClients(b *testing.B) {
	for _, clients := range []int{1, 100, 500} {
		b.Run(fmt.Sprintf("%d-clients", clients), func(b *testing.B) { benchClients(b, clients) })
	}
}

func benchClients(b *testing.B, clients int) {
	x := newBench(b)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var mu sync.Mutex
	var delays []time.Duration
	var failed atomic.Int64
	var wg sync.WaitGroup
	start := int(x.o.seq)
	for range clients {
		wg.Go(func() {
			err := follow(ctx, x, start, func(d time.Duration) {
				mu.Lock()
				delays = append(delays, d)
				mu.Unlock()
			})
			if err != nil && ctx.Err() == nil {
				failed.Add(1)
				b.Error(err)
			}
		})
	}
	for x.metricsWaiting() < clients && failed.Load() == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	parts := 0
	cpu, began := used(), time.Now()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	b.ResetTimer()
	for range max(b.N, 20) { // 5 s at least
		<-tick.C
		x.push(b, time.Now().Add(-250*time.Millisecond))
		parts++
	}
	for { // until the last part has reached everybody
		mu.Lock()
		n := len(delays)
		mu.Unlock()
		if n >= parts*clients || time.Since(began) > time.Duration(parts)*250*time.Millisecond+5*time.Second {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.StopTimer()
	took := time.Since(began)
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	b.ReportMetric((used()-cpu).Seconds()/took.Seconds()*100, "%core")
	b.ReportMetric(float64(mem.Sys-mem.HeapReleased)/1e6, "MB")
	b.ReportMetric(0, "ns/op")
	cancel()
	wg.Wait()
	slices.Sort(delays)
	if len(delays) == 0 {
		b.Fatal("nothing delivered")
	}
	ms := func(p int) float64 { return float64(delays[(len(delays)-1)*p/100]) / 1e6 }
	b.ReportMetric(ms(50), "p50-ms")
	b.ReportMetric(ms(99), "p99-ms")
	b.ReportMetric(100*(1-float64(len(delays))/float64(parts*clients)), "%lost")
}

// follow is a client that does as little as it can: one connection, requests by hand, bodies thrown away.
func follow(ctx context.Context, x *bench, seq int, got func(time.Duration)) error {
	conn, err := net.Dial("tcp", x.Addr().String())
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() { _ = conn.Close() }()
	in := bufio.NewReaderSize(conn, 8<<10)
	ask := func(path string) (string, error) {
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
			return "", err
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return "", err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return "", fmt.Errorf("%s: %s", path, res.Status)
		}
		if strings.Contains(path, ".m3u8") {
			text, err := io.ReadAll(res.Body)
			return string(text), err
		}
		_, err = io.Copy(io.Discard, res.Body)
		return "", err
	}
	for ; ctx.Err() == nil; seq++ {
		// Segments have eight parts.
		text, err := ask(fmt.Sprintf("/b/talk/main/index.m3u8?_HLS_msn=%d&_HLS_part=%d", seq/8, seq%8))
		if err != nil {
			return err
		}
		part := fmt.Sprintf("p-7-%d.m4s", seq)
		if !strings.Contains(text, part) {
			return fmt.Errorf("%s is not listed", part)
		}
		if _, err := ask("/b/talk/main/" + part); err != nil {
			return err
		}
		if at, ok := x.at.Load(uint64(seq)); ok {
			got(time.Since(at.(time.Time)))
		}
	}
	return nil
}

// used is the CPU time this process has used.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPush is what a chunk costs a shim that nobody asks for anything.
func BenchmarkPush(b *testing.B) {
	x := newBench(b)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	chunks := make([]envelope.Chunk, 0, 256)
	at := time.Now()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%256 == 0 {
			b.StopTimer()
			chunks = chunks[:0]
			for range 256 {
				c := x.o.chunk(at)
				at = at.Add(250 * time.Millisecond)
				if err := c.Sign(key); err != nil {
					b.Fatal(err)
				}
				chunks = append(chunks, c)
			}
			b.StartTimer()
		}
		if err := x.b.Push("main", chunks[i%256]); err != nil {
			b.Fatal(err)
		}
	}
}
