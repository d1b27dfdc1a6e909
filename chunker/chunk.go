package chunker

import (
	"fmt"
	"time"

	"murmuration/chunker/envelope"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

const (
	// soundMargin is how much of a chunk's sound may be missing when it leaves: it goes with the next.
	soundMargin = 50 * time.Millisecond
	// maxSlack bounds how long sound is waited for.
	maxSlack = 5 * time.Second
	// maxClosed and maxClosedBytes bound what waits for its sound.
	maxClosed      = 32
	maxClosedBytes = 8 << 20
	// previousLinks is how many previous envelopes are linked to: 1, 2, 4 and 8 back.
	previousLinks = 4
	// initEvery is how often a feed without key frames carries its init segment, in chunks.
	initEvery = 8
)

// closedChunk is a chunk whose end is settled. Its sound may still be on the way.
type closedChunk struct {
	start, end int64 // in the lead stream's timescale
	video      []sample
	bytes      int
	breaks     bool
}

// close ends the open chunk of a format with video at a time after its last picture.
func (c *Cutter) close(end int64) {
	v := c.video
	if n := len(v.pending); n > 0 {
		last := &v.pending[n-1]
		last.dur = end - last.dts
		v.end = end
	}
	c.closed = append(c.closed, closedChunk{
		start: c.start, end: end, video: v.pending, bytes: v.bytes, breaks: c.breaks,
	})
	c.start, c.breaks = end, false
	v.pending, v.bytes = nil, 0
}

// emit seals the chunks whose sound is there, or all of them.
func (c *Cutter) emit(all bool) {
	for len(c.closed) > 0 {
		ch := c.closed[0]
		if c.video != nil && c.audio != nil && !all && !c.soundIsThere(ch) {
			return
		}
		c.closed = c.closed[1:]
		var sound []sample
		if c.audio != nil {
			if c.audio.absent {
				c.audio.fill(rescale(ch.end, c.scale, c.audio.out))
			}
			room := envelope.MaxBlock - 1 - blockOverhead - boxPerSample*(len(ch.video)+maxSamples) - ch.bytes
			if c.video == nil {
				room = envelope.MaxBlock
			}
			sound = c.audio.take(rescale(ch.end, c.scale, c.audio.out), room, all && len(c.closed) == 0)
		}
		c.seal(ch, sound)
	}
}

// soundIsThere tells whether a chunk need not wait for its sound any longer.
func (c *Cutter) soundIsThere(ch closedChunk) bool {
	a := c.audio
	if a.absent || a.next+ticks(soundMargin, a.out) >= rescale(ch.end, c.scale, a.out) {
		return true
	}
	size := 0
	for _, w := range c.closed {
		size += w.bytes
	}
	if span(c.video.real-ch.end, videoTimescale) <= c.slack && len(c.closed) < maxClosed && size < maxClosedBytes {
		return false
	}
	a.absent = true
	c.warn("sound stays away", "sound stays away, going on without it", "waited", c.slack)
	return true
}

// flush ends all chunks with what is there.
func (c *Cutter) flush() {
	if len(c.units) > 0 {
		c.endMeasuring()
	}
	if !c.anchored {
		return
	}
	if c.video == nil {
		c.cutAudio(true)
	} else {
		c.flushVideo()
		c.emit(true)
	}
	if a := c.audio; a != nil {
		// What found no room in the last chunk is left out; the next sound takes its place.
		if len(a.ready) > 0 {
			a.next = a.ready[0].dts
		} else if a.held != nil {
			a.next = a.held.dts
		}
		a.ready, a.held, a.bytes = nil, nil, 0
	}
}

func (c *Cutter) flushVideo() {
	v := c.video
	sound := c.start
	if c.audio != nil && c.audio.started && !c.audio.absent {
		sound = min(rescale(c.audio.next, c.audio.out, videoTimescale), c.start+ticks(maxSlack, videoTimescale))
	}
	if n := len(v.pending); n > 0 {
		last := v.pending[n-1].dts
		frame := v.frame
		if frame == 0 {
			frame = videoTimescale / defaultFrameRate
		}
		// The last picture lasts as long as the one before it, or as the sound, but no longer than a part may.
		end := last + frame
		if sound-end > ticks(soundMargin, videoTimescale) {
			end = sound
		}
		c.close(max(min(end, c.start+c.part), last+1))
	}
	for sound-c.start > ticks(soundMargin, videoTimescale) {
		c.close(min(sound, c.start+c.part))
	}
}

// makeInit writes an init segment, sealed in a private track.
func (c *Cutter) makeInit(video, audio codecs.Codec) ([]byte, error) {
	init, err := marshalInit(video, audio)
	if err != nil || c.cfg.Sealer == nil {
		return init, err
	}
	return c.cfg.Sealer.SealInit(init)
}

func (c *Cutter) useInit(init []byte) {
	c.init, c.initID = init, envelope.RawCID(init)
}

// seal writes, describes and signs a chunk.
func (c *Cutter) seal(ch closedChunk, sound []sample) {
	part := fmp4.Part{SequenceNumber: uint32(c.seq + 1)}
	size := blockOverhead
	if len(ch.video) > 0 {
		part.Tracks = append(part.Tracks, trackOf(1, ch.video, &size))
	}
	if len(sound) > 0 {
		part.Tracks = append(part.Tracks, trackOf(c.audio.id, sound, &size))
	}
	var buf seekablebuffer.Buffer
	buf.Grow(size)
	if err := part.Marshal(&buf); err != nil {
		c.err = fmt.Errorf("write chunk: %w", err)
		return
	}
	duration := ch.end - ch.start
	e := c.describe(ch.start, duration, capturedOf(ch.video, sound, c.captured))
	if c.video == nil || len(ch.video) > 0 && ch.video[0].rap {
		e.Flags |= envelope.Independent
	}
	if ch.breaks {
		e.Flags |= envelope.Discontinuity
	}
	chunk := envelope.Chunk{Envelope: e, Block: buf.Bytes()}
	rare := c.warned["keyless"] || c.warned["no key frame"]
	if c.seq == 0 || e.Flags&(envelope.Independent|envelope.Discontinuity) != 0 || rare && c.seq%initEvery == 0 {
		chunk.Init = c.init
	}
	if !c.hide(&chunk) {
		return
	}
	fragment := c.cfg.FragmentSize
	if fragment == 0 {
		fragment = envelope.FragmentSize(len(chunk.Block))
	}
	e.SetBlock(chunk.Block, fragment)
	c.captured = e.Captured.Add(span(duration, c.scale))
	c.sign(chunk)
}

// sealEnd makes the end mark.
func (c *Cutter) sealEnd() {
	if c.target == 0 { // nothing was ever cut
		c.target = partTarget(c.cfg.Target, time.Second/defaultFrameRate, false)
		c.part = ticks(c.target, c.scale)
	}
	e := c.describe(c.start, 0, c.captured)
	e.Flags = envelope.End
	chunk := envelope.Chunk{Envelope: e}
	if !c.hide(&chunk) {
		return
	}
	e.SetBlock(nil, c.cfg.FragmentSize)
	c.sign(chunk)
}

// hide seals the block of a private track's chunk.
func (c *Cutter) hide(chunk *envelope.Chunk) bool {
	if c.cfg.Sealer == nil {
		return true
	}
	var err error
	if chunk.Block, chunk.Key, err = c.cfg.Sealer.SealBlock(chunk.Epoch, chunk.Seq, chunk.Block); err != nil {
		c.err = fmt.Errorf("chunk %v: %w", chunk.ID(), err)
	}
	return err == nil
}

// describe starts an envelope.
func (c *Cutter) describe(start, duration int64, captured time.Time) *envelope.Envelope {
	e := &envelope.Envelope{
		Broadcast: c.cfg.Broadcast, Track: c.cfg.Track, Epoch: c.cfg.Epoch, Seq: c.seq,
		Timescale: c.scale, DecodeTime: uint64(start), Duration: uint32(duration), PartTarget: uint32(c.part),
		Captured: captured.Truncate(time.Microsecond).UTC(), Init: c.initID,
	}
	for i := range previousLinks {
		back := uint64(1) << i
		if back > c.seq {
			break
		}
		e.Previous = append(e.Previous, c.cids[(c.seq-back)%uint64(len(c.cids))])
	}
	return e
}

// sign completes a chunk and puts it out. The next one links to it.
func (c *Cutter) sign(chunk envelope.Chunk) {
	raw, err := chunk.Seal(c.cfg.Key)
	if err != nil {
		c.err = fmt.Errorf("chunk %v: %w", chunk.ID(), err)
		return
	}
	chunk.Raw = raw
	c.cids[c.seq%uint64(len(c.cids))] = envelope.CID(raw)
	c.seq++
	c.out = append(c.out, chunk)
}

// trackOf makes a part's track, and counts its bytes.
func trackOf(id int, samples []sample, size *int) *fmp4.PartTrack {
	t := &fmp4.PartTrack{ID: id, BaseTime: uint64(samples[0].dts), Samples: make([]*fmp4.Sample, len(samples))}
	all := make([]fmp4.Sample, len(samples))
	for i, s := range samples {
		all[i] = fmp4.Sample{
			Duration: uint32(s.dur), PTSOffset: int32(s.pts - s.dts), IsNonSyncSample: !s.rap, Payload: s.payload,
		}
		t.Samples[i] = &all[i]
		*size += len(s.payload) + boxPerSample
	}
	return t
}

// capturedOf returns when a chunk's first sample was captured: its first picture, else its first sound, else (silence
// that was put in) when the last chunk ended.
func capturedOf(video, sound []sample, otherwise time.Time) time.Time {
	for _, list := range [][]sample{video, sound} {
		for _, s := range list {
			if us := s.captured.UnixMicro(); us > 0 && us <= envelope.MaxInteger {
				return s.captured
			}
		}
	}
	return otherwise
}
