package e2e

import (
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"murmuration/playlist"
)

// How soon the start of a broadcast plays for who goes back to it.
const (
	promisedLocal   = time.Second     // from this machine's disk
	promisedFetched = 2 * time.Second // from peers
)

// TestRewind follows a broadcast of half a minute: a seed keeps it from the start, a viewer that comes when most of it is over
// goes back to the start, which nobody has in memory any more, and has the whole of it when it ends. Then the origin goes; a
// second seed gets the recording from the first, and a replay by its link plays from both.
func TestRewind(t *testing.T) {
	t.Parallel()
	talk := clip(t)
	pushed := readFrames(t, talk)
	s := newStage(t, "--window", "6s")
	seedDir := t.TempDir()
	seed, share := archivist(t, seedDir, s.link, "--window", "6s", "--keep", "all", "--disk", "1G")
	feed, id := s.push(t, talk, 1)
	seed.expect(t, 20*time.Second, `first chunk`)
	<-time.After(20 * time.Second) // what is before the viewer's time

	v := start(t, "viewer", murmur, "viewer", "-v", "--dir", t.TempDir(), "--no-mdns", "--no-open", "--window", "6s", "--http", "127.0.0.1:0",
		"--listen", loopback, joinLinks(t, []string{s.link, share}))
	page := v.expect(t, 15*time.Second, `^page +(http://\S+)`)
	v.expect(t, 20*time.Second, `first chunk`)
	atOrigin, atViewer := s.page+"b/"+id+"/index.m3u8", page+"b/"+id+"/index.m3u8"
	m, took := fetchFirst(t, atViewer)
	promise(t, "start of the broadcast, fetched from peers", took, promisedFetched)
	checkFromStart(t, m)
	m, took = fetchFirst(t, atOrigin)
	promise(t, "start of the broadcast, from the origin's disk", took, promisedLocal)
	checkFromStart(t, m)
	b := openBrowser(t)
	b.rewind(t, page)

	listOrigin, _ := mediaPlaylist(t, atOrigin)
	listViewer, m := mediaPlaylist(t, atViewer)
	if m.End {
		t.Fatal("the broadcast was over before the viewer had gone back: this machine is too slow for a test of half a minute")
	}
	overOrigin, overViewer := whenOver(t, listOrigin), whenOver(t, listViewer)
	end := feed.ends(t, time.Minute)
	soon(t, "ENDLIST at the origin", end, overOrigin(), promisedEnd)
	soon(t, "ENDLIST at a viewer", end, overViewer(), promisedEnd)
	root := s.root(t, id)
	knows := eventually(t, 10*time.Second, "the viewer knows the root", func() bool {
		for _, r := range statusAt(t, page).Recordings {
			if r.Broadcast == id && r.Root == root {
				return true
			}
		}
		return false
	})
	soon(t, "root at a viewer", end, knows, promisedEnd)
	keeps(t, seed, id, root)

	t.Run("VOD", func(t *testing.T) {
		for name, at := range map[string]string{"origin": atOrigin, "viewer": atViewer} {
			_, m := mediaPlaylist(t, at)
			checkFromStart(t, m)
			var length time.Duration
			for _, s := range m.Segments {
				length += s.Duration
			}
			if !m.End || length < 29*time.Second || length > 31*time.Second {
				t.Errorf("%s: a list of %v, over: %v", name, length, m.End)
			}
			checkFrames(t, "VOD at the "+name, readFrames(t, at), pushed)
		}
		file := filepath.Join(t.TempDir(), "out.mp4")
		recordings(t, seedDir, "export", id, file)
		checkFrames(t, "export beside the running seed", readFrames(t, file), pushed)
	})
	for _, p := range []*process{v, s.process} {
		if err := p.stop(syscall.SIGTERM); err != nil {
			t.Errorf("%s's end: %v", p.name, err)
		}
	}
	t.Run("orphaned", func(t *testing.T) { checkOrphaned(t, share, id, root, seed, seedDir, pushed) })
}

// checkOrphaned lets a second seed and a replay have a recording whose origin has gone, from the seed that has it.
func checkOrphaned(t *testing.T, share, id, root string, first *process, firstDir string, pushed frames) {
	dir := t.TempDir()
	began := time.Now()
	second, other := archivist(t, dir, share)
	keeps(t, second, id, root)
	t.Logf("the second seed has it %d ms after its start", time.Since(began).Milliseconds())

	link := joinLinks(t, []string{share, other})
	base, peers, _ := strings.Cut(link, "?")
	began = time.Now()
	r := start(t, "replay", murmur, "replay", "-v", "--dir", t.TempDir(), "--dht", "off", "--no-mdns", "--no-open", "--http", "127.0.0.1:0",
		base+"/"+id+"?"+peers)
	url := r.expect(t, 30*time.Second, `^players +(http://\S+)`)
	fetchFirst(t, url)
	soon(t, "first segment of a replay by link", began, time.Now(), promisedFetched)
	if !strings.Contains(url, root) {
		t.Errorf("the replay plays %s, not %s", url, root)
	}
	checkFrames(t, "replay from two seeds", readFrames(t, url), pushed)

	for p, dir := range map[*process]string{first: firstDir, second: dir} {
		if err := p.stop(syscall.SIGTERM); err != nil {
			t.Errorf("the seed's end: %v", err)
		}
		if text := recordings(t, dir, "verify"); !strings.Contains(text, ": ok\n") {
			t.Errorf("verify of a seed's recordings:\n%s", text)
		}
		if list := listRecordings(t, dir); len(list) != 1 || list[0].Root != root || list[0].State != "finished" {
			t.Errorf("a seed lists %+v", list)
		}
		checkOverhead(t, dir)
	}
}

