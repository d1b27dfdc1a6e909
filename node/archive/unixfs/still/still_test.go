package still

import (
	"bytes"
	"context"
	"errors"
	"image/jpeg"
	"os"
	"os/exec"
	"testing"
	"testing/synctest"

	"murmuration/chunker"
	"murmuration/node/ingest/testpicture"
)

// first takes the first chunk of a picture.
type first struct {
	*chunker.Cutter
	mp4  []byte
	stop context.CancelFunc
}

func (f *first) Format(format chunker.Format) error { return f.SetFormat(format) }

func (f *first) Unit(u chunker.Unit) error {
	chunks, err := f.Write(u)
	if len(chunks) > 0 && f.mp4 == nil {
		f.mp4 = append(bytes.Clone(chunks[0].Init), chunks[0].Block...)
		f.stop()
	}
	return err
}

func TestFFmpeg(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ffmpeg is not installed")
		}
		t.Skip("ffmpeg is not installed")
	}
	var f *first
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cutter, err := chunker.New(chunker.Config{Key: make([]byte, 64), Broadcast: "0abc", Track: "main", Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		f = &first{Cutter: cutter, stop: cancel}
		if err := (testpicture.Picture{Width: 320, Height: 180}).Run(ctx, f); err != nil {
			t.Fatal(err)
		}
	})
	still := FFmpeg("")
	picture, err := still(t.Context(), f.mp4)
	if err != nil {
		t.Fatal(err)
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(picture))
	if err != nil || c.Width != 320 || c.Height != 180 {
		t.Errorf("%dx%d: %v", c.Width, c.Height, err)
	}
	for name, mp4 := range map[string][]byte{
		"rubbish": []byte("rubbish"), "nothing": nil, "cut": f.mp4[:600],
		"a list of files": []byte("ffconcat version 1.0\nfile /etc/passwd\n"),
	} {
		if _, err := still(t.Context(), mp4); !errors.Is(err, ErrPicture) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := still(ctx, f.mp4); !errors.Is(err, ErrPicture) {
		t.Errorf("cancelled: %v", err)
	}
	if FFmpeg("/no/such/program") != nil {
		t.Error("a program that is not there")
	}
}
