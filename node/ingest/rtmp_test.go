package ingest

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"murmuration/node/internal/pipes"
)

func TestRTMPUnits(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes.Listener, r *recorder, e *events) {
		start := time.Now()
		c, err := publish(p.Dial, "rtmp://host/live/secret")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			time.Sleep(40 * time.Millisecond)
			if err := c.frame(time.Duration(i) * 40 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(r.formats) != 1 || len(r.units) != 20 {
			t.Fatalf("%d formats, %d units", len(r.formats), len(r.units))
		}
		f := r.formats[0]
		if c, ok := f.Streams[0].Codec.(*codecs.H264); !ok || !bytes.Equal(c.SPS, testSPS) || f.Streams[0].Resolution != time.Millisecond {
			t.Errorf("video: %+v", f.Streams[0])
		}
		if c, ok := f.Streams[1].Codec.(*codecs.MPEG4Audio); !ok || c.Config.SampleRate != 44100 || f.Streams[1].Timescale != 44100 {
			t.Errorf("audio: %+v", f.Streams[1])
		}
		for i, u := range r.stream(0) {
			if want := int64(i) * 3600; u.DTS != want || u.PTS != want+3600 {
				t.Errorf("picture %d: DTS %d PTS %d", i, u.DTS, u.PTS)
			}
			if want := start.Add(time.Duration(i+1) * 40 * time.Millisecond); !u.Captured.Equal(want) {
				t.Errorf("picture %d captured at %v, want %v", i, u.Captured, want)
			}
		}
		c.Close()
	})
}

func TestRTMPRefusals(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes.Listener, r *recorder, e *events) {
		for _, address := range []string{"rtmp://host/live/wrong", "rtmp://host/live/", "rtmp://host/live/secretx", "rtmp://host/secret/live"} {
			_, err := publish(p.Dial, address)
			if err == nil || !strings.Contains(err.Error(), "wrong stream key") {
				t.Errorf("%s: %v", address, err)
			}
		}
		for _, address := range []string{"rtmp://host/live/secret", "rtmp://host/a/secret?x=y"} {
			c, err := publish(p.Dial, address)
			if err != nil {
				t.Fatalf("%s: %v", address, err)
			}
			if err := c.frame(0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if _, err := publish(p.Dial, address); err == nil || !strings.Contains(err.Error(), "somebody else") {
				t.Errorf("second publisher: %v", err)
			}
			c.Close()
			synctest.Wait()
		}
	})
}

func TestRTMPDropAndReturn(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes.Listener, r *recorder, e *events) {
		for i := range 2 {
			c, err := publish(p.Dial, "rtmp://host/live/secret")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.frame(0), c.frame(40*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			c.Close()
			if i == 0 {
				time.Sleep(29 * time.Second)
			}
		}
		synctest.Wait()
		if want := []string{"format", "units", "interrupt", "format", "units", "interrupt"}; !reflect.DeepEqual(r.calls, want) {
			t.Errorf("calls %v", r.calls)
		}
		time.Sleep(29 * time.Second)
		synctest.Wait()
		want := []string{"publisher came", "publisher dropped", "publisher came", "publisher dropped"}
		if got := e.kinds(); !reflect.DeepEqual(got, want) {
			t.Errorf("events %v", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := e.kinds(); !reflect.DeepEqual(got, append(want, "grace over")) {
			t.Errorf("events %v", got)
		}
	})
}

func TestRTMPSilence(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes.Listener, r *recorder, e *events) {
		c, err := publish(p.Dial, "rtmp://host/live/secret")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.frame(0), c.frame(40*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if got := e.kinds(); len(got) != 1 {
			t.Fatalf("after 9 s: %v", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := e.kinds(); len(got) != 2 || !errors.Is(e.list[1].Err, ErrSilent) {
			t.Fatalf("after 11 s: %v", e.list)
		}
		c.Close()
	})
}

// A publisher whose network changed comes back while its old connection hangs.
func TestRTMPTakeOver(t *testing.T) {
	virtual(t, RTMPConfig{}, func(t *testing.T, p *pipes.Listener, r *recorder, e *events) {
		for range 2 {
			c, err := publish(p.Dial, "rtmp://host/live/secret")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.frame(0), c.frame(40*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(4 * time.Second)
			defer c.Close()
		}
		synctest.Wait()
		if want := []string{"format", "units", "interrupt", "format", "units"}; !reflect.DeepEqual(r.calls, want) {
			t.Errorf("calls %v", r.calls)
		}
	})
}

func TestSplitPath(t *testing.T) {
	for _, c := range [][4]string{
		{"live", "key", "live", "key"},
		{"live/", "/key", "live", "key"},
		{"live/key", "", "live", "key"},
		{"key", "", "", "key"},
		{"live?a=b", "key?c=d", "live", "key"},
		{"a/b", "c/key", "a/b/c", "key"},
		{"", "", "", ""},
	} {
		if app, key := splitPath(c[0], c[1]); app != c[2] || key != c[3] {
			t.Errorf("%q + %q: %q, %q", c[0], c[1], app, key)
		}
	}
}

func TestTrackOf(t *testing.T) {
	for _, c := range [][3]string{
		{"live", "key", ""},
		{"live", "key?track=de", "de"},
		{"live", "key?a=b&track=pt-br", "pt-br"},
		{"live?track=de", "key", "de"},
		{"live?track=de", "key?track=fr", "fr"},
		{"live/key?track=de", "", "de"},
		{"live", "key?track=%", ""},
		{"live", "key?", ""},
	} {
		if track := trackOf(c[0], c[1]); track != c[2] {
			t.Errorf("%q + %q: %q", c[0], c[1], track)
		}
	}
}
