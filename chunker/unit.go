package chunker

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// Format describes the elementary streams that one track is cut from: at most one video and one audio stream.
// It is what an ingest learns from its source before the first access unit.
type Format struct {
	Streams []Stream
}

// Stream is one elementary stream of a Format.
type Stream struct {
	// Codec is the codec with its parameters (SPS, AudioSpecificConfig, ...), as mediacommon's MP4 codecs describe it.
	Codec codecs.Codec

	// Timescale is the number of timestamp units per second in the stream's Units: 90000 for MPEG-TS,
	// the sample rate where timestamps count samples.
	Timescale uint32

	// Resolution is the granularity of the source's timestamps, where it is coarser than 1/Timescale:
	// time.Millisecond for RTMP. Zero means exact.
	Resolution time.Duration
}

// Unit is one access unit: a video picture, or one audio frame (packet).
type Unit struct {
	// Stream is the index in Format.Streams.
	Stream int

	// DTS and PTS are in units of the stream's Timescale. For audio they are equal.
	// They may start anywhere, jump and wrap; the Cutter turns jumps into discontinuities.
	DTS, PTS int64

	// Data holds the NAL units of an H.264 or H.265 picture (no start codes), the OBUs of an AV1 temporal unit,
	// or a single element: a VP9 frame, or one raw AAC, Opus or MP3 frame.
	Data [][]byte

	// Captured is when the unit came in, on the host's monotonic clock laid over the wall clock of the start
	// (so that a clock step does not show).
	Captured time.Time
}
