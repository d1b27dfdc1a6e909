package chunker

import "time"

const (
	maxStash = 1024
	// soundOff is how long sound may lie off the timeline, while its source jumps, before it is laid on it anew.
	soundOff = 24 // frames
	// maxFill is how long a gap of timed sound may be to be filled with silence.
	maxFill = time.Minute
)

// writeAudio takes in the frames of an audio unit.
func (c *Cutter) writeAudio(u Unit) {
	if c.video == nil {
		c.writeAudioAlone(u)
		return
	}
	if !c.anchored {
		c.keep(u)
		return
	}
	c.addAudio(u)
	c.driveBySound()
}

// keep stashes sound that has no place yet. Where the picture stays away for too long, the sound starts alone.
func (c *Cutter) keep(u Unit) {
	if len(c.stash) >= maxStash {
		c.stash = append(c.stash[:0], c.stash[maxStash/2:]...)
	}
	c.stash = append(c.stash, u)
	if len(c.units) > 0 && c.measured() {
		c.endMeasuring()
	}
	v := c.video
	if c.anchored || !v.waiting || !configured(v.wanted) {
		return
	}
	first := c.stash[0]
	if d, ok := sub(u.DTS, first.DTS); ok && d >= 0 && d < maxDelta && span(d, c.audio.in) < c.cfg.KeyWait &&
		len(c.stash) < maxStash-1 {
		return
	}
	c.warn("no picture", "no picture came, starting with the sound alone", "waited", c.cfg.KeyWait)
	c.settleTarget()
	if c.init == nil && !c.setInit(v.wanted) {
		return
	}
	// What is old is left out: a live feed starts now.
	c.stash = nil
	c.anchor(u.DTS, c.audio.in)
	v.lost = true
	c.addAudio(u)
}

// addAudio finds the place of a unit's frames on the timeline.
func (c *Cutter) addAudio(u Unit) {
	a := c.audio
	limit := c.cfg.Jump
	if !a.started {
		limit *= 3 // streams may begin well apart
	}
	if a.filled {
		limit = max(limit, maxSlack) // it may merely be late
	}
	t, ok := c.place(&a.clock, u.DTS, a.next, limit)
	if !ok {
		// Either the picture jumps too and is yet to come, or the two streams' times have parted.
		c.stash = append(c.stash, u)
		if len(c.stash) < soundOff {
			return
		}
		c.cfg.Log.Info("audio timestamps jumped without the picture's", "dts", u.DTS, "broadcast", c.cfg.Broadcast)
		stash := c.stash
		c.stash = nil
		a.base, a.outBase, a.wrap = stash[0].DTS, a.next, 0
		for _, s := range stash {
			if t, ok := c.place(&a.clock, s.DTS, a.next, limit); ok {
				c.addFrames(s, t)
			}
		}
		return
	}
	c.stash = nil
	c.addFrames(u, t)
}

// addFrames puts a unit's frames at t and after.
func (c *Cutter) addFrames(u Unit, t int64) {
	a := c.audio
	for _, data := range u.Data {
		dur := frameDuration(a.codec, data)
		if len(data) == 0 || dur == 0 || len(data) > maxAudioFrame {
			c.warn("audio frame", "audio frame left out: it is damaged or too large", "bytes", len(data))
			continue
		}
		if !a.add(t, data, dur, u.Captured) {
			if a.filled && a.absent {
				// Silence was put where this frame belongs: it came later than sound was waited for.
				c.slack = min(2*c.slack, maxSlack)
			}
			a.absent = false
		}
		t += dur
	}
}

// writeAudioAlone takes in the frames of an audio unit where there is no video.
func (c *Cutter) writeAudioAlone(u Unit) {
	a := c.audio
	if c.target == 0 && len(u.Data) > 0 {
		a.frame = frameDuration(a.codec, u.Data[0])
		c.settleTarget()
	}
	if c.init == nil {
		init, err := c.makeInit(nil, a.codec)
		if err != nil {
			c.err = err
			return
		}
		c.useInit(init)
	}
	if !c.anchored {
		c.anchor(u.DTS, a.in)
	}
	limit := c.cfg.Jump
	if c.cfg.Timed {
		limit = maxFill
	}
	t, ok := c.place(&a.clock, u.DTS, a.next, limit)
	if data, _ := silence(a.codec); ok && data == nil && t-a.next > ticks(audioLimit, a.out) {
		ok = false
	}
	if !ok {
		c.cfg.Log.Info("audio timestamps jumped", "dts", u.DTS, "broadcast", c.cfg.Broadcast)
		c.flush()
		c.interruptedAt()
		c.anchor(u.DTS, a.in)
		t = a.next
	}
	c.addFrames(u, t)
	c.cutAudio(false)
}

// cutAudio ends chunks of sound alone: as many frames as stay within PART-TARGET.
func (c *Cutter) cutAudio(flush bool) {
	a := c.audio
	if flush {
		a.release()
	}
	for {
		size, cut := 0, -1
		var dur int64
		for i, f := range a.ready {
			size += len(f.payload)
			if dur+f.dur > c.part || i == maxSamples || size+boxPerSample*i > maxPicture {
				cut = i
				break
			}
			dur += f.dur
			if i+1 == len(a.ready) && flush {
				cut = i + 1
			}
		}
		// A frame of the usual duration more would pass PART-TARGET: no need to wait for it.
		if cut < 0 && len(a.ready) > 0 && dur+a.frame > c.part && dur*100 >= c.part*85 {
			cut = len(a.ready)
		}
		if cut == 0 {
			a.shorten(a.ready[0].dur - c.part)
			continue
		}
		if cut < 0 {
			return
		}
		c.closed = append(c.closed, closedChunk{start: c.start, end: a.ready[cut-1].dts + a.ready[cut-1].dur, breaks: c.breaks})
		c.breaks = false
		c.start = c.closed[len(c.closed)-1].end
		c.emit(false)
	}
}
