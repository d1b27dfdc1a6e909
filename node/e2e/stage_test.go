package e2e

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/mesh"
)

// loopback are the addresses of peers that share this machine: two transports, as at home.
const loopback = "/ip4/127.0.0.1/udp/0/quic-v1,/ip4/127.0.0.1/tcp/0"

var talkClips struct {
	sync.Mutex
	made map[int]string
}

// talkClip makes, once for each length, what the tests of recordings push: 720p30 H.264 with B-frames at 2 Mbit/s and AAC.
// It is a talk that can be told from its every other second, and small, since nothing here is about bandwidth.
func talkClip(t testing.TB, seconds int) string {
	t.Helper()
	talkClips.Lock()
	defer talkClips.Unlock()
	if path := talkClips.made[seconds]; path != "" {
		return path
	}
	path := filepath.Join(filepath.Dir(murmur), "talk-"+strconv.Itoa(seconds)+".mp4")
	output(t, time.Minute, "ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30",
		"-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=48000", "-t", strconv.Itoa(seconds),
		"-c:v", "libx264", "-preset", "superfast", "-bf", "2", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0",
		"-b:v", "2M", "-maxrate", "2M", "-bufsize", "2M", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", path)
	if talkClips.made == nil {
		talkClips.made = map[int]string{}
	}
	talkClips.made[seconds] = path
	return path
}

// stage is an origin on loopback that keeps its recordings, with folders of its own.
type stage struct {
	*process
	dir    string // of its keys; the recordings are in it, too
	link   string // of the channel
	server string // RTMP URL without the key
	key    string // stream key
	page   string // with a slash at its end
}

func newStage(t testing.TB, flags ...string) *stage {
	t.Helper()
	s := &stage{dir: t.TempDir()}
	s.process = start(t, "origin", murmur, append([]string{
		"origin", "-v", "--dir", s.dir, "--dht", "off", "--no-mdns", "--listen", loopback, "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0",
	}, flags...)...)
	s.link = s.expect(t, 15*time.Second, `^(murmur://\S+)$`)
	s.server = s.expect(t, time.Second, `^encoder +server (\S+)`)
	s.key = s.expect(t, time.Second, `stream key (\S+)$`)
	s.page = s.expect(t, time.Second, `^page +(http://\S+)`)
	return s
}

// push starts ffmpeg pushing a clip in real time, so many times over, and returns with its broadcast on air.
func (s *stage) push(t testing.TB, clip string, times int) (feed *process, id string) {
	t.Helper()
	seen := s.count(`^on air `)
	feed = start(t, "ffmpeg", "ffmpeg", "-nostdin", "-v", "warning", "-re", "-stream_loop", strconv.Itoa(times-1), "-i", clip,
		"-c", "copy", "-f", "flv", s.server+"/"+s.key)
	return feed, s.expectNth(t, seen+1, 20*time.Second, `^on air .*\((\w+)\)`)
}

// broadcast pushes a clip to its end and returns the broadcast's id and the root of its recording.
func (s *stage) broadcast(t testing.TB, clip string) (id, root string) {
	t.Helper()
	feed, id := s.push(t, clip, 1)
	feed.ends(t, time.Minute)
	return id, s.root(t, id)
}

// root waits for the origin's word that a broadcast's recording is whole.
func (s *stage) root(t testing.TB, id string) string {
	t.Helper()
	return s.expect(t, 20*time.Second, `^recording .*\(`+id+`\).* /ipfs/(\w+)$`)
}

// info returns the origin's name and addresses, which its link holds.
func (s *stage) info(t testing.TB) peer.AddrInfo {
	t.Helper()
	return peerOf(t, s.link)
}

// peerOf returns the first peer of a link.
func peerOf(t testing.TB, link string) peer.AddrInfo {
	t.Helper()
	l, err := mesh.ParseLink(link)
	if err != nil || len(l.Peers) == 0 {
		t.Fatalf("link %s: %v", link, err)
	}
	return l.Peers[0]
}

// ends waits for a program's end, which must be a good one, and returns when that was.
func (p *process) ends(t testing.TB, within time.Duration) time.Time {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience * within):
		t.Fatalf("%s did not end within %v", p.name, patience*within)
	}
	at := time.Now()
	if p.err != nil {
		t.Fatalf("%s: %v\n%s", p.name, p.err, p.output())
	}
	return at
}

// archivist starts a seed on loopback with folders of its own, and returns a link by which it is reached.
func archivist(t testing.TB, dir, link string, flags ...string) (seed *process, share string) {
	t.Helper()
	seed = start(t, "seed", murmur, append([]string{
		"seed", "-v", "--dir", dir, "--dht", "off", "--no-mdns", "--listen", loopback, "--http", "127.0.0.1:0", link,
	}, flags...)...)
	return seed, seed.expect(t, 15*time.Second, `^share +'?(murmur://[^' ]+)`)
}

// recordings runs murmur recordings with the recordings in a --dir and returns what it printed.
func recordings(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, _ := output(t, 20*time.Second, murmur, append([]string{"recordings", "--dir", dir}, args...)...)
	return out
}

// refused runs murmur recordings and wants it to fail with an exit code and one line that matches.
func refused(t testing.TB, code int, line string, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command(murmur, append([]string{"recordings", "--dir", dir}, args...)...)
	out, err := cmd.CombinedOutput()
	what := "murmur recordings " + strings.Join(args, " ")
	if err == nil {
		t.Errorf("%s succeeded:\n%s", what, out)
		return
	}
	last := strings.TrimSpace(string(out))
	if i := strings.LastIndexByte(last, '\n'); i >= 0 {
		last = last[i+1:]
	}
	t.Logf("%s: exit code %d, %s", what, cmd.ProcessState.ExitCode(), last)
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("%s: exit code %d, want %d", what, got, code)
	}
	if !strings.HasPrefix(last, "murmur: ") || !strings.Contains(last, line) {
		t.Errorf("%s says %q, want a line with %q", what, out, line)
	}
}
