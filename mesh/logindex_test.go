package mesh

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
)

// goodIndex is an index with everything in it: formats that change, holes, an epoch, an end mark.
func goodIndex(n int) []IndexEntry {
	var entries []IndexEntry
	e := IndexEntry{Epoch: 1_790_000_000, Timescale: 90000, Duration: 22500, Flags: envelope.Independent, Captured: noon, Init: envelope.RawCID(testInit)}
	for i := range n {
		e.Size = uint32(80_000 + i*7919%30_000)
		entries = append(entries, e)
		e.Seq++
		e.DecodeTime += uint64(e.Duration)
		e.Captured = e.Captured.Add(chunkTime + time.Duration(i%7)*time.Millisecond)
		e.Flags = 0
		if i%8 == 7 {
			e.Flags = envelope.Independent
		}
		switch i % 97 {
		case 40:
			e.Seq += 3
		case 60:
			e.Init, e.Flags = envelope.RawCID([]byte{byte(i), byte(i >> 8)}), envelope.Discontinuity|envelope.Independent
		case 80:
			e.Epoch, e.Seq, e.DecodeTime, e.Timescale, e.Duration = e.Epoch+50, 0, 0, 48000, 12288
		}
	}
	last := &entries[n-1]
	last.Flags, last.Size, last.Init = envelope.End, 0, cid.Undef
	return entries
}

func pagesOf(entries []IndexEntry) (pages [][]byte) {
	for len(entries) > 0 {
		page, n := appendPage(nil, entries)
		pages = append(pages, page)
		entries = entries[n:]
	}
	return pages
}

func TestIndexPages(t *testing.T) {
	for _, n := range []int{1, 2, 500, 4000} {
		want := goodIndex(n)
		var got []IndexEntry
		size := 0
		for _, page := range pagesOf(want) {
			entries, err := parsePage(page)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) > maxPage || len(entries) > maxPageCount {
				t.Errorf("page of %d entries, %d bytes", len(entries), len(page))
			}
			got = append(got, entries...)
			size += len(page)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d entries came back as others", n)
		}
		t.Logf("%d entries: %.1f bytes each", n, float64(size)/float64(n))
	}
	page, _ := appendPage(nil, goodIndex(200))
	for i := range page {
		if _, err := parsePage(page[:i]); !errors.Is(err, ErrLogWire) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	for name, b := range map[string][]byte{
		"trailing": append(slices.Clone(page), 0),
		"count":    {0xff, 0xff, 0x03, 0},
		"none":     {0, 0},
		"huge":     make([]byte, maxPage+1),
		"long way": {0x81, 0x00, 0},
	} {
		if _, err := parsePage(b); !errors.Is(err, ErrLogWire) {
			t.Errorf("%s: %v", name, err)
		}
	}
	back := goodIndex(3)
	back[1], back[2] = back[2], back[1]
	if b, _ := appendPage(nil, back); !errors.Is(second(parsePage(b)), ErrLogWire) {
		t.Error("a descending index was taken")
	}
}

func second[A any](_ A, err error) error { return err }

