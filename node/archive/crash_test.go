package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// disk stands between the store and the file system: it knows what was forced to disk, and can be full.
type disk struct {
	mu     sync.Mutex
	synced map[string]int64 // size of each file when it was last forced to disk
	syncs  int
	room   int64 // bytes that may still be written; negative: no limit
	fail   error // of every Sync
}

func newDisk() *disk { return &disk{synced: map[string]int64{}, room: -1} }

func (d *disk) open(name string, flag int) (file, error) {
	f, err := openFile(name, flag)
	if err != nil {
		return nil, err
	}
	return &diskFile{file: f, d: d, name: name}, nil
}

type diskFile struct {
	file
	d    *disk
	name string
}

func (f *diskFile) Sync() error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.syncs++
	if f.d.fail != nil {
		return f.d.fail
	}
	f.d.synced[f.name] = info.Size()
	return nil
}

func (f *diskFile) WriteAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.room < 0 {
		return f.file.WriteAt(b, off)
	}
	n := min(int64(len(b)), f.d.room)
	f.d.room -= n
	if _, err := f.file.WriteAt(b[:n], off); err != nil {
		return 0, err
	}
	if n < int64(len(b)) {
		return int(n), &os.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	return int(n), nil
}

// shm is a folder in memory where there is one: these tests open hundreds of stores.
func shm(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "archive")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// copyStore makes a store with one recording's files in it, the CAR as given.
func copyStore(t *testing.T, from *Store, k Key, car []byte) string {
	t.Helper()
	dir := shm(t)
	base := filepath.Join(dir, channelName(k.Channel))
	if err := os.Mkdir(base, 0o700); err != nil {
		t.Fatal(err)
	}
	state, err := os.ReadFile(from.base(k) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, k.Broadcast+".json"), state, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, k.Broadcast+".car"), car, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTornTail cuts the file at every byte of its last sections: what was whole is there, and recording goes on.
func TestTornTail(t *testing.T) {
	s := mustOpen(t, Config{Dir: shm(t)})
	src := newStream("talk", 150)
	src.init = []byte("short")
	r := mustCreate(t, s, src.key)
	list := src.take(t, 9) // the ninth is independent
	ends := make([]int, len(list))
	for i, c := range list {
		mustAppend(t, r, c)
		ends[i] = int(r.end)
	}
	whole, err := os.ReadFile(r.base + ".car")
	if err != nil {
		t.Fatal(err)
	}
	for cut := ends[len(ends)-3]; cut <= len(whole); cut++ {
		there := 0
		for there < len(ends) && ends[there] <= cut {
			there++
		}
		again := mustOpen(t, Config{Dir: copyStore(t, s, src.key, whole[:cut]), open: newDisk().open})
		r, err := again.Create(src.key, Meta{})
		if err != nil {
			t.Fatal(err)
		}
		sameChunks(t, r, list[:there])
		mustAppend(t, r, list[there:]...)
		sameChunks(t, r, list)
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for cut := range sectionsStart + 1 {
		again := mustOpen(t, Config{Dir: copyStore(t, s, src.key, whole[:cut]), open: newDisk().open})
		r, err := again.Create(src.key, Meta{})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		mustAppend(t, r, list...)
		again.Close()
		if got, err := os.ReadFile(r.base + ".car"); err != nil || !bytes.Equal(got, whole) {
			t.Fatalf("cut at %d: another file, %v", cut, err)
		}
	}
}

// TestPowerCut records in virtual time, and again and again takes the disk as it may be after a power cut: what was
// forced to disk, then a torn, zeroed or mixed-up rest. Nothing older than Config.Sync is lost.
func TestPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s := mustOpen(t, Config{Dir: shm(t), Sync: time.Second, open: d.open})
		src := newStream("talk", 2000)
		r := mustCreate(t, s, src.key)
		random := rand.New(rand.NewPCG(5, 6))
		list := src.take(t, 60)
		var ends []int64
		for i, c := range list {
			mustAppend(t, r, c)
			ends = append(ends, r.end)
			time.Sleep(chunkTime)
			synctest.Wait()
			d.mu.Lock()
			synced := d.synced[r.base+".car"]
			d.mu.Unlock()
			safe := 0
			for safe < len(ends) && ends[safe] <= synced {
				safe++
			}
			if lag := i + 1 - safe; lag > 4 { // a chunk that was appended more than a second ago
				t.Fatalf("%d chunks are not forced to disk yet", lag)
			}
			b, err := os.ReadFile(r.base + ".car")
			if err != nil {
				t.Fatal(err)
			}
			rest := b[synced:]
			switch random.IntN(4) {
			case 0:
				b = b[:int(synced)+random.IntN(len(rest)+1)]
			case 1:
				clear(rest[random.IntN(len(rest)+1):])
			case 2:
				for i := range rest {
					if random.IntN(50) == 0 {
						rest[i] ^= byte(1 + random.IntN(255))
					}
				}
			case 3:
				if len(rest) > 4096 { // a page that was not written, others that were
					clear(rest[:4096])
				}
			}
			again := mustOpen(t, Config{Dir: copyStore(t, s, src.key, b), open: newDisk().open})
			re, err := again.Create(src.key, Meta{})
			if err != nil {
				t.Fatal(err)
			}
			if safe > 0 {
				tr := mustTrack(t, re, "main")
				for _, c := range list[:safe] {
					if got, ok := tr.Chunk(c.ID()); !ok || !sameChunk(got, c) {
						t.Fatalf("chunk %v was forced to disk and is lost", c.ID())
					}
				}
			}
			for _, c := range list[:i+1] {
				if _, err := re.Append(c); err != nil {
					t.Fatal(err)
				}
			}
			sameChunks(t, re, list[:i+1])
			again.Close()
		}
		s.Close()
	})
}

