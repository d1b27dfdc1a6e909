// Package still makes a JPEG of the first picture of a small MP4 by running ffmpeg, where it is installed. It is apart
// from package unixfs so that that one runs nothing.
package still

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

const (
	// timeout is how long ffmpeg may take for one picture.
	timeout = 10 * time.Second
	// maxPicture is the largest JPEG that is taken, in bytes.
	maxPicture = 1 << 20
	// maxComplaint is how much of what ffmpeg says is kept for the error.
	maxComplaint = 1 << 10
)

// ErrPicture is wrapped by what the function that FFmpeg returns returns where there is no picture.
var ErrPicture = errors.New("no picture")

// FFmpeg returns a function for unixfs.Source.Still, nil where ffmpeg is not installed. Path is the program; empty means
// the ffmpeg in the PATH. The picture is at most 1280 pixels wide.
//
// The MP4 goes in by a pipe, and ffmpeg may use no other protocol and no other format: what a channel signed names no
// files and opens no connections. One thread, one picture, ten seconds, 256 MB an allocation.
func FFmpeg(path string) func(ctx context.Context, mp4 []byte) ([]byte, error) {
	if path == "" {
		path = "ffmpeg"
	}
	path, err := exec.LookPath(path)
	if err != nil {
		return nil
	}
	return func(ctx context.Context, mp4 []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, "-nostdin", "-v", "error", "-max_alloc", "268435456",
			"-protocol_whitelist", "pipe", "-format_whitelist", "mov", "-threads", "1", "-f", "mp4", "-i", "pipe:0",
			"-map", "0:v:0", "-frames:v", "1", "-vf", "scale='min(1280,iw)':-2", "-threads", "1",
			"-f", "mjpeg", "-q:v", "4", "pipe:1")
		var picture, complaint limited
		picture.left, complaint.left = maxPicture, maxComplaint
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(mp4), &picture, &complaint
		cmd.Env = []string{} // nothing of ours is its business
		cmd.WaitDelay = time.Second
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%w: ffmpeg: %w: %s", ErrPicture, err, strings.TrimSpace(complaint.String()))
		}
		if picture.over || picture.Len() == 0 {
			return nil, fmt.Errorf("%w: ffmpeg gave %d bytes, over the limit: %v", ErrPicture, picture.Len(), picture.over)
		}
		return picture.Bytes(), nil
	}
}

// limited is a buffer that takes so many bytes and drops the rest.
type limited struct {
	bytes.Buffer
	left int
	over bool
}

// ReadFrom implements io.ReaderFrom, in place of the buffer's own, which would not be limited.
func (l *limited) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{l}, r) }

// Write implements io.Writer.
func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.over = l.over || n < len(b)
	l.left -= n
	l.Buffer.Write(b[:n])
	return len(b), nil
}