// keeps waits for a seed's word that it has a recording whole, with this root.
func keeps(t testing.TB, seed *process, id, root string) {
	t.Helper()
	if got := seed.expect(t, 45*time.Second, `\(`+id+`\) is kept here: /ipfs/(\w+)$`); got != root {
		t.Errorf("the seed keeps %s under the root %s, not %s", id, got, root)
	}
}

// promise logs what something took, and judges the test where that was far more than promised.
func promise(t testing.TB, what string, took, promised time.Duration) {
	t.Helper()
	now := time.Now()
	soon(t, what, now, now.Add(took), promised)
}

// checkFromStart wants a list to begin with the first chunk of the broadcast.
func checkFromStart(t testing.TB, m *playlist.Media) {
	t.Helper()
	uri := m.Segments[0].URI
	if _, first, _, ok := playlist.ParseSegmentURI(path.Base(uri)); !ok || first != 0 || m.MediaSequence != 0 {
		t.Errorf("the list begins with %s, number %d, not with the first chunk", uri, m.MediaSequence)
	}
}

// checkOverhead wants a folder of recordings to take no more than 1.02 of the media in it.
func checkOverhead(t testing.TB, dir string) {
	t.Helper()
	for _, r := range listRecordings(t, dir) {
		if over := float64(r.Bytes) / float64(r.Media); over > 1.02 {
			t.Errorf("%s takes %.3f of its media", r.Broadcast, over)
		}
	}
}

// rewind opens a participant's page while its broadcast is on, and goes back to the start by the key for that.
func (b *browser) rewind(t testing.TB, page string) {
	t.Helper()
	b.open(page)
	if !b.showsRecordings() {
		t.Log("the page does not go back: it is the plain one")
		return
	}
	b.until(20*time.Second, `window.murmur && window.murmur.videoTime > 0 && window.murmur.latency() < 6`)
	eval[bool](b, `(() => {
		const v = document.querySelector('video'), start = v.seekable.start(0), from = performance.now();
		window.back = {from: v.currentTime, start, length: v.seekable.end(0) - start, took: 0};
		document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Home', bubbles: true}));
		const look = () => {
			if (!v.seeking && v.currentTime > start + 0.05 && v.currentTime < start + 5) window.back.took = performance.now() - from;
			else requestAnimationFrame(look);
		};
		look();
		return true;
	})()`)
	b.until(20*time.Second, `window.back.took > 0 || document.querySelector('video').error`)
	text := eval[string](b, `JSON.stringify(window.back)`)
	var back struct{ From, Start, Length, Took float64 }
	if err := json.Unmarshal([]byte(text), &back); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	t.Logf("Chromium went back from %.1f s to %.1f s of %.1f s", back.From, back.Start, back.Length)
	if back.Length < 18 || back.Took == 0 {
		t.Errorf("the player did not go back to the start: %s", text)
		return
	}
	promise(t, "picture at the start, on a viewer's page in Chromium", time.Duration(back.Took*float64(time.Millisecond)), promisedFetched)
}

// TestDiskLimit gives a seed room for two talks and a half. Of three, the oldest goes that is not pinned; what is pinned
// stays, across a restart, too.
func TestDiskLimit(t *testing.T) {
	t.Parallel()
	talk := talkClip(t, 4)
	s := newStage(t)
	dir := t.TempDir()
	seed, _ := archivist(t, dir, s.link)
	first, root := s.broadcast(t, talk)
	keeps(t, seed, first, root)
	if err := seed.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the seed's end: %v", err)
	}
	recordings(t, dir, "pin", first)
	limit := fmt.Sprint(listRecordings(t, dir)[0].Bytes * 5 / 2)

	seed, _ = archivist(t, dir, s.link, "--disk", limit)
	second, root := s.broadcast(t, talk)
	keeps(t, seed, second, root)
	if seed.count(`^deleted`) > 0 {
		t.Errorf("two talks fit, and yet the seed deleted one:\n%s", seed.output())
	}
	third, root := s.broadcast(t, talk)
	keeps(t, seed, third, root)
	if n := seed.count(`msg=joined`); n != 2 {
		t.Errorf("of two talks the seed was there live at %d", n)
	}
	seed.expect(t, 20*time.Second, `^deleted +recording `+second+`: the disk limit is reached`)
	want := func(when string) {
		t.Helper()
		list := listRecordings(t, dir)
		if len(list) != 2 || list[0].Broadcast != third || list[1].Broadcast != first || !list[1].Pinned ||
			list[0].State != "finished" || list[1].State != "finished" {
			t.Errorf("%s, the seed keeps %+v, not the third talk and the pinned first", when, list)
		}
	}
	want("over the limit")
	if err := seed.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the seed's end: %v", err)
	}
	seed, _ = archivist(t, dir, s.link, "--disk", limit)
	page := seed.expect(t, time.Second, `^page +(http://\S+)`)
	eventually(t, 20*time.Second, "the seed has heard of all three talks", func() bool { return len(statusAt(t, page).Recordings) == 3 })
	<-time.After(2 * time.Second) // it would now fetch what it lacks
	want("after a restart")
	if seed.count(`is kept here`) > 0 {
		t.Errorf("after a restart the seed fetches what does not fit")
	}
	seed.stop(syscall.SIGTERM)
	if text := recordings(t, dir, "verify"); strings.Count(text, ": ok\n") != 2 {
		t.Errorf("verify:\n%s", text)
	}
}
