package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/node/e2e/kubo"
)

// promisedEnd is how soon after the end of the feed ENDLIST and the root of the recording are there.
const promisedEnd = time.Second

// TestRecording broadcasts a talk of ten seconds. Its recording has every frame that was pushed, the moment it is over; an
// IPFS node that is not ours pins it, gives files of it and plays it; and when the origin has gone, a replay plays it from
// that node alone.
func TestRecording(t *testing.T) {
	t.Parallel()
	talk := talkClip(t, 10)
	pushed := readFrames(t, talk)
	daemon := kubo.Start(t, kubo.Config{})
	s := newStage(t)

	feed, id := s.push(t, talk, 1)
	playlist := s.page + "b/" + id + "/main/index.m3u8"
	over := whenOver(t, playlist)
	end := feed.ends(t, time.Minute)
	root := s.root(t, id)
	soon(t, "root after the end", end, time.Now(), promisedEnd)
	soon(t, "ENDLIST after the end", end, over(), promisedEnd)

	t.Run("frames", func(t *testing.T) {
		checkFrames(t, "the broadcast's playlist", readFrames(t, s.page+"b/"+id+"/index.m3u8"), pushed)
		for _, file := range []string{"recording.mp4", "index.m3u8"} {
			checkFrames(t, "gateway, "+file, readFrames(t, s.page+"ipfs/"+root+"/"+file), pushed)
		}
		file := filepath.Join(t.TempDir(), "out.mp4")
		recordings(t, s.dir, "export", id, file)
		checkFrames(t, "export", readFrames(t, file), pushed)
	})
	t.Run("kubo", func(t *testing.T) {
		daemon.Connect(t, s.info(t))
		began := time.Now()
		daemon.Run(t, "pin", "add", "--progress=false", root)
		t.Logf("kubo pinned it in %d ms", time.Since(began).Milliseconds())
		folder := filepath.Join(t.TempDir(), "got")
		daemon.Run(t, "get", "-o", folder, root)
		for _, file := range []string{"recording.mp4", "index.m3u8"} {
			checkProbed(t, filepath.Join(folder, file), pushed)
			checkFrames(t, "ipfs get, "+file, readFrames(t, filepath.Join(folder, file)), pushed)
		}
		checkInfo(t, filepath.Join(folder, "info.json"), s.link, id)
		b := openBrowser(t)
		b.open(daemon.Gateway + "/ipfs/" + root + "/recording.mp4")
		b.plays(t, "recording.mp4 from kubo's gateway", 10)
	})
	if t.Failed() {
		return
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the origin's end: %v", err)
	}
	t.Run("replay", func(t *testing.T) { replayFrom(t, daemon, id, root, pushed) })
	t.Run("commands", func(t *testing.T) { checkCommands(t, s.dir, id, root, pushed) })
}

// replayFrom plays a recording that only kubo has.
func replayFrom(t *testing.T, daemon *kubo.Daemon, id, root string, pushed frames) {
	addrs, err := peer.AddrInfoToP2pAddrs(&daemon.Peer)
	if err != nil || len(addrs) == 0 {
		t.Fatal(err)
	}
	began := time.Now()
	r := start(t, "replay", murmur, "replay", "-v", "--dir", t.TempDir(), "--dht", "off", "--no-mdns", "--no-open", "--http", "127.0.0.1:0",
		"--peer", addrs[0].String(), root)
	page := r.expect(t, 20*time.Second, `^page +(http://\S+)`)
	t.Logf("replay found the recording in %d ms", time.Since(began).Milliseconds())
	url := r.expect(t, time.Second, `^players +(http://\S+)`)
	fetchFirst(t, url)
	soon(t, "first segment of a replay after its start", began, time.Now(), 2*time.Second)

	b := openBrowser(t)
	if b.open(page + "#/recording/" + id); b.showsRecordings() {
		b.until(20*time.Second, `window.murmur && window.murmur.videoTime > 0`)
		t.Logf("the page shows its first picture %d ms after the start of murmur replay, Chromium's own start included", time.Since(began).Milliseconds())
		b.plays(t, "the replay on the page", 10)
	} else {
		b.hls(page, url)
		b.plays(t, "the replay", 10)
	}
	checkFrames(t, "replay from kubo alone", readFrames(t, url), pushed)
}

// showsRecordings reports whether the page is the one that has recordings and can go back, and not the plain one.
func (b *browser) showsRecordings() bool {
	b.t.Helper()
	return eval[bool](b, `document.getElementById('recordings') !== null`)
}

// hls opens the address of a participant and puts a video there that plays a playlist with the browser's own HLS player.
func (b *browser) hls(page, playlist string) {
	b.t.Helper()
	b.open(page + "api/v1/status")
	eval[bool](b, `(() => {
		const video = document.createElement('video');
		video.muted = true;
		video.src = `+"`"+playlist+"`"+`;
		document.body.replaceChildren(video);
		video.play().catch(() => {});
		return true;
	})()`)
}

// plays wants the only video of the page to play from its start to its end, so many seconds, without an error. It plays at
// double speed: nobody watches.
func (b *browser) plays(t testing.TB, what string, seconds float64) {
	t.Helper()
	eval[bool](b, `(() => {
		const v = window.video = document.querySelector('video');
		v.muted = true;
		v.playbackRate = 2;
		v.play().catch((e) => { window.refused = String(e); });
		return true;
	})()`)
	b.until(time.Duration(seconds)*time.Second, `window.video.ended || window.video.error`)
	var state struct {
		At, Length float64
		Error      string
		Shown      int
	}
	text := eval[string](b, `JSON.stringify({At: video.currentTime, Length: video.duration, Error: video.error ? video.error.message || 'error' : '',
		Shown: video.getVideoPlaybackQuality().totalVideoFrames})`)
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	t.Logf("%s in Chromium: %.2f of %.2f s, %d pictures decoded", what, state.At, state.Length, state.Shown)
	if state.Error != "" || state.At < seconds-0.5 || state.Length < seconds-0.5 || state.Shown < int(fewestFrames*seconds) {
		t.Errorf("%s does not play to its end: %s", what, text)
	}
}

// checkProbed wants ffprobe to count every frame that was pushed.
func checkProbed(t testing.TB, path string, pushed frames) {
	t.Helper()
	out, _ := output(t, time.Minute, "ffprobe", "-v", "error", "-count_packets", "-select_streams", "v:0", "-show_entries", "stream=nb_read_packets",
		"-of", "default=nokey=1:noprint_wrappers=1", path)
	var n int
	// A playlist's streams are listed by program, too: the same number once more.
	if err := json.Unmarshal([]byte(strings.Fields(out + " 0")[0]), &n); err != nil || n != len(pushed[0]) {
		t.Errorf("ffprobe counts %q frames in %s, not %d: %v", out, filepath.Base(path), len(pushed[0]), err)
	}
}

// checkInfo wants info.json to name the broadcast and its channel, and to be signed.
func checkInfo(t testing.TB, path, link, id string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var info struct{ Broadcast, Channel, Signature, Title string }
	if err := json.Unmarshal(text, &info); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if info.Broadcast != id || !strings.Contains(link, info.Channel) || info.Channel == "" || info.Signature == "" || info.Title != "Live" {
		t.Errorf("info.json: %s", text)
	}
}
