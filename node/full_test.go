package node

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"murmuration/node/archive"
	"murmuration/node/shim"
)

// smallDisk mounts a file system of so many bytes, where this user may.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no disk of %s can be mounted here (it takes root): %v %s", size, err, bytes.TrimSpace(out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Logf("umount: %v %s", err, out)
		}
	})
	return dir
}

// fill takes all the room that is left on the disk of a folder, until the returned function is called.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 4096); err == nil; {
		_, err = f.Write(b)
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			t.Error(err)
		}
	}
}

// TestDiskFull fills the disk in mid-talk, for longer than chunks stay in memory. The talk goes on for its viewer, the
// recording marks the gap, says so, and goes on when there is room; what is still in memory then is not lost.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t, "16m")
	var mu sync.Mutex
	var said []string
	cfg := OriginConfig{Config: local(t, "origin"), RTMP: "127.0.0.1:0"}
	cfg.Window = 6 * time.Second
	cfg.Recordings.Dir = filepath.Join(disk, "recordings")
	cfg.Tell = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, line)
	}
	o := newOrigin(t, cfg)
	run(t, o)
	viewer := ViewerConfig{Config: local(t, "viewer"), Link: o.Link()}
	viewer.Recordings.Off, viewer.Window = true, cfg.Window
	v, err := NewViewer(viewer)
	if err != nil {
		t.Fatal(err)
	}
	run(t, v)
	stop := feed(o)
	defer stop()
	s := until(t, v.PageURL(), "the talk", func(s shim.Status) bool { return live(s) != "" && seen(s) > 5 })
	id := live(s)

	free := fill(t, disk)
	until(t, o.PageURL(), "the full disk", func(s shim.Status) bool { return len(s.Recordings) == 1 && s.Recordings[0].Full })
	from := seen(v.status())
	ctx, cancel := context.WithTimeout(t.Context(), cfg.Window+6*time.Second)
	defer cancel()
	<-ctx.Done() // the outage itself
	s = v.status()
	if got := seen(s) - from; got < 30 || missed(s) > 0 {
		t.Errorf("while the disk was full, %d chunks came and %d were missed", got, missed(s))
	}
	free()
	until(t, o.PageURL(), "room", func(s shim.Status) bool { return !s.Recordings[0].Full })
	at := recorded(o.status())
	until(t, o.PageURL(), "more of the talk", func(s shim.Status) bool { return recorded(s) > at+2 })
	stop()
	b := o.broadcastByID(id)
	if err := o.end(b); err != nil {
		t.Fatal(err)
	}
	o.closing.Wait()
	rec, _ := b.recording()
	view, err := rec.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	track := view.Info.Tracks[0]
	if len(track.Gaps) != 1 || len(track.Recordings) != 1 || rec.Info().State != archive.Finished {
		t.Errorf("%s: gaps %+v, MP4s %+v", rec.Info().State, track.Gaps, track.Recordings)
	}
	for _, g := range track.Gaps {
		// What is in memory when there is room again is not lost.
		t.Logf("%d of %d chunks are lost", g.To-g.From+1, track.Chunks)
		if lost := g.To - g.From + 1; lost > 40 {
			t.Errorf("%d chunks are lost", lost)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	text := strings.Join(said, "\n")
	for _, want := range []string{"NOT RECORDING", "no room left", "again", "/ipfs/"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing was said of %q:\n%s", want, text)
		}
	}
}

// seen and missed return what the newest broadcast's track counts.
func seen(s shim.Status) uint64   { return trackChunks(s).Received }
func missed(s shim.Status) uint64 { return trackChunks(s).Missed }

func trackChunks(s shim.Status) shim.ChunksStatus {
	for _, b := range s.Broadcasts {
		if len(b.Tracks) > 0 {
			return b.Tracks[0].Chunks
		}
	}
	return shim.ChunksStatus{}
}
