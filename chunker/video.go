package chunker

import (
	"fmt"
	"reflect"
	"time"

	"murmuration/chunker/envelope"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

const (
	// blockOverhead is room for the boxes of a chunk without its samples, boxPerSample for what each adds to them.
	blockOverhead = 512
	boxPerSample  = 16
	maxSamples    = 512 // per track and chunk
	maxPicture    = envelope.MaxBlock - 1 - blockOverhead - boxPerSample
	// audioReserve is the room in a chunk that is kept for sound.
	audioReserve = 32 << 10

	// maxOffset bounds how far a picture may be shown after it is decoded.
	maxOffset = 10 * time.Second
	// maxLag is how far decode times may fall behind the source's while long pauses between pictures are bridged.
	maxLag = 5 * time.Second
	// longInterval is from where on a distance between random access points deserves advice, keyless from where on
	// the feed counts as one without them.
	longInterval = 4500 * time.Millisecond
	keyless      = 15 * time.Second
	// stallMargin is how much longer than usual sound may run ahead before the picture counts as stalled.
	stallMargin = 250 * time.Millisecond
	maxLead     = 750 * time.Millisecond
)

// videoTrack lays pictures on the media timeline, in units of 1/90000 s.
type videoTrack struct {
	clock
	index  int
	codec  codecs.Codec // in the init segment
	wanted codecs.Codec // with the parameters last seen in the stream

	waiting  bool  // for a random access point
	lost     bool  // pictures were left out while the timeline went on
	waitFrom int64 // first DTS that was left out, raw
	waited   int   // units left out

	pending []sample // of the open chunk
	bytes   int
	end     int64 // where the decode times of all samples that left end
	real    int64 // decode time of the newest picture by its source
	frame   int64 // between the newest two pictures

	rapAt   int64 // decode time of the newest random access point
	stalled bool  // pictures stay away while the sound goes on
	lead    int64 // how far the sound is usually ahead when a picture comes
}

// await makes the track leave out pictures until a random access point comes.
func (v *videoTrack) await() {
	v.waiting, v.waited = true, 0
}

func (v *videoTrack) reset(at int64) {
	v.real, v.rapAt, v.end = at, at, max(v.end, at)
	v.stalled, v.lost = false, false
	v.pending, v.bytes = nil, 0
}

// writeVideo takes in a picture.
func (c *Cutter) writeVideo(u Unit) {
	v := c.video
	p, err := readPicture(v.wanted, u.Data)
	v.wanted = p.codec
	if err != nil {
		c.cfg.Log.Debug("video unit left out", "err", err, "dts", u.DTS)
		return
	}
	if v.waiting && !c.startsHere(p, u) {
		return
	}
	if len(p.payload) > maxPicture {
		err := fmt.Errorf("%w: %d bytes, the limit is %d", ErrUnitTooLarge, len(p.payload), maxPicture)
		c.warn("large", "picture left out, going on at the next key frame", "err", err)
		if !v.waiting {
			v.await()
			v.lost = true
		}
		return
	}
	if c.target == 0 {
		c.measure(p, u)
		return
	}
	c.addUnit(p, u)
}

// startsHere tells whether the stream may start with this picture.
func (c *Cutter) startsHere(p picture, u Unit) bool {
	v := c.video
	if !configured(p.codec) {
		c.warn("parameters", "waiting for the video codec's parameters", "codec", codecName(p.codec))
		return false
	}
	if !p.rap {
		if v.waited == 0 {
			v.waitFrom = u.DTS
		}
		v.waited++
		d, ok := sub(u.DTS, v.waitFrom)
		if ok && d >= 0 && d < maxDelta && span(d, v.in) < c.cfg.KeyWait && v.waited < 200*int(c.cfg.KeyWait/time.Second+1) {
			return false
		}
		c.warn("no key frame", "no key frame came, starting without one; "+
			"players show nothing until one comes: set a key frame interval of 2 s in the encoder", "waited", c.cfg.KeyWait)
	}
	v.waiting = false
	return true
}

// measure holds pictures back until the frame rate, and with it PART-TARGET, is known.
func (c *Cutter) measure(p picture, u Unit) {
	c.measuring = append(c.measuring, p)
	c.units = append(c.units, u)
	if c.measured() {
		c.endMeasuring()
	}
}

// endMeasuring settles PART-TARGET and lets go what was held back.
func (c *Cutter) endMeasuring() {
	c.settleTarget()
	pictures, units := c.measuring, c.units
	c.measuring, c.units = nil, nil
	for i := range units {
		c.addUnit(pictures[i], units[i])
	}
}

// addUnit finds the picture's place on the timeline.
func (c *Cutter) addUnit(p picture, u Unit) {
	v := c.video
	if c.init == nil || p.codec != v.codec && !reflect.DeepEqual(p.codec, v.codec) {
		if !c.setInit(p.codec) {
			return
		}
	} else if v.lost {
		c.flush()
		c.interruptedAt()
	}
	if !c.anchored {
		c.anchorAt(u)
	}
	limit := max(c.cfg.Jump, min(4*span(v.frame, v.out), maxLag))
	t, ok := c.place(&v.clock, u.DTS, v.real+v.frame, limit)
	if ok && !c.bridgeable(p, t) {
		ok = false
	}
	if !ok {
		c.cfg.Log.Info("video timestamps jumped", "dts", u.DTS, "key_frame", p.rap, "broadcast", c.cfg.Broadcast)
		c.flush()
		if p.rap {
			c.interruptedAt()
		}
		c.anchorAt(u)
		t = c.start
	}
	c.addPicture(p, t, t+c.offset(u), u.Captured)
}

// bridgeable tells whether a pause before a picture can be bridged on the timeline as it is.
func (c *Cutter) bridgeable(p picture, t int64) bool {
	v := c.video
	lag := span(t-v.end, videoTimescale)
	if len(v.pending) > 0 {
		lag = span(t-c.start-c.part, videoTimescale)
	}
	if c.audio == nil || c.audio.absent {
		return lag <= maxLag
	}
	return lag <= 2*maxLag || !p.rap
}

// interruptedAt makes the next chunk a discontinuity that starts with the unit at hand.
func (c *Cutter) interruptedAt() {
	c.anchored = false
	c.breaks = c.goesOn() || len(c.closed) > 0
}

// anchorAt anchors the timeline at a video unit and lets the sound that came before it have its place.
func (c *Cutter) anchorAt(u Unit) {
	c.anchor(u.DTS, c.video.in)
	if c.audio == nil {
		return
	}
	stash := c.stash
	c.stash = nil
	for _, s := range stash {
		c.addAudio(s)
	}
}

// offset returns how long after its decode time a picture is shown.
func (c *Cutter) offset(u Unit) int64 {
	d, ok := sub(u.PTS, u.DTS)
	if !ok {
		return 0
	}
	for _, w := range wraps {
		if o := d + w; o >= 0 && o < maxDelta {
			if s := span(o, c.video.in); s <= maxOffset {
				return rescale(o, c.video.in, videoTimescale)
			}
		}
	}
	return 0
}

// setInit writes the init segment for a codec whose parameters changed, or that is new.
func (c *Cutter) setInit(codec codecs.Codec) bool {
	v := c.video
	var audio codecs.Codec
	if c.audio != nil {
		audio = c.audio.codec
	}
	init, err := c.makeInit(codec, audio)
	if err != nil {
		c.warn("init", "video left out: the codec's parameters cannot be used", "err", err)
		v.wanted = v.codec
		return false
	}
	c.flush()
	c.interruptedAt()
	v.codec, v.wanted = codec, codec
	c.useInit(init)
	return true
}

// addPicture puts a picture whose source decode time lies at t into the open chunk, which it may end first.
func (c *Cutter) addPicture(p picture, t, pts int64, captured time.Time) {
	v := c.video
	c.observe(p, t)
	dts := t
	if n := len(v.pending); n > 0 {
		dts = max(dts, v.pending[n-1].dts+1, c.start+1)
	}
	gap := max(t-v.real, 1)
	for len(v.pending) > 0 && dts-c.start > c.part {
		c.close(c.start + c.part)
		if c.audio == nil || c.audio.absent {
			break // nothing else to fill the time with: the picture at hand begins at once, and is shown when it is due
		}
	}
	if len(v.pending) > 0 && c.cuts(p, dts, gap) {
		c.close(dts)
	}
	if len(v.pending) == 0 {
		for c.audio != nil && !c.audio.absent && t-c.start > c.part {
			c.close(c.start + c.part) // sound alone
		}
		dts = v.end
	}
	if n := len(v.pending); n > 0 {
		v.pending[n-1].dur = dts - v.pending[n-1].dts
	}
	v.pending = append(v.pending, sample{
		dts: dts, pts: max(pts, dts), rap: p.rap, payload: p.payload, captured: captured,
	})
	v.bytes += len(p.payload)
	if t > v.real {
		v.frame = t - v.real
		v.real = t
	}
}

// cuts is the cut rule: whether the open chunk ends at dts, before the picture p.
func (c *Cutter) cuts(p picture, dts, gap int64) bool {
	v := c.video
	dur := dts - c.start
	full := dur*100 >= c.part*85
	switch {
	case p.rap && (full || !v.pending[0].rap):
		return true
	case full && dur+gap > c.part:
		return true // one picture more would make it too long
	case len(v.pending) >= maxSamples:
		return true
	}
	room := envelope.MaxBlock - 1 - blockOverhead - boxPerSample*(len(v.pending)+1)
	if c.audio != nil {
		room -= audioReserve + min(c.audio.bytes, envelope.MaxBlock/2)
	}
	return v.bytes+len(p.payload) > room
}

// observe warns of long distances between random access points, and notes how far sound usually runs ahead.
func (c *Cutter) observe(p picture, t int64) {
	v := c.video
	if p.rap {
		v.rapAt = t
	}
	switch since := span(t-v.rapAt, videoTimescale); {
	case since > keyless:
		c.warn("keyless", "the feed has no key frames: viewers who come later see nothing; "+
			"set a key frame interval of 2 s in the encoder")
	case since > longInterval:
		c.warn("interval", "key frames are far apart: viewers wait long for their first picture; "+
			"set a key frame interval of 2 s in the encoder", "longer_than", longInterval)
	}
	if c.audio != nil && c.audio.started {
		ahead := min(rescale(c.audio.next, c.audio.out, videoTimescale)-t, ticks(maxLead, videoTimescale))
		v.lead = max(ahead, v.lead-v.lead/64, 0)
	}
	v.stalled = false
}

// driveBySound ends chunks by the sound's time where pictures stay away.
func (c *Cutter) driveBySound() {
	v := c.video
	if !c.anchored || c.target == 0 || c.init == nil || !c.audio.started {
		return
	}
	sound := rescale(c.audio.next, c.audio.out, videoTimescale)
	for {
		limit := c.part + v.lead
		if !v.stalled {
			limit += ticks(stallMargin, videoTimescale)
		}
		if sound-c.start <= limit {
			return
		}
		v.stalled = true
		c.close(c.start + c.part)
	}
}
