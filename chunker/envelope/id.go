package envelope

import (
	"math"
	"math/bits"
	"strconv"
	"time"
)

// ID returns the chunk's name within its track.
func (e *Envelope) ID() ID { return ID{Epoch: e.Epoch, Seq: e.Seq} }

// Less orders chunks of a track: by epoch, then by seq.
func (id ID) Less(other ID) bool {
	if id.Epoch != other.Epoch {
		return id.Epoch < other.Epoch
	}
	return id.Seq < other.Seq
}

// String returns "epoch-seq".
func (id ID) String() string {
	return strconv.FormatUint(id.Epoch, 10) + "-" + strconv.FormatUint(id.Seq, 10)
}

// Time returns DecodeTime as a duration since the start of the track's timeline.
func (e *Envelope) Time() time.Duration { return scaled(e.DecodeTime, e.Timescale) }

// DurationTime returns Duration.
func (e *Envelope) DurationTime() time.Duration { return scaled(uint64(e.Duration), e.Timescale) }

// PartTargetTime returns PartTarget, rounded down to a nanosecond.
func (e *Envelope) PartTargetTime() time.Duration { return scaled(uint64(e.PartTarget), e.Timescale) }

// scaled turns v/timescale seconds into a duration; the longest duration stands for what is longer (292 years).
func scaled(v uint64, timescale uint32) time.Duration {
	if timescale == 0 {
		return 0
	}
	hi, lo := bits.Mul64(v, uint64(time.Second))
	if hi >= uint64(timescale) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(timescale))
	return time.Duration(min(q, math.MaxInt64))
}