// TestSyncsAreGrouped: one forced write a second, whatever is appended.
func TestSyncsAreGrouped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s := mustOpen(t, Config{Dir: shm(t), open: d.open})
		src := newStream("talk", 500)
		r := mustCreate(t, s, src.key)
		before := d.syncs
		for _, c := range src.take(t, 400) {
			mustAppend(t, r, c)
			time.Sleep(25 * time.Millisecond)
		}
		synctest.Wait()
		if n := d.syncs - before; n < 8 || n > 10 {
			t.Errorf("%d syncs in 10 s", n)
		}
		s.Close()
	})
}

func TestDiskFull(t *testing.T) {
	d := newDisk()
	s := mustOpen(t, Config{Dir: t.TempDir(), open: d.open})
	src := newStream("talk", 5000)
	r := mustCreate(t, s, src.key)
	list := src.take(t, 30)
	mustAppend(t, r, list[:10]...)
	before, _ := fileSize(r.f)
	changed := s.Changed()
	for i, c := range list[10:20] {
		d.mu.Lock()
		d.room = int64(i * 600) // up to nearly all of a chunk
		d.mu.Unlock()
		if added, err := r.Append(c); added || !errors.Is(err, ErrFull) {
			t.Fatalf("chunk %v: %v, %v", c.ID(), added, err)
		}
		if size, _ := fileSize(r.f); size != before {
			t.Fatalf("%d bytes instead of %d", size, before)
		}
	}
	<-changed
	if info := r.Info(); !info.Full || info.Missing != 10 {
		t.Errorf("while full: %+v", info)
	}
	want := gap(src.epoch, 10, 19)
	if g := mustTrack(t, r, "main").Gaps(); len(g) != 1 || g[0] != want {
		t.Errorf("gaps while full: %v", g)
	}
	d.mu.Lock()
	d.room = -1
	d.mu.Unlock()
	mustAppend(t, r, list[20:]...)
	if info := r.Info(); info.Full || info.Missing != 10 {
		t.Errorf("with room again: %+v", info)
	}
	if g := mustTrack(t, r, "main").Gaps(); len(g) != 1 || g[0] != want {
		t.Errorf("gaps: %v", g)
	}
	mustAppend(t, r, list[10:20]...) // from others
	sameChunks(t, r, list)
	d.mu.Lock()
	d.room = 0
	d.mu.Unlock()
	if _, err := r.Finish(t.Context(), nil); !errors.Is(err, ErrFull) {
		t.Errorf("finished on a full disk: %v", err)
	}
	d.mu.Lock()
	d.room = 1 << 15
	d.mu.Unlock()
	for room := int64(0); ; room += 500 { // wherever it fails, it can be done again
		d.mu.Lock()
		d.room = room
		d.mu.Unlock()
		_, err := r.Finish(t.Context(), nil)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrFull) || room > 1<<20 {
			t.Fatal(err)
		}
	}
	sameChunks(t, r, list)
	if rep, err := r.Verify(t.Context(), nil); err != nil || !rep.OK() {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestRealDiskFull does the same on a real file system of 1 MiB, where the tests may mount one.
func TestRealDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("cannot mount: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := mustOpen(t, Config{Dir: filepath.Join(dir, "recordings")})
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 500<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	src := newStream("talk", 94_000)
	r := mustCreate(t, s, src.key)
	list := src.take(t, 9)
	kept := 0
	for _, c := range list[:8] {
		added, err := r.Append(c)
		if added {
			kept++
		} else if !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	}
	if kept < 3 || kept > 5 {
		t.Errorf("%d chunks kept", kept)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, r, list[8])
	if info := r.Info(); info.Missing != 8-kept || info.Full {
		t.Errorf("%+v", info)
	}
	mustAppend(t, r, list[kept:8]...)
	sameChunks(t, r, list)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Config{Dir: filepath.Join(dir, "recordings")})
	r, _ = s.Lookup(src.key)
	sameChunks(t, r, list)
	if _, err := r.Finish(context.Background(), testSign); err != nil {
		t.Error(err)
	}
	s.Close()
}

