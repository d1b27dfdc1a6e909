package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// ReadConfig configures the reading of a file or a pipe.
type ReadConfig struct {
	// Realtime releases units at the speed of their timestamps. ReadFile always does.
	Realtime bool
	// Loop begins again at the end, with timestamps that go on. What is read must be able to seek.
	Loop bool
	// Log is silent by default.
	Log *slog.Logger
}

// ReadFile plays an MPEG-TS or MP4 file, plain or fragmented, in real time. It tells the type by the content. It
// returns nil at the end, and ctx's error when ctx is done.
func ReadFile(ctx context.Context, path string, sink Sink, config ReadConfig) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", path, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%s: %w (for a pipe, give MPEG-TS on standard input)", path, err)
	}
	config.Realtime = true
	switch head = head[:n]; {
	case looksLikeMP4(head):
		err = readMP4(ctx, f, sink, config)
	case looksLikeTS(head):
		err = ReadTS(ctx, f, sink, config)
	default:
		err = ErrUnknownFile
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return err
}

func looksLikeMP4(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	switch string(head[4:8]) {
	case "ftyp", "styp", "moov", "moof", "mdat", "free", "skip", "wide", "sidx", "pnot":
		return true
	}
	return false
}

// looksLikeTS wants three sync bytes a packet apart, or as many as fit, somewhere in the first packets.
func looksLikeTS(head []byte) bool {
	const packet = 188
	for i := range min(len(head), packet) {
		hits := 0
		for j := i; j < len(head) && head[j] == 0x47; j += packet {
			hits++
		}
		if hits >= 3 || hits >= 1 && i == 0 && hits == (len(head)+packet-1)/packet {
			return true
		}
	}
	return false
}
