package archive

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
)

// chunkLog is mesh.ChunkLog, which this package must not import.
type chunkLog interface {
	Range(from, to envelope.ID, count, size int) (chunks []envelope.Chunk, more bool)
	Latest(span time.Duration, count, size int) (chunks []envelope.Chunk, more bool)
	Init(cid.Cid) ([]byte, bool)
	Newest() (envelope.ID, bool)
}

// TestChunkLog holds a track to what mesh's test of the same name holds its window to.
func TestChunkLog(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
	src := newStream("talk", 2000)
	r := mustCreate(t, s, src.key)
	list := src.take(t, 40)
	src.restart()
	list = append(list, src.take(t, 20)...)
	hole := list[13]
	mustAppend(t, r, slices.Delete(slices.Clone(list), 13, 14)...)
	var log chunkLog = mustTrack(t, r, "main")

	ids := func(chunks []envelope.Chunk) (l []envelope.ID) {
		for _, c := range chunks {
			l = append(l, c.ID())
		}
		return l
	}
	all, more := log.Range(envelope.ID{}, envelope.ID{Epoch: 1 << 62}, 1000, 1<<30)
	if len(all) != 59 || more || slices.Contains(ids(all), hole.ID()) {
		t.Errorf("all: %d, %v", len(all), more)
	}
	for i, c := range all {
		if i > 0 && !all[i-1].ID().Less(c.ID()) {
			t.Error("not ascending")
		}
		if string(c.Init) != string(testInit) {
			t.Errorf("%v comes without its init segment", c.ID())
		}
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
	if got, _ := log.Latest(3*time.Second, 1000, 1<<30); len(got) != 12 || got[0].Seq != 8 {
		t.Errorf("last 3 s: %v", ids(got))
	}
	if got, _ := log.Latest(2*time.Hour, 1000, 1<<30); len(got) != 59 {
		t.Errorf("last hours: %d", len(got))
	}
	if got, more := log.Latest(3*time.Second, 5, 1<<30); len(got) != 5 || !more || got[0].Seq != 8 {
		t.Errorf("last 3 s, 5 of them: %v, %v", ids(got), more)
	}
	if id, ok := log.Newest(); !ok || id != list[59].ID() {
		t.Errorf("newest %v", id)
	}
	if _, ok := log.Init(list[0].Envelope.Block); ok {
		t.Error("an init segment that is none")
	}
	if _, ok := r.Track("other"); ok {
		t.Error("a track that is not there")
	}
	parts := mustTrack(t, r, "main").Parts(list[5].ID(), list[44].ID())
	if len(parts) != 39 || parts[3].Seq != 8 || !parts[3].Independent || parts[0].Size != 2000 || parts[0].Length() != chunkTime ||
		!parts[0].Captured.Equal(list[5].Captured) || parts[0].Init != list[5].Envelope.Init.String() {
		t.Errorf("%d parts: %+v", len(parts), parts[:1])
	}
	if some, more := mustTrack(t, r, "main").PartsUpTo(list[5].ID(), list[44].ID(), 7); len(some) != 7 || !more || some[6].Seq != parts[6].Seq {
		t.Errorf("%d of the parts, more %v", len(some), more)
	}
	if all, more := mustTrack(t, r, "main").PartsUpTo(list[5].ID(), list[44].ID(), 39); len(all) != 39 || more {
		t.Errorf("%d of the parts, more %v", len(all), more)
	}
	gaps := mustTrack(t, r, "main").Gaps()
	want := []Gap{gap(src.epoch-1, 13, 13), {From: envelope.ID{Epoch: src.epoch - 1, Seq: 40}, To: envelope.ID{Epoch: src.epoch - 1, Seq: envelope.MaxInteger}, Open: true}}
	if !slices.Equal(gaps, want) || r.Info().Missing != 1 {
		t.Errorf("gaps: %v", gaps)
	}
}

// TestIdle: what nobody uses is closed, with nothing left in memory, and opened again when it is asked for.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, Config{Dir: shm(t), Idle: time.Minute, open: newDisk().open})
		src := newStream("talk", 300)
		r := mustCreate(t, s, src.key)
		list := append(src.take(t, 50), src.end(t))
		mustAppend(t, r, list...)
		other := newStream("live", 300)
		live := mustCreate(t, s, other.key)
		mustAppend(t, live, other.next(t))
		time.Sleep(time.Hour)
		synctest.Wait()
		isOpen := func(r *Recording) bool {
			r.mu.RLock()
			defer r.mu.RUnlock()
			return r.f != nil || r.t != nil
		}
		if isOpen(r) || !isOpen(live) {
			t.Errorf("ended: open %v, live: open %v", isOpen(r), isOpen(live))
		}
		info := r.Info()
		if info.State != Partial || info.Duration != 50*chunkTime || info.Missing != 0 {
			t.Errorf("%+v", info)
		}
		if _, err := s.Get(t.Context(), list[7].Envelope.Block); err != nil {
			t.Error(err)
		}
		sameChunks(t, r, list)
		if _, err := r.Finish(t.Context(), nil); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if isOpen(r) {
			t.Error("still open")
		}
		sameChunks(t, r, list)
		s.Close()
	})
}

// TestTogether appends, reads, verifies, finishes and lists at once, for the race detector.
func TestTogether(t *testing.T) {
	s := mustOpen(t, Config{Dir: shm(t), Sync: 5 * time.Millisecond, Idle: time.Millisecond, open: newDisk().open})
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		src := newStream(name, 1000)
		list := append(src.take(t, 150), src.end(t))
		r := mustCreate(t, s, src.key)
		for half := range 2 {
			wg.Go(func() {
				for i := half; i < len(list); i += 2 {
					if _, err := r.Append(list[i]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			for i := range 100 {
				if tr, ok := r.Track("main"); ok {
					tr.Latest(time.Second, 10, 1<<20)
					tr.Gaps()
				}
				if b, err := s.Get(t.Context(), list[i].Envelope.Block); err == nil && envelope.RawCID(b) != list[i].Envelope.Block {
					t.Error("a wrong block")
				}
				s.List()
				s.Usage()
			}
		})
		wg.Go(func() {
			if _, err := r.Verify(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
		defer func() {
			if _, err := r.Finish(t.Context(), testSign); err != nil {
				t.Error(err)
			}
			sameChunks(t, r, list)
			if rep, err := r.Verify(t.Context(), nil); err != nil || !rep.OK() || rep.Missing != 0 {
				t.Errorf("%+v, %v", rep, err)
			}
		}()
	}
	wg.Wait()
}

// TestExportMP4 only looks that the right chunks come; unixfs tests what is made of them.
func TestExportMP4(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir(), open: newDisk().open})
	src := newStream("talk", 300)
	r := mustCreate(t, s, src.key)
	var buf countingWriter
	if err := r.ExportMP4(t.Context(), &buf, "", nil, 0, 0, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing: %v", err)
	}
	mustAppend(t, r, src.take(t, 80)...)
	var done, total int64
	if err := r.ExportMP4(t.Context(), &buf, "de", nil, 0, 0, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("a track that it does not have: %v", err)
	}
	if err := r.ExportMP4(t.Context(), &buf, "", nil, 4*time.Second, 8*time.Second, func(d, n int64) { done, total = d, n }); err != nil {
		t.Fatal(err)
	}
	if want := int64(len(testInit) + 16*300); done != total || total != want {
		t.Errorf("%d of %d bytes, not %d", done, total, want)
	}
}

type countingWriter int64

func (w *countingWriter) Write(b []byte) (int, error) {
	*w += countingWriter(len(b))
	return len(b), nil
}
