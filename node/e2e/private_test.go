package e2e

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"murmuration/mesh"
	"murmuration/node/e2e/kubo"
)

// media matches what no ciphertext holds but by a chance of one in 2^64 at each byte: the heads of an init segment and of a
// chunk.
var media = regexp.MustCompile(`(?s)moof.{4}mfhd|moov.{4}mvhd`)

// privately has the origin open a private broadcast, and returns its id, its link with the key and where ffmpeg pushes it.
func (s *stage) privately(t testing.TB, title string) (id, link, to string) {
	t.Helper()
	out, said := output(t, 20*time.Second, murmur, "broadcast", "--dir", s.dir, "--json", "start", title, "--private")
	var b struct {
		ID, Link, RTMP, Key string
		Private             bool
	}
	if err := json.Unmarshal([]byte(out), &b); err != nil || !b.Private || !strings.Contains(b.Link, "&k=") || !strings.Contains(said, b.Link) {
		t.Fatalf("%v: %s\n%s", err, out, said)
	}
	return b.ID, b.Link, b.RTMP + "/" + b.Key
}

// pushTo starts ffmpeg pushing a clip in real time.
func pushTo(t testing.TB, clip, to string) *process {
	t.Helper()
	return start(t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "warning", "-re", "-i", clip, "-c", "copy", "-f", "flv", to)
}

// through returns a link that leads to a seed in place of the origin, with its key and without.
func through(t testing.TB, link, share string) (keyed, bare string) {
	t.Helper()
	l, err := mesh.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := mesh.ParseLink(share)
	if err != nil {
		t.Fatal(err)
	}
	l.Peers = seed.Peers
	return l.WithKey(), l.String()
}

func watcher(t testing.TB, name, link string) (viewer *process, page string) {
	t.Helper()
	viewer = start(t, name, murmur, "viewer", "-v", "--dir", t.TempDir(), "--no-mdns", "--no-open", "--http", "127.0.0.1:0", "--listen", loopback, link)
	return viewer, viewer.expect(t, 15*time.Second, `^page +(http://\S+)`)
}

