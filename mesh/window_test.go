package mesh

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"murmuration/chunker/envelope"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestWindowBounds(t *testing.T) {
	s := newStream(noon)
	list := s.take(t, 400)
	rand.New(rand.NewPCG(3, 4)).Shuffle(20, func(i, j int) { list[i], list[j] = list[j], list[i] })
	w := newWindow(10*time.Second, 1<<20)
	for i, c := range list {
		if _, r, first := w.add(c, true, noon); r != added || !first {
			t.Fatalf("chunk %d: %v, %v", i, r, first)
		}
		if _, r, first := w.add(c, true, noon); r != known || first {
			t.Fatalf("chunk %d again: %v, %v", i, r, first)
		}
	}
	if n, _ := w.Size(); n != 41 { // 10 s back from the newest, both ends included
		t.Errorf("%d chunks", n)
	}
	for _, c := range list[:350] {
		if _, r, _ := w.add(c, true, noon); r != staleItem {
			t.Fatalf("chunk %v came in again: %v", c.ID(), r)
		}
	}
	oldest, _ := w.Oldest()
	newest, _ := w.Newest()
	if oldest != list[359].ID() || newest != list[399].ID() {
		t.Errorf("from %v to %v", oldest, newest)
	}
	if c, ok := w.Chunk(newest); !ok || c.Init == nil {
		t.Error("the newest chunk comes without its init segment")
	}
	if init, ok := w.Init(list[0].Envelope.Init); !ok || string(init) != string(testInit) {
		t.Error("no init segment")
	}

	small := newWindow(time.Hour, 20_000)
	for _, c := range list[20:] {
		small.add(c, true, noon)
	}
	if n, size := small.Size(); size > 20_000 || n < 5 {
		t.Errorf("%d chunks of %d bytes", n, size)
	}
	// The books balance: all of it goes when one far newer chunk comes.
	s.seq += 100_000
	last := s.next(t)
	small.add(last, true, noon.Add(time.Hour))
	if n, size := small.Size(); n != 1 || size != len(last.Raw)+len(last.Block)+len(last.Init) {
		t.Errorf("%d chunks of %d bytes", n, size)
	}
}

func TestWindowAcrossEpochsWithAClockSetBack(t *testing.T) {
	w := newWindow(10*time.Second, 1<<20)
	s := newStream(noon)
	for _, c := range s.take(t, 20) {
		w.add(c, true, noon)
	}
	s2 := newStream(noon.Add(-time.Hour))
	s2.epoch++
	for i, c := range s2.take(t, 200) {
		if _, r, _ := w.add(c, true, noon.Add(time.Duration(i)*chunkTime)); r != added {
			t.Fatalf("chunk %d: %v", i, r)
		}
	}
	if oldest, _ := w.Oldest(); oldest.Epoch != s2.epoch {
		t.Errorf("the old epoch is still there: %v", oldest)
	}
}

func TestWindowConflict(t *testing.T) {
	w := newWindow(time.Minute, 1<<20)
	a, b := newStream(noon), newStream(noon)
	b.size++
	w.add(a.next(t), true, noon)
	if _, r, _ := w.add(b.next(t), true, noon); r != conflict {
		t.Error(r)
	}
}

// TestChunkLogs holds Window to what ChunkLog says; an archive will go through the same.
func TestChunkLogs(t *testing.T) {
	for name, fill := range map[string]func([]envelope.Chunk) ChunkLog{
		"window": func(list []envelope.Chunk) ChunkLog {
			w := newWindow(time.Hour, 1<<30)
			for _, c := range list {
				w.add(c, true, noon)
			}
			return w
		},
	} {
		t.Run(name, func(t *testing.T) { testChunkLog(t, fill) })
	}
}

func testChunkLog(t *testing.T, fill func([]envelope.Chunk) ChunkLog) {
	s := newStream(noon)
	list := s.take(t, 40)
	s.epoch++
	s.seq, s.start, s.previous = 0, noon.Add(time.Minute), nil
	list = append(list, s.take(t, 20)...)
	hole := list[13]
	log := fill(slices.Delete(slices.Clone(list), 13, 14))

	ids := func(chunks []envelope.Chunk) (l []envelope.ID) {
		for _, c := range chunks {
			l = append(l, c.ID())
		}
		return l
	}
	all, more := log.Range(envelope.ID{}, envelope.ID{Epoch: 1 << 62}, 1000, 1<<30)
	if len(all) != 59 || more || !slices.IsSortedFunc(ids(all), compareIDs) || slices.Contains(ids(all), hole.ID()) {
		t.Errorf("all: %d, %v", len(all), more)
	}
	some, more := log.Range(list[10].ID(), list[15].ID(), 1000, 1<<30)
	if len(some) != 5 || more || some[0].ID() != list[10].ID() || some[4].ID() != list[15].ID() {
		t.Errorf("some: %v, %v", ids(some), more)
	}
	if got, more := log.Range(list[10].ID(), list[15].ID(), 2, 1<<30); len(got) != 2 || !more {
		t.Errorf("by count: %v, %v", ids(got), more)
	}
	if got, more := log.Range(list[10].ID(), list[15].ID(), 100, 1); len(got) != 1 || !more {
		t.Errorf("by size: %v, %v", ids(got), more)
	}
	if got, more := log.Range(hole.ID(), hole.ID(), 100, 1<<20); len(got) != 0 || more {
		t.Errorf("nothing: %v, %v", ids(got), more)
	}
	// 20 chunks in the new epoch, independent ones at 0, 8, 16: 3 s back (12 chunks) is between 0 and 8.
	if got, _ := log.Latest(3*time.Second, 1000, 1<<30); len(got) != 12 || got[0].Seq != 8 {
		t.Errorf("last 3 s: %v", ids(got))
	}
	if got, _ := log.Latest(time.Hour, 1000, 1<<30); len(got) != 59 {
		t.Errorf("last hour: %d", len(got))
	}
	if got, more := log.Latest(3*time.Second, 5, 1<<30); len(got) != 5 || !more || got[0].Seq != 8 {
		t.Errorf("last 3 s, 5 of them: %v, %v", ids(got), more)
	}
	if id, ok := log.Newest(); !ok || id != list[59].ID() {
		t.Errorf("newest %v", id)
	}
	if init, ok := log.Init(list[0].Envelope.Init); !ok || len(init) != len(testInit) {
		t.Error("no init segment")
	}
	if _, ok := log.Init(list[0].Envelope.Block); ok {
		t.Error("an init segment that is none")
	}
	for _, c := range all {
		if carriesInit(c.Envelope) && c.Init == nil {
			t.Errorf("%v comes without its init segment", c.ID())
		}
	}
	if empty := fill(nil); true {
		if _, ok := empty.Newest(); ok {
			t.Error("an empty log has a newest chunk")
		}
		if got, more := empty.Latest(time.Hour, 10, 10); len(got) != 0 || more {
			t.Error("an empty log has chunks")
		}
	}
}

func TestWindowConcurrency(t *testing.T) {
	w := newWindow(5*time.Second, 1<<20)
	list := newStream(noon).take(t, 200)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				if id, ok := w.Newest(); ok {
					w.Chunk(id)
				}
				w.Latest(time.Second, 10, 1<<20)
			}
		})
	}
	for _, c := range list {
		w.add(c, true, noon)
	}
	wg.Wait()
}
