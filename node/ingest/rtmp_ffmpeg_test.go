package ingest

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// push starts ffmpeg as an encoder would.
func push(t *testing.T, address string, output ...string) *exec.Cmd {
	t.Helper()
	args := []string{
		"-v", "warning", "-nostdin", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "60",
	}
	if len(output) == 0 {
		output = []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "30", "-c:a", "aac"}
	}
	cmd := exec.Command(ffmpeg(t), append(append(args, output...), "-f", "flv", address)...)
	cmd.Stderr = new(bytes.Buffer)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // it was killed
	})
	return cmd
}

// TestRTMPFromFFmpeg is the real thing: B-frames, a wrong key, a second publisher, death and return.
func TestRTMPFromFFmpeg(t *testing.T) {
	r, e := newRecorder(), new(events)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	s, err := ListenRTMP(RTMPConfig{Listen: "127.0.0.1:0", Key: "secret", Sink: r, Event: e.add, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context()) }()
	address := "rtmp://" + s.Addr().String() + "/live"

	first := push(t, address+"/secret")
	r.await(t, "three seconds of units", func() bool { return len(r.units) > 200 })
	if len(r.formats) != 1 || len(r.formats[0].Streams) != 2 {
		t.Fatalf("formats %+v", r.formats)
	}
	reordered := false
	var last int64
	for i, u := range r.stream(0) {
		if i == 0 && !h264.IsRandomAccess(u.Data) {
			t.Error("the first picture is no random access point")
		}
		if u.PTS < u.DTS {
			t.Errorf("picture %d: PTS %d before DTS %d", i, u.PTS, u.DTS)
		}
		if u.PTS > u.DTS+3600 {
			reordered = true
		}
		if d := u.DTS - last; i > 0 && (d < 2900 || d > 3100) {
			t.Errorf("picture %d: DTS step %d", i, d)
		}
		last = u.DTS
	}
	if !reordered {
		t.Error("no B-frames seen")
	}

	for _, c := range []struct{ address, want string }{
		{address + "/guess", "wrong stream key"},
		{address + "/secret", "somebody else is publishing"},
	} {
		cmd := push(t, c.address)
		err := cmd.Wait()
		if said := cmd.Stderr.(*bytes.Buffer).String(); err == nil || !strings.Contains(said, c.want) {
			t.Errorf("%s: ffmpeg ended with %v and said %q", c.address, err, said)
		}
	}

	first.Process.Kill() //nolint:errcheck // that is the point
	r.await(t, "the interruption", func() bool { return r.calls[len(r.calls)-1] == "interrupt" })
	second := push(t, address+"/secret")
	r.await(t, "the return", func() bool { return len(r.calls) == 5 && len(r.units) > 300 })
	if want := []string{"format", "units", "interrupt", "format", "units"}; !reflect.DeepEqual(r.calls, want) {
		t.Errorf("calls %v", r.calls)
	}
	second.Process.Signal(syscall.SIGINT) //nolint:errcheck // it is running
	r.await(t, "the end", func() bool { return len(r.calls) == 6 })

	// Codecs that cannot be taken.
	r.mu.Lock()
	r.calls, r.formats, r.units = nil, nil, nil
	r.mu.Unlock()
	flv := push(t, address+"/secret", "-c:v", "flv1", "-c:a", "aac")
	if err := flv.Wait(); err == nil {
		t.Error("Sorenson H.263 was taken")
	}
	speex := push(t, address+"/secret", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le", "-ar", "44100")
	r.await(t, "video without sound", func() bool { return len(r.units) > 30 })
	if n := len(r.formats[0].Streams); n != 1 {
		t.Errorf("%d streams", n)
	}
	speex.Process.Kill() //nolint:errcheck // done with

	s.Close() //nolint:errcheck // the end of the test
	if err := <-served; err != nil {
		t.Error(err)
	}
	want := []string{"publisher came", "publisher dropped", "publisher came", "publisher stopped", "publisher came", "publisher dropped", "publisher came"}
	if got := e.kinds(); len(got) < len(want) || !reflect.DeepEqual(got[:len(want)], want) {
		t.Errorf("events %v", got)
	}
	if !errors.Is(e.list[5].Err, ErrUnsupportedCodec) {
		t.Errorf("H.263: %v", e.list[5].Err)
	}
}
