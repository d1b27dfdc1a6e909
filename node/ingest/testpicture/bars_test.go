package testpicture

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"
	"time"
)

func TestBarsSurviveCodingAndScaling(t *testing.T) {
	e, s := newEncoder(640, 360, 30), newScene(640, 360)
	at := time.Date(2026, 11, 22, 9, 59, 58, 0, time.UTC)
	for i := range 62 {
		now := at.Add(time.Duration(i) * 33333333)
		e.encode(s.draw(now).YCbCr, i%60 == 0)
		shown := e.recon.SubImage(image.Rect(0, 0, 640, 360))
		for _, size := range [][2]int{{640, 360}, {320, 180}, {1337, 751}} {
			got, err := ReadBars(scaled{shown, size[0], size[1]})
			if err != nil || !got.Equal(now.Truncate(time.Millisecond)) {
				t.Fatalf("frame %d at %v: read %v, %v", i, size, got, err)
			}
		}
		if got, err := ReadBarsLuma(e.recon.Y, e.recon.YStride, 640, 360); err != nil || !got.Equal(now.Truncate(time.Millisecond)) {
			t.Fatalf("luma: read %v, %v", got, err)
		}
	}
}

// scaled shows an image in another size, in RGB as a browser's canvas does.
type scaled struct {
	image.Image
	w, h int
}

func (s scaled) Bounds() image.Rectangle { return image.Rect(0, 0, s.w, s.h) }

func (s scaled) At(x, y int) color.Color {
	b := s.Image.Bounds()
	return color.RGBAModel.Convert(s.Image.At(x*b.Dx()/s.w, y*b.Dy()/s.h))
}

func TestTornBarsAreRefused(t *testing.T) {
	s := newScene(640, 360)
	rng := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 100 {
		one := time.UnixMilli(1.7e12 + rng.Int64N(1e11))
		a := newCanvas(640, 360)
		a.copyFrom(s.draw(one))
		b := s.draw(one.Add(33 * time.Millisecond))
		// The top row of one picture, the rest of the next.
		copy(a.Y[320*a.YStride:], b.Y[320*b.YStride:])
		got, err := ReadBarsLuma(a.Y, a.YStride, 640, 360)
		if err == nil && !got.Equal(one.Add(33*time.Millisecond)) && !got.Equal(one) {
			accepted++
		}
	}
	if accepted > 0 {
		t.Errorf("%d of 100 torn pictures read as valid", accepted)
	}
	for _, flat := range []byte{0, 16, 128, 255} {
		luma := make([]byte, 640*360)
		for i := range luma {
			luma[i] = flat
		}
		if got, err := ReadBarsLuma(luma, 640, 640, 360); err == nil {
			t.Errorf("a flat picture of %d reads as %v", flat, got)
		}
	}
}

func TestBarsLayout(t *testing.T) {
	// A fixed case for readers in other languages.
	if got := bars(time.UnixMilli(1234567890123)); got != 0x190c90686aea992 {
		t.Errorf("bars = %#x", got)
	}
}

func FuzzReadBarsLuma(f *testing.F) {
	f.Add([]byte{1, 2, 3}, 1, 1, 1)
	f.Add(make([]byte, 640*360), 640, 640, 360)
	f.Fuzz(func(_ *testing.T, luma []byte, stride, width, height int) {
		if height > 1<<20 || stride > 1<<20 {
			return
		}
		ReadBarsLuma(luma, stride, width, height) //nolint:errcheck // must not panic
	})
}
