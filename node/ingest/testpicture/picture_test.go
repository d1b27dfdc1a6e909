package testpicture

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"murmuration/chunker"
)

// keeper is a Sink that keeps everything.
type keeper struct {
	formats []chunker.Format
	units   []chunker.Unit
	onUnit  func(chunker.Unit) error
}

func (k *keeper) Format(f chunker.Format) error {
	k.formats = append(k.formats, f)
	return nil
}

func (k *keeper) Unit(u chunker.Unit) error {
	k.units = append(k.units, u)
	if k.onUnit != nil {
		return k.onUnit(u)
	}
	return nil
}

func (k *keeper) stream(i int) (out []chunker.Unit) {
	for _, u := range k.units {
		if u.Stream == i {
			out = append(out, u)
		}
	}
	return out
}

func run(t *testing.T, p Picture, d time.Duration, k *keeper) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := p.Run(ctx, k); err != nil {
		t.Fatal(err)
	}
}

func TestTimestampsFollowTheClock(t *testing.T) {
	for _, rate := range []int{30, 25, 24, 7} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(123456789 * time.Nanosecond) // start off the beat
			k := new(keeper)
			run(t, Picture{Rate: rate, Width: 160, Height: 90}, 5*time.Second, k)
			pictures, sound := k.stream(0), k.stream(1)
			if want := 5 * rate; len(pictures) < want-1 || len(pictures) > want {
				t.Errorf("rate %d: %d pictures in 5 s", rate, len(pictures))
			}
			start := pictures[0].Captured
			if tick := start.Nanosecond() * rate % int(time.Second); tick > 2*rate {
				t.Errorf("rate %d: starts at %v, off the beat", rate, start)
			}
			for i, u := range pictures {
				if u.DTS != int64(i)*90000/int64(rate) || u.PTS != u.DTS {
					t.Fatalf("rate %d: picture %d has timestamp %d", rate, i, u.DTS)
				}
				if d := u.Captured.Sub(start) - time.Duration(i)*time.Second/time.Duration(rate); d < 0 || d > 2 {
					t.Fatalf("rate %d: picture %d is %v late", rate, i, d)
				}
				if idr := h264.IsRandomAccess(u.Data); idr != (i%(2*rate) == 0) {
					t.Fatalf("rate %d: picture %d random access: %v", rate, i, idr)
				}
			}
			for i, u := range sound {
				if u.DTS != int64(i)*1024 {
					t.Fatalf("sound %d has timestamp %d", i, u.DTS)
				}
			}
			if n := len(sound); n < 228 || n > 235 {
				t.Errorf("%d frames of sound in 5 s", n)
			}
		})
	}
}

func TestLatePicturesAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := new(keeper)
		slow := 0
		k.onUnit = func(u chunker.Unit) error {
			if u.Stream == 0 {
				if slow++; slow == 20 {
					time.Sleep(500 * time.Millisecond)
				}
			}
			return nil
		}
		run(t, Picture{Width: 160, Height: 90}, 2900*time.Millisecond, k)
		pictures := k.stream(0)
		start := pictures[0].Captured
		idrs := 0
		for i, u := range pictures {
			late := u.Captured.Sub(start) - time.Duration(u.DTS)*time.Second/90000
			if late < 0 || late > 34*time.Millisecond {
				t.Errorf("picture %d is %v late", i, late)
			}
			if h264.IsRandomAccess(u.Data) {
				idrs++
			}
		}
		if gap := pictures[20].DTS - pictures[19].DTS; gap != 15*3000 {
			t.Errorf("gap of %d, want 15 frames", gap)
		}
		if idrs != 2 {
			t.Errorf("%d IDRs in 2.9 s", idrs)
		}
		for i, u := range k.stream(1) {
			if u.DTS != int64(i)*1024 {
				t.Fatalf("the sound has a hole at frame %d", i)
			}
		}
	})
}

func TestSinkErrorEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("stop")
		err := Picture{}.Run(t.Context(), &keeper{onUnit: func(chunker.Unit) error { return stop }})
		if !errors.Is(err, stop) {
			t.Errorf("got %v", err)
		}
	})
}

func TestImpossibleSizes(t *testing.T) {
	for _, p := range []Picture{{Width: 641, Height: 360}, {Width: 640}, {Rate: 500}, {Rate: -1}, {Width: 8000, Height: 4000}} {
		if err := p.Run(t.Context(), new(keeper)); !errors.Is(err, ErrSize) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestBitrate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := new(keeper)
		run(t, Picture{}, 12*time.Second, k)
		total, largest := 0, 0
		for _, u := range k.units {
			n := 0
			for _, d := range u.Data {
				n += len(d)
			}
			total += n
			largest = max(largest, n)
		}
		mbps := float64(total) * 8 / 12 / 1e6
		t.Logf("%.2f Mbit/s, largest unit %d bytes", mbps, largest)
		if mbps > 3 || largest > 64<<10 {
			t.Errorf("too much: %.2f Mbit/s, largest unit %d bytes", mbps, largest)
		}
	})
}

func TestSPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := new(keeper)
		run(t, Picture{Width: 640, Height: 360, Rate: 25}, time.Second, k)
		var s h264.SPS
		if err := s.Unmarshal(k.formats[0].Streams[0].Codec.(*codecs.H264).SPS); err != nil {
			t.Fatal(err)
		}
		if s.Width() != 640 || s.Height() != 360 || s.FPS() != 25 {
			t.Errorf("%dx%d at %v", s.Width(), s.Height(), s.FPS())
		}
	})
}

// TestSoundInTime decodes the sound with ffmpeg and checks that beeps are heard at full seconds, when the lamp is lit.
func TestSoundInTime(t *testing.T) {
	bin := ffmpeg(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(777 * time.Millisecond)
		k := new(keeper)
		run(t, Picture{Width: 160, Height: 90}, 10*time.Second, k)
		sound := k.stream(1)
		start := k.stream(0)[0].Captured
		var packets mpeg4audio.ADTSPackets
		for _, u := range sound {
			packets = append(packets, &mpeg4audio.ADTSPacket{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 1, ChannelCount: 1, AU: u.Data[0]}) //nolint:staticcheck // read by the writer
		}
		adts, err := packets.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(bin, "-v", "warning", "-f", "aac", "-i", "-", "-f", "s16le", "-")
		var pcm, complaints bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(adts), &pcm, &complaints
		if err := cmd.Run(); err != nil || complaints.Len() > 0 {
			t.Fatalf("ffmpeg: %v\n%s", err, &complaints)
		}
		samples := make([]float64, pcm.Len()/2)
		for i := range samples {
			samples[i] = float64(int16(pcm.Bytes()[2*i])|int16(pcm.Bytes()[2*i+1])<<8) / 32768
		}
		if len(samples) != len(sound)*1024 {
			t.Fatalf("%d samples from %d frames", len(samples), len(sound))
		}
		beeps := 0
		loud := false
		quiet := 1 << 20
		for i, v := range samples {
			if math.Abs(v) > 0.08 {
				if !loud && quiet > 4800 {
					beeps++
					at := start.Add(time.Duration(i) * time.Second / 48000)
					off := at.Sub(at.Round(time.Second))
					if off < -13*time.Millisecond || off > 13*time.Millisecond {
						t.Errorf("beep at %v", at)
					}
				}
				loud, quiet = true, 0
				continue
			}
			loud = false
			quiet++
		}
		if beeps < 9 || beeps > 10 {
			t.Errorf("%d beeps in 10 s", beeps)
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	e, s := newEncoder(640, 360, 30), newScene(640, 360)
	at := time.Date(2026, 11, 22, 9, 59, 58, 0, time.UTC)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		e.encode(s.draw(at.Add(time.Duration(i)*time.Second/30)).YCbCr, i%60 == 0)
		i++
	}
}
