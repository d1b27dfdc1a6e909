package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"murmuration/node/player"
)

// TestSignals stops an origin as a terminal or a service manager would: it ends well, and so does the page's player.
func TestSignals(t *testing.T) {
	s := newSwarm(t, 1, "--input", "test")
	s.origin.expect(t, 20*time.Second, `on air`)
	b := openBrowser(t)
	b.open(s.page)
	b.until(20*time.Second, `window.murmur && window.murmur.videoTime > 1`)
	if err := s.origin.stop(syscall.SIGTERM); err != nil {
		t.Errorf("the origin's end: %v", err)
	}
	b.until(20*time.Second, `window.murmur.state === 'ended'`)
	if err := s.viewer.stop(syscall.SIGINT); err != nil {
		t.Errorf("the viewer's end: %v", err)
	}
	if err := s.seeds[0].stop(syscall.SIGTERM); err != nil {
		t.Errorf("the seed's end: %v", err)
	}
}

// TestPipe broadcasts what ffmpeg writes to standard input as MPEG-TS, to its end.
func TestPipe(t *testing.T) {
	shell := `ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=sample_rate=48000 -t 12 ` +
		`-c:v libx264 -preset ultrafast -tune zerolatency -g 25 -c:a aac -f mpegts - | ` + murmur +
		` origin --no-mdns --listen /ip4/127.0.0.1/udp/0/quic-v1 --http 127.0.0.1:0 --input -`
	origin := start(t, "origin", "sh", "-c", shell)
	page := origin.expect(t, 15*time.Second, `^page +(http://\S+)`)
	origin.expect(t, 20*time.Second, `on air .*320x180 avc1\S+,mp4a`)
	p := player.New(player.Config{URL: page + "live.m3u8"})
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := p.Result(); !r.Ended || r.Missed > 0 || r.Received < 35 {
		t.Errorf("the player saw %+v", r)
	}
	select {
	case <-origin.done:
		if origin.err != nil {
			t.Errorf("the origin's end: %v", origin.err)
		}
	case <-time.After(patience * 20 * time.Second):
		t.Error("the origin did not end with its input")
	}
}

// TestDemo runs the demo unattended, as README tells, and reads its figures. On a busy machine it may try again.
func TestDemo(t *testing.T) {
	for try := range 2 {
		out, _ := output(t, time.Minute, murmur, "demo", "--for", "20s", "--json", "--http", "127.0.0.1:0")
		var r player.Result
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		t.Log(strings.TrimSpace(out))
		switch {
		case r.Published >= 60 && r.Missed == 0 && r.Stalls <= 2 && r.Received >= r.Published*3/4 &&
			r.LatencyMS.P50 >= 200 && r.LatencyMS.P50 <= 2000:
			return
		case try > 0:
			judge(t, "twice: chunks went astray or came late: "+out)
		}
	}
}

// TestForeignPage asks the viewer's face as a web page elsewhere would.
func TestForeignPage(t *testing.T) {
	s := newSwarm(t, 1, "--input", "test")
	for _, c := range []struct {
		name, host, origin string
		path               string
		want               int
	}{
		{"rebound name", "evil.example", "", "api/v1/status", http.StatusForbidden},
		{"foreign origin", "", "https://evil.example", "api/v1/status", http.StatusForbidden},
		{"own page", "", "", "api/v1/status", http.StatusOK},
	} {
		req, err := http.NewRequest(http.MethodGet, s.page+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.host != "" {
			req.Host = c.host
		}
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", c.name, resp.Status, c.want)
		}
	}
}
