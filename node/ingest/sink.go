package ingest

import (
	"io"
	"log/slog"
	"time"

	"murmuration/chunker"
	"murmuration/node/ingest/testpicture"
)

// Sink takes what a source produces. One source calls it from one goroutine. An error from it ends the source (for
// RTMP: the publisher's connection).
type Sink interface {
	// Format tells that the streams begin, or change.
	Format(chunker.Format) error
	// Unit hands over one access unit of the last Format. Its bytes are the sink's to keep.
	Unit(chunker.Unit) error
	// Interrupt tells that the publisher went away. It may come back: then Format is called again.
	Interrupt() error
}

// TestPicture is the built-in live picture and tone.
type TestPicture = testpicture.Picture

// ReadBars reads the machine-readable clock off a test picture. See testpicture.ReadBars.
var ReadBars = testpicture.ReadBars

// clock is the monotonic clock laid over the wall clock of its start, so that a step of the wall clock does not show.
type clock struct {
	start time.Time
}

func newClock() clock { return clock{time.Now()} }

func (c clock) now() time.Time { return c.start.Add(time.Since(c.start)) }

// logger is l, or one that drops everything.
func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return l
}