func FuzzIndexPage(f *testing.F) {
	for _, n := range []int{1, 5, 200} {
		page, _ := appendPage(nil, goodIndex(n))
		f.Add(page)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parsePage(b)
		if err != nil {
			if !errors.Is(err, ErrLogWire) {
				t.Fatal(err)
			}
			return
		}
		again, n := appendPage(nil, entries)
		if n == len(entries) && !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

// archive is a log that goes back to the start; liar changes what it says of itself.
type archive struct {
	*Window
	liar func(*IndexEntry)
}

func (a archive) Index(from, to envelope.ID, count int) ([]IndexEntry, bool) {
	entries, more := a.Window.Index(from, to, count)
	if a.liar != nil {
		for i := range entries {
			a.liar(&entries[i])
		}
	}
	return entries, more
}

func newArchive(chunks []envelope.Chunk) archive {
	w := newWindow(24*time.Hour, 1<<30)
	for _, c := range chunks {
		w.add(c, true, c.Captured)
	}
	return archive{Window: w}
}

// TestHistory: a newcomer learns what was from those who have it, fetches from several at once, and holds to account who
// said what was not so.
func TestHistory(t *testing.T) {
	inVirtualTime(t, 30*time.Millisecond, func(t *testing.T, w *internet) {
		s := newStream(time.Now().Add(-20 * time.Minute))
		s.size = 20_000
		chunks := s.take(t, 4*60*20)
		last := chunks[len(chunks)-1].ID()
		whole := newArchive(chunks)
		var seeds []*Node
		for i := range 4 {
			n := w.node(Config{Role: Seed}, 100, 100)
			var log ChunkLog = whole
			switch i {
			case 2: // has the last minute only
				log = newArchive(chunks[len(chunks)-240:])
			case 3: // makes longer what was long ago
				log = archive{whole.Window, func(e *IndexEntry) {
					if e.Seq < 1000 {
						e.Duration++
					}
				}}
			}
			mustJoin(t, n, JoinConfig{Publish: true, Log: log})
			seeds = append(seeds, n)
		}
		viewer := w.node(Config{}, 20, 100)
		vt := mustJoin(t, viewer, JoinConfig{Backlog: -1})
		w.connect(viewer, seeds...)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()

		begin := time.Now()
		index, err := vt.FetchIndex(ctx, envelope.ID{}, last)
		if err != nil || len(index) != len(chunks) {
			t.Fatalf("%d entries of %d, %v", len(index), len(chunks), err)
		}
		t.Logf("index of %d chunks after %v", len(index), time.Since(begin))
		if d := time.Since(begin); d > 700*time.Millisecond {
			t.Errorf("the index took %v", d)
		}
		for _, span := range [][2]int{{0, 7}, {80, 87}, {1200, 1799}} {
			begin := time.Now()
			got, err := vt.FetchChunks(ctx, chunks[span[0]].ID(), chunks[span[1]].ID())
			if err != nil {
				t.Fatalf("%v: %v", span, err)
			}
			for i, c := range got {
				if c.ID() != chunks[span[0]+i].ID() || !bytes.Equal(c.Block, chunks[span[0]+i].Block) {
					t.Fatalf("%v: chunk %v at %d", span, c.ID(), i)
				}
			}
			t.Logf("%d chunks after %v", len(got), time.Since(begin))
			if d := time.Since(begin); len(got) == 8 && d > runBudget {
				t.Errorf("a segment took %v", d)
			}
		}
		if init, err := vt.FetchInit(ctx, index[0].Init); err != nil || !bytes.Equal(init, testInit) {
			t.Errorf("init: %v", err)
		}
		if len(vt.told.holders(chunks[0].ID(), last)) == 0 {
			t.Error("nobody is known to have it")
		}
		liar := seeds[3].ID()
		if score := viewer.gate.score(liar); vt.told.size > 0 && vt.told.holders(chunks[0].ID(), last)[liar] || score > -offenceForged/2 {
			t.Errorf("the liar's score is %v", score)
		}
		for _, n := range seeds[:3] {
			if score := viewer.gate.score(n.ID()); score < 0 {
				t.Errorf("an honest peer's score is %v", score)
			}
		}
		if _, err := vt.FetchChunks(ctx, last, envelope.ID{Epoch: last.Epoch, Seq: last.Seq + 3}); !errors.Is(err, ErrNotServed) {
			t.Errorf("chunks that nobody has: %v", err)
		}
		if _, err := vt.FetchChunks(ctx, last, chunks[0].ID()); !errors.Is(err, ErrRange) {
			t.Errorf("backwards: %v", err)
		}
		if all, err := viewer.FetchRange(ctx, seeds[2].ID(), testTrack, chunks[0].ID(), last); err != nil || len(all) != 240 {
			t.Errorf("range: %d chunks, %v", len(all), err)
		}
	})
}

// TestIndexOfOldPeer: a peer of the version without indexes is not asked what it would take for an offence.
func TestIndexOfOldPeer(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, w *internet) {
		s := newStream(time.Now().Add(-time.Minute))
		chunks := s.take(t, 100)
		old := w.node(Config{Role: Seed}, 100, 100)
		old.host.RemoveStreamHandler(IndexProtocol)
		mustJoin(t, old, JoinConfig{Publish: true, Log: newArchive(chunks)})
		viewer := w.node(Config{}, 20, 100)
		vt := mustJoin(t, viewer, JoinConfig{Backlog: -1})
		w.connect(viewer, old)
		time.Sleep(time.Second)
		if _, err := vt.FetchIndex(t.Context(), envelope.ID{}, s.id()); !errors.Is(err, ErrNotServed) {
			t.Error(err)
		}
		if got, err := vt.FetchChunks(t.Context(), chunks[3].ID(), chunks[20].ID()); err != nil || len(got) != 18 {
			t.Errorf("%d chunks, %v", len(got), err)
		}
		if score := old.gate.score(viewer.ID()); score < 0 {
			t.Errorf("the viewer's score at the old peer is %v", score)
		}
	})
}

func (s *stream) id() envelope.ID { return envelope.ID{Epoch: s.epoch, Seq: s.seq} }

// TestFalseIndexOfWindow: what contradicts the chunks that are here is thrown away at once.
func TestFalseIndexOfWindow(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, w *internet) {
		s := newStream(time.Now().Add(-10 * time.Second))
		chunks := s.take(t, 40)
		liar := w.node(Config{Role: Seed}, 100, 100)
		mustJoin(t, liar, JoinConfig{Publish: true, Log: archive{newArchive(chunks).Window, func(e *IndexEntry) { e.Size++ }}})
		viewer := w.node(Config{}, 20, 100)
		vt := mustJoin(t, viewer, JoinConfig{Backlog: -1})
		for _, c := range chunks[20:] {
			vt.accept(c, byGap)
		}
		w.connect(viewer, liar)
		time.Sleep(time.Second)
		index, err := vt.FetchIndex(t.Context(), envelope.ID{}, s.id())
		if err != nil || len(index) != 20 || viewer.gate.score(liar.ID()) > -offenceForged/2 {
			t.Errorf("%d entries, %v, score %v", len(index), err, viewer.gate.score(liar.ID()))
		}
	})
}