// TestDamage flips bytes anywhere in the file: what is damaged is missing, never served, and heals.
func TestDamage(t *testing.T) {
	s := mustOpen(t, Config{Dir: shm(t)})
	src := newStream("talk", 700)
	r := mustCreate(t, s, src.key)
	list := append(src.take(t, 30), src.end(t))
	mustAppend(t, r, list...)
	root, err := r.Finish(t.Context(), testSign)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(r.base + ".car")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			b := bytes.Clone(whole)
			for range 1 + random.IntN(4) {
				b[random.IntN(len(b))] ^= byte(1 + random.IntN(255))
			}
			s := mustOpen(t, Config{Dir: copyStore(t, s, src.key, b), open: newDisk().open})
			r, ok := s.Lookup(src.key)
			if !ok {
				t.Fatal("no recording")
			}
			check := func() (there int) {
				for _, c := range list {
					if got, err := s.Get(t.Context(), c.Envelope.Block); err == nil && !bytes.Equal(got, c.Block) {
						t.Fatalf("a damaged block of %v was served", c.ID())
					}
					tr, ok := r.Track("main")
					if !ok {
						continue
					}
					if got, ok := tr.Chunk(c.ID()); ok {
						if there++; !sameChunk(got, c) {
							t.Fatalf("a damaged chunk %v was served", c.ID())
						}
					}
				}
				return there
			}
			if random.IntN(2) == 0 {
				check() // from the index
			}
			rep, err := r.Verify(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			check()
			for _, c := range list {
				if _, err := r.Append(c); err != nil && !errors.Is(err, ErrFinished) {
					t.Fatal(err)
				}
			}
			if there := check(); there < len(list)-1 {
				t.Errorf("%d of %d chunks after healing: %+v", there, len(list), rep)
			}
			if r.Info().Root != root {
				t.Errorf("root %v", r.Info().Root)
			}
			s.Close()
		})
	}
}

// FuzzScan: whatever the file, the scanner ends, and gives sections whose hash it looked at or that frame others.
func FuzzScan(f *testing.F) {
	b := fileHead(noRoot)
	for i := range 4 {
		block := bytes.Repeat([]byte{byte(i)}, 40+i)
		b = appendSection(b, codecRaw, sha(block), block)
		b = appendSection(b, codecCBOR, sha(block[1:]), block[1:])
	}
	f.Add(b, 0)
	f.Add(b[:len(b)-3], 150)
	f.Add(b[:sectionsStart], 1<<20)
	f.Fuzz(func(t *testing.T, b []byte, verifyFrom int) {
		if len(b) > 1<<16 {
			return
		}
		last := int64(0)
		good, damaged, err := scan(bytes.NewReader(b), min(sectionsStart, int64(len(b))), int64(len(b)), int64(verifyFrom), func(s section, block []byte) error {
			if s.off < last || s.end() > int64(len(b)) {
				t.Fatalf("section %+v after %d", s, last)
			}
			last = s.end()
			if block != nil && sha(block) != s.digest {
				t.Fatal("a damaged block")
			}
			if block == nil && (s.codec == codecCBOR || s.off >= int64(verifyFrom)) {
				t.Fatal("a block that was not looked at")
			}
			return nil
		})
		if err != nil || good > int64(len(b)) || damaged < 0 || last > 0 && good != last {
			t.Fatalf("%d, %d, %v", good, damaged, err)
		}
	})
}
