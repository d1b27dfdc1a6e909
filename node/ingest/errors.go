package ingest

import (
	"errors"
	"fmt"
)

// Errors of this package. They come wrapped with what was being done.
var (
	// ErrUnsupportedCodec says that the source has a stream that cannot be taken; the text names the codec and what
	// is supported.
	ErrUnsupportedCodec = errors.New("unsupported codec")
	// ErrWrongKey says that a publisher does not have the stream key.
	ErrWrongKey = errors.New("wrong stream key")
	// ErrBusy says that somebody else is publishing with that key.
	ErrBusy = errors.New("somebody else is publishing with this key")
	// ErrSilent says that a publisher sent neither picture nor sound for too long.
	ErrSilent = errors.New("the publisher fell silent")
	// ErrNoStreams says that the source has neither video nor audio.
	ErrNoStreams = errors.New("neither video nor audio in the source")
	// ErrUnknownFile says that a file is neither MPEG-TS nor MP4.
	ErrUnknownFile = errors.New("neither MPEG-TS nor MP4")
	// ErrBadMP4 says that an MP4 file contradicts itself or uses what is not supported.
	ErrBadMP4 = errors.New("bad MP4 file")
	// ErrTruncated says that a file ends before it should.
	ErrTruncated = errors.New("the file is cut short")
)

// unsupported names a codec that cannot be taken.
func unsupported(kind, name string) error {
	if kind == "video" {
		return fmt.Errorf("%w: video in %s; supported are H.264, H.265, AV1 and VP9", ErrUnsupportedCodec, name)
	}
	return fmt.Errorf("%w: audio in %s; supported are AAC, Opus and MP3", ErrUnsupportedCodec, name)
}