// locked wants everything that a player could ask for of a broadcast to be refused with the reason.
func locked(t testing.TB, page, id string) {
	t.Helper()
	for _, path := range []string{"index.m3u8", "live.mp4", "main/index.m3u8"} {
		resp, err := http.Get(page + "b/" + id + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusForbidden || !strings.Contains(string(text), "needs the link with its key") {
			t.Errorf("%s: %s %q, %v", path, resp.Status, text, err)
		}
	}
}

// TestPrivate broadcasts a talk of ten seconds that only who has its link can watch. A seed without the key carries it and keeps
// it; who has the link has every frame, live and from the recording when the origin has gone; who has not has none.
func TestPrivate(t *testing.T) {
	t.Parallel()
	talk := talkClip(t, 10)
	pushed := readFrames(t, talk)
	daemon := kubo.Start(t, kubo.Config{})
	s := newStage(t)
	id, link, to := s.privately(t, "Board meeting")
	seedDir := t.TempDir()
	seed, share := archivist(t, seedDir, s.link)
	seedPage := seed.expect(t, time.Second, `^page +(http://\S+)`)
	keyed, bare := through(t, link, share)

	feed := pushTo(t, talk, to)
	s.expect(t, 20*time.Second, `^on air .*\(`+id+`\)`)
	viewer, page := watcher(t, "viewer", keyed)
	outsider, outside := watcher(t, "outsider", bare)
	passer, _ := watcher(t, "passer-by", s.link)
	viewer.expect(t, 20*time.Second, `first chunk`)
	// From the first chunk on, while it is live, up to ENDLIST.
	checkFrames(t, "live", readFrames(t, page+"b/"+id+"/index.m3u8", "-live_start_index", "0"), pushed)
	outsider.expect(t, 20*time.Second, `Board meeting.* is private: it needs the link with its key`)
	passer.expect(t, 20*time.Second, `Board meeting.* is on, and private: it needs the link with its key`)
	seed.expect(t, 20*time.Second, `Board meeting.* is private: it needs the link with its key`)
	locked(t, outside, id)
	locked(t, seedPage, id)
	feed.ends(t, time.Minute)
	root := s.root(t, id)
	keeps(t, seed, id, root)

	t.Run("opened", func(t *testing.T) {
		for name, at := range map[string]string{"origin": s.page, "viewer": page} {
			checkFrames(t, name, readFrames(t, at+"b/"+id+"/index.m3u8"), pushed)
		}
		file := filepath.Join(t.TempDir(), "out.mp4")
		recordings(t, s.dir, "export", id, file)
		checkFrames(t, "export by the origin's keyring", readFrames(t, file), pushed)
		if b, err := os.ReadFile(file); err != nil || !media.Match(b) {
			t.Errorf("%v: no media is found where it is", err)
		}
		recordings(t, seedDir, "export", id, file+".2.mp4", "--link", keyed)
		checkFrames(t, "export from the seed by the link", readFrames(t, file+".2.mp4"), pushed)
	})
	t.Run("sealed", func(t *testing.T) {
		car := filepath.Join(t.TempDir(), "out.car")
		recordings(t, seedDir, "export", id, car)
		files := []string{car}
		for _, dir := range []string{seedDir, s.dir} {
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					files = append(files, path)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		size := 0
		for _, path := range files {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			size += len(b)
			if media.Match(b) {
				t.Errorf("%s holds media", path)
			}
			for _, key := range []string{strings.SplitN(link, "&k=", 2)[1]} {
				if strings.Contains(string(b), key) && filepath.Base(path) != "private.keys" {
					t.Errorf("%s holds the key", path)
				}
			}
		}
		t.Logf("%d files with %d bytes are free of media", len(files), size)
		refused(t, 1, "needs the link with its key", seedDir, "export", id, filepath.Join(t.TempDir(), "no.mp4"))
		recordings(t, seedDir, "verify", id)
		copied := t.TempDir()
		recordings(t, copied, "import", car)
		file := filepath.Join(copied, "out.mp4")
		recordings(t, copied, "export", id, file, "--link", link)
		checkFrames(t, "export from an imported CAR by the link", readFrames(t, file), pushed)
		daemon.Connect(t, peerOf(t, share))
		daemon.Run(t, "pin", "add", "--progress=false", root)
		for _, file := range []string{"recording.sealed", "init.sealed"} {
			if out, err := exec.Command("ffprobe", "-v", "error", seedPage+"ipfs/"+root+"/"+file).CombinedOutput(); err == nil {
				t.Errorf("ffprobe finds media in %s: %s", file, out)
			}
		}
		for _, p := range []*process{s.process, seed, viewer, outsider, passer} {
			if strings.Contains(p.output(), "k="+strings.SplitN(link, "&k=", 2)[1]) {
				t.Errorf("%s says the key", p.name)
			}
		}
	})
	t.Run("page", func(t *testing.T) {
		b := openBrowser(t)
		if b.open(outside + "#/recording/" + id); b.showsRecordings() {
			b.until(20*time.Second, `window.murmur && window.murmur.state === 'locked'`)
		}
		if b.open(page + "#/recording/" + id); b.showsRecordings() {
			b.until(20*time.Second, `window.murmur && window.murmur.videoTime > 0`)
			b.plays(t, "the recording on a viewer's page", 10)
		}
	})
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the origin's end: %v", err)
	}
	for _, p := range []*process{viewer, outsider, passer} {
		p.stop(syscall.SIGTERM)
	}
	t.Run("replay", func(t *testing.T) {
		replay := func(link string) *process {
			return start(t, "replay", murmur, "replay", "-v", "--dir", t.TempDir(), "--dht", "off", "--no-mdns", "--no-open", "--http", "127.0.0.1:0", link)
		}
		r := replay(keyed)
		url := r.expect(t, 20*time.Second, `^players +(http://\S+)`)
		checkFrames(t, "replay from the seed", readFrames(t, url), pushed)
		r = replay(bare)
		r.expect(t, 20*time.Second, `^murmur: .*needs the link with its key`)
	})
}

// TestPrivateOriginKilled kills the origin of a private broadcast in the middle. The next one goes on with it under the same
// key, and the recording has what was pushed to both.
func TestPrivateOriginKilled(t *testing.T) {
	t.Parallel()
	talk := talkClip(t, 6)
	pushed := readFrames(t, talk)
	s := newStage(t)
	id, link, to := s.privately(t, "Board meeting")
	viewer, page := watcher(t, "viewer", link)
	feed := pushTo(t, talk, to)
	viewer.expect(t, 20*time.Second, `first chunk`)
	<-time.After(3 * time.Second) // of the talk
	s.stop(syscall.SIGKILL)
	feed.stop(syscall.SIGKILL)

	listen, _, _ := strings.Cut(strings.SplitN(link, "?p=", 2)[1], "/p2p/")
	again := start(t, "origin again", murmur, "origin", "-v", "--dir", s.dir, "--dht", "off", "--no-mdns", "--listen", listen, "--http", "127.0.0.1:0",
		"--rtmp", "127.0.0.1:0")
	server := again.expect(t, 15*time.Second, `^encoder +server (\S+)`)
	feed = pushTo(t, talk, server+to[strings.LastIndexByte(to, '/'):])
	feed.ends(t, time.Minute)
	again.expect(t, 20*time.Second, `^recording .*\(`+id+`\).* /ipfs/(\w+)$`)

	file := filepath.Join(t.TempDir(), "out.mp4")
	recordings(t, s.dir, "export", id, file, "--link", link)
	got := readFrames(t, file)
	first := len(got[0]) - len(pushed[0]) // pictures of the first run
	if first < 30 {
		t.Fatalf("%d pictures, %d were pushed to the second origin alone", len(got[0]), len(pushed[0]))
	}
	for i, f := range got[0] {
		if want := pushed[0][i%first]; i < first && f != want {
			t.Fatalf("picture %d of the first run is another", i)
		} else if i >= first && f != pushed[0][i-first] {
			t.Fatalf("picture %d of the second run is another", i-first)
		}
	}
	t.Logf("%d pictures of the first run, all %d of the second", first, len(pushed[0]))
	// The viewer, which knows the key by its link, has gone on too.
	eventually(t, 20*time.Second, "the viewer has the end", func() bool {
		for _, b := range statusAt(t, page).Broadcasts {
			if b.ID == id && b.State == "ended" {
				return true
			}
		}
		return false
	})
	if n := len(readFrames(t, page+"b/"+id+"/index.m3u8")[0]); n < len(pushed[0]) {
		t.Errorf("the viewer has %d pictures", n)
	}
}
