package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"murmuration/chunker"
)

const (
	maxMoov = 128 << 20
	// maxSample bounds one picture.
	maxSample = 32 << 20
)

// readMP4 plays an MP4 file in real time. Only the index and one sample at a time are in memory.
func readMP4(ctx context.Context, file *os.File, sink Sink, config ReadConfig) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	m := &mp4Source{
		ctx: ctx, log: logger(config.Log), r: file, size: info.Size(), clock: newClock(), pacer: newPacer(),
	}
	m.feed = feed{sink: sink, log: m.log}
	if err := m.open(); err != nil {
		return err
	}
	if err := m.begin(); err != nil {
		return err
	}
	for {
		units := m.units
		if err := m.round(); err != nil {
			return err
		}
		if !config.Loop {
			return nil
		}
		if m.units == units {
			return ErrNoStreams
		}
		m.rewind()
	}
}

// mp4Source is one file being played.
type mp4Source struct {
	ctx   context.Context
	log   *slog.Logger
	r     io.ReaderAt
	size  int64
	clock clock
	pacer *pacer // nil: not paced
	feed  feed

	tracks     []*mp4Track
	fragmented bool
	moovEnd    int64
	fragments  fragments
	timeline   timeline
	units      int
	bad        int
}

// open finds and reads the index.
func (m *mp4Source) open() error {
	for offset := int64(0); ; {
		b, err := boxAt(m.r, offset, m.size)
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: it has no index (moov box)", ErrTruncated)
		}
		if err != nil {
			return err
		}
		offset += b.size
		if b.kind != "moov" {
			continue
		}
		moov, err := b.load(m.r, maxMoov)
		if err != nil {
			return err
		}
		m.moovEnd = offset
		m.tracks, m.fragmented, err = readMovie(moov, m.log)
		m.rewind()
		return err
	}
}

// rewind goes back to the first samples, with timestamps that go on.
func (m *mp4Source) rewind() {
	m.fragments = fragments{r: m.r, size: m.size, offset: m.moovEnd}
	for _, t := range m.tracks {
		t.table.rewind()
		t.queue, t.nextTime, t.head = nil, 0, nil
	}
	m.timeline.again()
}

// begin tells the format.
func (m *mp4Source) begin() error {
	var has [2]bool
	for _, t := range m.tracks {
		has[t.kind] = true
	}
	for k, ok := range has {
		if !ok {
			if err := m.feed.absent(kind(k)); err != nil {
				return err
			}
		}
	}
	for _, t := range m.tracks {
		// Where the first sample carries parameters, they are right and the index may be vague (the channels of MP3).
		if err := m.look(t); err != nil {
			return err
		}
		if t.head != nil {
			if payload, err := m.load(t.head); err == nil {
				if data, err := t.split(payload); err == nil {
					if c := inBandParams(t.codec, data); c != nil {
						t.codec = c
					}
				}
			}
		}
		if err := m.feed.codec(t.kind, t.codec, t.timescale, 0); err != nil {
			return err
		}
	}
	return nil
}

// round plays the file once.
func (m *mp4Source) round() error {
	for {
		t, err := m.earliest()
		if err != nil {
			return err
		}
		if t == nil {
			if m.fragmented && m.fragments.cut {
				return ErrTruncated
			}
			return nil
		}
		s := t.head
		t.head = nil
		if err := m.play(t, s); err != nil {
			return err
		}
	}
}

// earliest returns the track whose next sample comes first, with that sample at its head, nil at the end.
func (m *mp4Source) earliest() (*mp4Track, error) {
	var best *mp4Track
	for _, t := range m.tracks {
		if err := m.look(t); err != nil {
			return nil, err
		}
		if t.head == nil {
			continue
		}
		if best == nil || seconds(t.head.dts+t.shift, t.timescale) < seconds(best.head.dts+best.shift, best.timescale) {
			best = t
		}
	}
	return best, nil
}

// look puts the track's next sample at its head, if it can be found without looking too far ahead.
func (m *mp4Source) look(t *mp4Track) error {
	if t.head != nil {
		return nil
	}
	s, err := t.table.read()
	if err != nil {
		return err
	}
	if s != nil {
		t.head = s
		t.nextTime = s.dts + int64(s.duration)
		return nil
	}
	for m.fragmented && len(t.queue) == 0 {
		queued := 0
		for _, o := range m.tracks {
			queued += len(o.queue)
		}
		if queued > maxQueued {
			return nil
		}
		if err := m.fragments.more(m.tracks); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if len(t.queue) > 0 {
		t.head = &t.queue[0]
		t.queue = t.queue[1:]
	}
	return nil
}

// play reads a sample when it is due and hands it on.
func (m *mp4Source) play(t *mp4Track, s *mp4Sample) error {
	dts := m.timeline.place(t.kind, s.dts+t.shift, s.reorder, t.timescale)
	if m.pacer != nil {
		if err := m.pacer.wait(m.ctx, seconds(dts, t.timescale)); err != nil {
			return err
		}
	}
	payload, err := m.load(s)
	if err != nil {
		return err
	}
	data, err := t.split(payload)
	if err != nil {
		if m.bad++; m.bad&(m.bad-1) == 0 {
			m.log.Warn("bad sample skipped", "times", m.bad, "track", t.id, "err", err)
		}
		return nil
	}
	if len(data) == 0 {
		return nil
	}
	m.units++
	return m.feed.unit(t.kind, chunker.Unit{DTS: dts, PTS: dts + s.reorder, Data: data, Captured: m.clock.now()})
}

// load reads a sample.
func (m *mp4Source) load(s *mp4Sample) ([]byte, error) {
	if s.size > maxSample {
		return nil, fmt.Errorf("%w: a sample of %d bytes", ErrBadMP4, s.size)
	}
	if s.offset < 0 || s.offset > m.size-int64(s.size) {
		return nil, ErrTruncated
	}
	payload := make([]byte, s.size)
	if n, err := m.r.ReadAt(payload, s.offset); n < len(payload) {
		return nil, fmt.Errorf("%w: %w", ErrTruncated, err)
	}
	return payload, nil
}

// split takes a sample apart into what a Unit holds.
func (t *mp4Track) split(payload []byte) ([][]byte, error) {
	if len(payload) == 0 {
		return nil, nil
	}
	if t.nalSize > 0 {
		return splitNALs(payload, t.nalSize)
	}
	if _, ok := t.codec.(*codecs.AV1); ok {
		var obus av1.Bitstream
		if err := obus.Unmarshal(payload); err != nil {
			return nil, err
		}
		return withoutDelimiters(obus), nil
	}
	return [][]byte{payload}, nil
}

// splitNALs splits a sample into NAL units that are each preceded by their length in n bytes.
func splitNALs(b []byte, n int) ([][]byte, error) {
	var out [][]byte
	for len(b) > 0 {
		if len(b) < n {
			return nil, fmt.Errorf("%w: a NAL unit without its length", ErrBadMP4)
		}
		size := 0
		for _, v := range b[:n] {
			size = size<<8 | int(v)
		}
		b = b[n:]
		if size > len(b) {
			return nil, fmt.Errorf("%w: a NAL unit of %d bytes where %d are left", ErrBadMP4, size, len(b))
		}
		if size > 0 {
			out = append(out, b[:size:size])
		}
		b = b[size:]
	}
	return out, nil
}
