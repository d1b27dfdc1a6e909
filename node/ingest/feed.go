package ingest

import (
	"log/slog"
	"reflect"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"murmuration/chunker"
)

// kind tells video from audio.
type kind int

const (
	video kind = iota
	audio
)

func (k kind) String() string { return [2]string{"video", "audio"}[k] }

// Bounds of what a feed holds back while it does not know the format.
const (
	heldTime  = time.Second // in timestamps
	heldUnits = 1000
	heldBytes = 8 << 20
)

// lane is what a feed knows of one kind of stream.
type lane struct {
	absent     bool         // the source says that there is none
	codec      codecs.Codec // nil while not known
	timescale  uint32
	resolution time.Duration
	index      int // in the Format
}

// feed stands between a source that learns its streams as it goes and a Sink that wants to know first. It holds units
// back until the parameters of both lanes are known, or one is known to be absent, or a second has passed. Parameters
// that change later make a new Format.
type feed struct {
	sink    Sink
	log     *slog.Logger
	lanes   [2]lane
	started bool

	held      []heldUnit
	heldSize  int
	firstTime time.Duration
}

type heldUnit struct {
	kind kind
	unit chunker.Unit
}

// absent tells that the source has no stream of kind k.
func (f *feed) absent(k kind) error {
	f.lanes[k].absent = f.lanes[k].codec == nil
	return f.startIfReady()
}

// codec tells the parameters of a lane.
func (f *feed) codec(k kind, c codecs.Codec, timescale uint32, resolution time.Duration) error {
	l := &f.lanes[k]
	if l.codec != nil && l.timescale == timescale && reflect.DeepEqual(l.codec, c) {
		return nil
	}
	if l.codec != nil {
		f.log.Info("the stream's parameters changed", "kind", k)
	}
	l.codec, l.timescale, l.resolution, l.absent = c, timescale, resolution, false
	if f.started {
		return f.format()
	}
	return f.startIfReady()
}

func (f *feed) startIfReady() error {
	for _, l := range f.lanes {
		if l.codec == nil && !l.absent {
			return nil
		}
	}
	return f.start()
}

// start hands out the format and what was held back.
func (f *feed) start() error {
	if f.started {
		return nil
	}
	if f.lanes[video].codec == nil && f.lanes[audio].codec == nil {
		return ErrNoStreams
	}
	f.started = true
	if err := f.format(); err != nil {
		return err
	}
	held := f.held
	f.held, f.heldSize = nil, 0
	for _, h := range held {
		if err := f.emit(h.kind, h.unit); err != nil {
			return err
		}
	}
	return nil
}

func (f *feed) format() error {
	var format chunker.Format
	for k := range f.lanes {
		l := &f.lanes[k]
		if l.codec == nil {
			continue
		}
		l.index = len(format.Streams)
		format.Streams = append(format.Streams, chunker.Stream{Codec: l.codec, Timescale: l.timescale, Resolution: l.resolution})
	}
	return f.sink.Format(format)
}

func (f *feed) emit(k kind, u chunker.Unit) error {
	if f.lanes[k].codec == nil {
		return nil
	}
	u.Stream = f.lanes[k].index
	return f.sink.Unit(u)
}

// unit takes an access unit. Its timestamps are in units of timescale, which it must share with the lane. Units of a
// lane whose parameters are not known yet cannot be decoded and are dropped.
func (f *feed) unit(k kind, u chunker.Unit) error {
	l := &f.lanes[k]
	if err := f.inBand(k, u); err != nil {
		return err
	}
	if f.started {
		return f.emit(k, u)
	}
	if l.codec == nil {
		return nil
	}
	at := seconds(u.DTS, l.timescale)
	if len(f.held) == 0 {
		f.firstTime = at
	}
	f.held = append(f.held, heldUnit{k, u})
	for _, d := range u.Data {
		f.heldSize += len(d)
	}
	waited := at - f.firstTime
	if waited < heldTime && waited > -heldTime && len(f.held) < heldUnits && f.heldSize < heldBytes {
		return nil
	}
	for k, l := range f.lanes {
		if l.codec == nil && !l.absent {
			f.log.Warn("starting without it: nothing of it came", "kind", kind(k))
		}
	}
	return f.start()
}

// inBand follows parameters that come within the stream.
func (f *feed) inBand(k kind, u chunker.Unit) error {
	l := &f.lanes[k]
	if next := inBandParams(l.codec, u.Data); next != nil {
		return f.codec(k, next, l.timescale, l.resolution)
	}
	return nil
}

// seconds is a timestamp as a duration.
func seconds(v int64, timescale uint32) time.Duration {
	s := int64(timescale)
	return time.Duration(v/s)*time.Second + time.Duration(v%s)*time.Second/time.Duration(s)
}
