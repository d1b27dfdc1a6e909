package unixfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/chunker/retime"

	"github.com/ipfs/go-cid"
)

var (
	// ErrRange is returned for a range of time in which nothing was recorded.
	ErrRange = errors.New("nothing was recorded in that time")
	// ErrFormat is wrapped by FormatError.
	ErrFormat = errors.New("the format changes within that time")
)

// FormatError says that a range cannot be one MP4, since the format (another encoder, another size of picture) changes
// at At. The caller can export up to there, and from there on into another file.
type FormatError struct{ At time.Duration }

// Error implements error.
func (e *FormatError) Error() string {
	return fmt.Sprintf("%v, at %v", ErrFormat, e.At.Round(time.Millisecond))
}

// Unwrap returns ErrFormat.
func (e *FormatError) Unwrap() error { return ErrFormat }

// Range is what of a track a range of time takes in.
type Range struct {
	Parts    []Part        // whole chunks, the first independent
	From, To time.Duration // what they cover
	Size     int64         // bytes of the chunks and their init segment
}

// cutRounding is below any chunk's length and above what sums of rounded lengths are off by.
const cutRounding = time.Millisecond

// Cut finds the chunks for the time from from up to to: from the independent chunk at or before from, so that a player
// can begin, to the chunk that covers to. Times count from the beginning of the recording as its playlist plays, holes
// closed up. A to of zero or less is the end.
func Cut(parts []Part, from, to time.Duration) (Range, error) {
	if to <= 0 {
		to = math.MaxInt64
	}
	l := lay(parts, 0, func(cid.Cid) bool { return true })
	var r Range
	var at time.Duration
	for _, s := range l.list.Segments {
		for i := s.From; i < s.To; i++ {
			p := parts[i]
			end := at + p.Length()
			if at+cutRounding >= to || from >= to {
				break
			}
			if at <= from+cutRounding && (p.Independent || len(r.Parts) == 0) {
				r = Range{From: at} // a better place to begin than what was taken
			}
			if n := len(r.Parts); n > 0 && r.Parts[n-1].Init != p.Init {
				if r.To > from+cutRounding {
					return Range{}, fmt.Errorf("cut: %w", &FormatError{At: at})
				}
				r = Range{From: at}
			}
			r.Parts, r.To = append(r.Parts, p), end
			r.Size += int64(p.Size)
			at = end
		}
	}
	if len(r.Parts) == 0 || r.To <= from+cutRounding {
		return Range{}, fmt.Errorf("cut: %w: %v to %v", ErrRange, from, min(to, l.list.Length))
	}
	r.Size += int64(r.Parts[0].InitSize)
	return r, nil
}

// Opener opens the media of one track of a private recording.
type Opener interface {
	// OpenInit returns an init segment, open.
	OpenInit(sealed []byte) ([]byte, error)
	// OpenChunk returns the block of a chunk, open.
	OpenChunk(epoch, seq uint64, sealed []byte) ([]byte, error)
}

// plain opens what is not sealed.
type plain struct{}

func (plain) OpenInit(b []byte) ([]byte, error)               { return b, nil }
func (plain) OpenChunk(_, _ uint64, b []byte) ([]byte, error) { return b, nil }

// ExportMP4 writes a range of one track as one fragmented MP4 whose time begins at zero, without encoding anything again:
// the chunks as they are, but for their decode times. Seams and holes are closed up. See Cut for which chunks these are.
// Open is nil for a public recording.
func ExportMP4(
	ctx context.Context, w io.Writer, parts []Part, block func(cid.Cid) ([]byte, error), open Opener, from, to time.Duration,
) error {
	if open == nil {
		open = plain{}
	}
	r, err := Cut(parts, from, to)
	if err != nil {
		return err
	}
	init, err := block(r.Parts[0].Init)
	if err != nil {
		return fmt.Errorf("export: init segment: %w", err)
	}
	if len(init) > envelope.MaxInit {
		return fmt.Errorf("export: %w: an init segment of %d bytes", ErrSource, len(init))
	}
	if init, err = open.OpenInit(init); err != nil {
		return fmt.Errorf("export: init segment: %w", err)
	}
	if _, err := w.Write(init); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	line := retime.NewExact(init)
	for _, p := range r.Parts {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("export: %w", err)
		}
		b, err := block(p.Block)
		if err != nil {
			return fmt.Errorf("export: chunk %d-%d: %w", p.Epoch, p.Seq, err)
		}
		if b, err = open.OpenChunk(p.Epoch, p.Seq, b); err != nil {
			return fmt.Errorf("export: chunk %d-%d: %w", p.Epoch, p.Seq, err)
		}
		for _, piece := range line.Place(position(p), b) {
			if _, err := w.Write(piece); err != nil {
				return fmt.Errorf("export: %w", err)
			}
		}
	}
	return nil
}

func position(p Part) retime.Position {
	return retime.Position{
		Epoch: p.Epoch, Timescale: p.Timescale, DecodeTime: p.DecodeTime, Duration: p.Duration, Discontinuity: p.Discontinuity,
	}
}
