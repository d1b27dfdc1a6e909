package playlist

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ID names a chunk within its track. A chunk is one HLS part.
type ID struct {
	Epoch, Seq uint64
}

// Less reports whether a comes before b in the broadcast.
func (a ID) Less(b ID) bool {
	return a.Epoch < b.Epoch || a.Epoch == b.Epoch && a.Seq < b.Seq
}

func (a ID) next() ID { return ID{a.Epoch, a.Seq + 1} }

// Part is what the playlist must know of one chunk.
type Part struct {
	Epoch, Seq uint64

	Timescale  uint32 // units per second of DecodeTime and Duration
	DecodeTime uint64 // of the first sample
	Duration   uint32 // declared; the sum of the sample durations

	Independent   bool // starts with a random access point
	Discontinuity bool // does not continue the timeline or the format of the chunk before
	End           bool // the broadcast's end mark: carries no media

	Captured time.Time // wall clock at which the first sample was captured
	Init     string    // names the init segment that the part needs (its CID)
	Size     int       // bytes
}

// ID returns the part's name.
func (p Part) ID() ID { return ID{p.Epoch, p.Seq} }

// Length returns the part's declared duration.
func (p Part) Length() time.Duration { return ticks(uint64(p.Duration), p.Timescale) }

// ticks converts n units of 1/scale seconds. What would not fit becomes the largest Duration.
func ticks(n uint64, scale uint32) time.Duration {
	whole, rest := n/uint64(scale), n%uint64(scale)
	if whole >= math.MaxInt64/uint64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(whole)*time.Second + time.Duration(rest*uint64(time.Second)/uint64(scale))
}

// PartURI returns the URI of a part, relative to its media playlist.
func PartURI(id ID) string {
	return "p-" + strconv.FormatUint(id.Epoch, 10) + "-" + strconv.FormatUint(id.Seq, 10) + ".m4s"
}

// SegmentURI returns the URI of the segment made of the chunks first to last of one epoch, relative to its media
// playlist. The name holds what the segment is made of, not its media sequence number: numbers are this window's own
// affair, and a player or cache that kept segment 12 of an earlier run must not take it for segment 12 of this one.
func SegmentURI(epoch, first, last uint64) string {
	return fmt.Sprintf("s-%d-%d-%d.m4s", epoch, first, last)
}

// InitURI returns the URI of the init segment called name, relative to its media playlist.
func InitURI(name string) string { return "init-" + name + ".mp4" }

// ParsePartURI is the reverse of PartURI.
func ParsePartURI(s string) (ID, bool) {
	n, ok := numbers(s, "p-", ".m4s", 2)
	if !ok {
		return ID{}, false
	}
	return ID{n[0], n[1]}, true
}

// ParseSegmentURI is the reverse of SegmentURI.
func ParseSegmentURI(s string) (epoch, first, last uint64, ok bool) {
	n, ok := numbers(s, "s-", ".m4s", 3)
	if !ok || n[1] > n[2] {
		return 0, 0, 0, false
	}
	return n[0], n[1], n[2], true
}

// ParseInitURI is the reverse of InitURI.
func ParseInitURI(s string) (string, bool) {
	s, ok := strings.CutPrefix(s, "init-")
	if !ok {
		return "", false
	}
	s, ok = strings.CutSuffix(s, ".mp4")
	return s, ok && s != ""
}

func numbers(s, prefix, suffix string, count int) ([]uint64, bool) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return nil, false
	}
	if s, ok = strings.CutSuffix(s, suffix); !ok {
		return nil, false
	}
	fields := strings.Split(s, "-")
	if len(fields) != count {
		return nil, false
	}
	n := make([]uint64, count)
	for i, f := range fields {
		v, err := strconv.ParseUint(f, 10, 64)
		if err != nil || strconv.FormatUint(v, 10) != f { // one name for one thing: no leading zeros
			return nil, false
		}
		n[i] = v
	}
	return n, true
}
