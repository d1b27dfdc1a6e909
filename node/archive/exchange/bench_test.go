package exchange

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/node/archive/internal/fixture"
	"murmuration/node/e2e/kubo"
)

// fetchAll fetches everything under root level by level and writes it to a file, as an archive does.
func fetchAll(b testing.TB, s *Session, root cid.Cid, path string) int {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	total := 0
	seen := cid.NewSet()
	seen.Add(root)
	for level := []cid.Cid{root}; len(level) > 0; {
		ch, err := s.Blocks(ctx, level)
		if err != nil {
			b.Fatal(err)
		}
		var next []cid.Cid
		n := 0
		for block := range ch {
			n++
			total += len(block.RawData())
			if _, err := out.Write(block.RawData()); err != nil {
				b.Fatal(err)
			}
			if block.Cid().Prefix().Codec != cid.DagProtobuf {
				continue
			}
			node, err := merkledag.DecodeProtobuf(block.RawData())
			if err != nil {
				b.Fatal(err)
			}
			for _, l := range node.Links() {
				if seen.Visit(l.Cid) {
					next = append(next, l.Cid)
				}
			}
		}
		if n != len(level) {
			b.Fatalf("%d of %d blocks", n, len(level))
		}
		level = next
	}
	if err := out.Flush(); err != nil {
		b.Fatal(err)
	}
	return total
}

// BenchmarkFetch fetches a recording of 100 MB in chunks of 94 kB over loopback: a session of ours and a kubo daemon in
// turn, from one and from five nodes of ours, in the same run. Both write what they get to disk. The nodes that serve
// share the machine's processors with the one that fetches.
func BenchmarkFetch(b *testing.B) {
	const chunks, size = 1064, 94_000
	rec := fixture.New(90, chunks, size)
	for _, n := range []int{1, 5} {
		b.Run(map[int]string{1: "from1", 5: "from5"}[n], func(b *testing.B) {
			var servers []peer.AddrInfo
			for range n {
				servers = append(servers, info(newExchange(b, Config{Blocks: rec.Blocks}).cfg.Host))
			}
			var ours, theirs time.Duration
			bytes := 0
			for range b.N {
				client := newExchange(b, Config{})
				var ids []peer.ID
				for _, s := range servers {
					if err := client.cfg.Host.Connect(b.Context(), s); err != nil {
						b.Fatal(err)
					}
					ids = append(ids, s.ID)
				}
				start := time.Now()
				session := client.Session(b.Context(), ids...)
				bytes = fetchAll(b, session, rec.Root, filepath.Join(b.TempDir(), "got"))
				ours += time.Since(start)
				session.Close()
				client.Close()
				client.cfg.Host.Close()

				daemon := kubo.Start(b, kubo.Config{})
				for _, s := range servers {
					daemon.Connect(b, s)
				}
				start = time.Now()
				daemon.Run(b, "pin", "add", "--progress=false", rec.Root.String())
				theirs += time.Since(start)
				daemon.Stop()
			}
			perSecond := func(d time.Duration) float64 { return float64(bytes) * float64(b.N) / 1e6 / d.Seconds() }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(perSecond(ours), "ours-MB/s")
			b.ReportMetric(perSecond(theirs), "kubo-MB/s")
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ours/kubo")
		})
	}
}

// A session that fetches a whole recording gets it as it is.
func TestWholeRecording(t *testing.T) {
	rec := fixture.New(91, 400, 3000)
	server, client := newExchange(t, Config{Blocks: rec.Blocks}), newExchange(t, Config{})
	know(client.cfg.Host, server.cfg.Host)
	path := filepath.Join(t.TempDir(), "got")
	if got := fetchAll(t, client.Session(t.Context(), server.cfg.Host.ID()), rec.Root, path); got == 0 {
		t.Fatal("nothing")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range rec.Leaves {
		if !bytes.Contains(data, rec.Blocks[c]) {
			t.Fatalf("%s is missing", c)
		}
	}
}
