package ingest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
)

// cutting is a Sink that cuts chunks, as an origin does.
type cutting struct {
	*chunker.Cutter
	t      *testing.T
	file   bytes.Buffer // init segment and chunks
	chunks []envelope.Chunk
}

func newCutting(t *testing.T) *cutting {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := chunker.New(chunker.Config{Key: key, Broadcast: "b", Track: "main", Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &cutting{Cutter: c, t: t}
}

func (c *cutting) Format(f chunker.Format) error { return c.SetFormat(f) }

func (c *cutting) Unit(u chunker.Unit) error {
	chunks, err := c.Write(u)
	return c.take(chunks, err)
}

func (c *cutting) Interrupt() error { return c.take(c.Cutter.Interrupt()) }

func (c *cutting) take(chunks []envelope.Chunk, err error) error {
	for _, k := range chunks {
		if len(c.chunks) == 0 {
			c.file.Write(k.Init)
		}
		c.chunks = append(c.chunks, k)
		c.file.Write(k.Block)
	}
	return err
}

// TestThroughTheChunker plays sources into the chunker and has ffmpeg decode what comes out, without a complaint.
func TestThroughTheChunker(t *testing.T) {
	bin := ffmpeg(t)
	files := map[string]string{
		"ts":  made(t, "a.ts", args(testVideo, testAudio, x264, aac)...),
		"mp4": made(t, "a.mp4", args(testVideo, testAudio, x264, aac)...),
	}
	const length = 8 * time.Second
	for name, play := range map[string]func(ctx context.Context, s Sink) error{
		"test picture": func(ctx context.Context, s Sink) error { return TestPicture{}.Run(ctx, s) },
		"ts loop": func(ctx context.Context, s Sink) error {
			return ReadFile(ctx, files["ts"], s, ReadConfig{Loop: true})
		},
		"mp4 loop": func(ctx context.Context, s Sink) error {
			return ReadFile(ctx, files["mp4"], s, ReadConfig{Loop: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCutting(t)
				ctx, cancel := context.WithTimeout(t.Context(), length)
				defer cancel()
				if err := play(ctx, c); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				if err := c.take(c.End()); err != nil {
					t.Fatal(err)
				}
				total := time.Duration(0)
				for i, k := range c.chunks {
					if k.Flags.Has(envelope.Discontinuity) && i > 0 {
						t.Errorf("chunk %d is a discontinuity", i)
					}
					if late := k.Captured.Sub(c.chunks[0].Captured) - (k.Time() - c.chunks[0].Time()); late < -400*time.Millisecond || late > 400*time.Millisecond {
						t.Errorf("chunk %d: captured %v off its time", i, late)
					}
					total += k.DurationTime()
				}
				if total < length-500*time.Millisecond || total > length+200*time.Millisecond {
					t.Errorf("%d chunks of %v in %v", len(c.chunks), total, length)
				}
				cmd := exec.Command(bin, "-v", "warning", "-xerror", "-i", "-", "-f", "null", "-")
				var complaints bytes.Buffer
				cmd.Stdin, cmd.Stderr = &c.file, &complaints
				if err := cmd.Run(); err != nil || complaints.Len() > 0 {
					t.Errorf("ffmpeg: %v\n%s", err, &complaints)
				}
				synctest.Wait()
			})
		})
	}
}
