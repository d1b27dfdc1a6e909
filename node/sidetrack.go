package node

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/mesh"
)

const (
	// sideSettle is for how long units of a further track are held back when its encoder comes: what a network delays comes
	// late, never early, so a second shows how far its clock is from main's.
	sideSettle = time.Second
	// sideHold is how much of it is kept while main is away: main's first chunk tells of what was some time before it.
	sideHold = 3 * time.Second
	// maxSideHeld bounds what is held back.
	maxSideHeld = 2000
	// sideAhead is how far a further track may be ahead of main's chunks, which wait for their sound and for a frame rate.
	sideAhead = 6 * time.Second
	// sideMeasure is after how much media the record tells of a track's bit rate.
	sideMeasure = 5 * time.Second
	// sideLate is how far a further track's sound may lag behind main's chunks before silence takes its place; sideGone is
	// that for one whose encoder is not connected.
	sideLate = time.Second
	sideGone = 250 * time.Millisecond
)

var (
	errSideFormat = errors.New("the encoder of a further track must go on in the format in which it began")
	errSideCodec  = errors.New("a further track of sound alone must be AAC of one or two channels, or Opus")
)

// sideTrack is a further track of a broadcast: another language or quality, from an encoder of its own. It is the
// ingest.Sink of that. The broadcast's life follows main alone: a side track may come late, break off and return, or never
// come, and ends with the broadcast.
//
// Its chunks lie on main's timeline, by when its units come in against when main's do (see headway.go). While main is
// away there is no timeline, and its units are left out. While a track of sound is away, silence takes its place, so that
// the players that listen to it go on; and where main's chunks have a discontinuity its own have one, too, since players
// number the tracks' discontinuities alike.
type sideTrack struct {
	b    *broadcast
	name string

	// Under b.mu.
	format  chunker.Format
	began   chunker.Format // the first one in this epoch; players were told of no other
	cutter  *chunker.Cutter
	strand  *strand
	info    mesh.TrackInfo // without a name before the first chunk
	reached time.Duration  // on main's timeline, by what was sent
	fed     bool
	said    bool           // that its units are left out
	settled bool           // shift is known
	landed  bool           // something was cut since: sound goes on end to end, up to a frame and a half after its media time
	held    []chunker.Unit // before it is
	headway headway
	steer   steer
	media   time.Duration // that was sent
	bytes   int           // likewise
	full    error
	mender  *mender
}

// Format implements ingest.Sink.
func (t *sideTrack) Format(f chunker.Format) error {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.IsZero() {
		return errEnded
	}
	picture := false
	for _, s := range f.Streams {
		picture = picture || s.Codec != nil && s.Codec.IsVideo()
	}
	switch {
	case !picture && !f.Fillable():
		return errSideCodec
	case t.cutter != nil && (!picture || t.began.Fillable()) && !reflect.DeepEqual(f, t.began):
		return errSideFormat
	}
	t.format = f
	t.unsettle()
	if t.cutter != nil {
		return t.cutter.SetFormat(f)
	}
	return nil
}

// unsettle forgets where the encoder's timestamps lie on main's timeline.
func (t *sideTrack) unsettle() {
	t.settled, t.landed, t.held = false, false, nil
	t.headway.reset()
}

// Unit implements ingest.Sink.
func (t *sideTrack) Unit(u chunker.Unit) error {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.IsZero() {
		return errEnded
	}
	main, on := b.headway.ahead()
	if !on && t.settled {
		t.unsettle()
	}
	at := t.time(u)
	if !t.headway.plausible(u.Captured, at) {
		b.log.Info("timestamps of a further track jumped", "broadcast", b.id, "track", t.name)
		t.unsettle()
	}
	t.headway.add(u.Captured, at)
	own, _ := t.headway.ahead()
	if t.settled {
		t.steer.follow(main-own, u.Captured)
		return t.write(u)
	}
	t.held = append(t.held, u)
	for !on && (u.Captured.Sub(t.held[0].Captured) > sideHold || len(t.held) > maxSideHeld) {
		t.held = t.held[1:]
		if !t.said {
			t.said = true
			b.log.Info("a further track is left out while main is away", "broadcast", b.id, "track", t.name)
		}
	}
	if !on || u.Captured.Sub(t.held[0].Captured) < sideSettle && len(t.held) < maxSideHeld {
		return nil
	}
	t.settled, t.said = true, false
	t.steer.set(main-own, u.Captured)
	b.log.Info("a further track is on main's timeline", "broadcast", b.id, "track", t.name, "shift", main-own, "held", len(t.held))
	held := t.held
	t.held = nil
	for _, u := range held {
		if err := t.write(u); err != nil {
			return err
		}
	}
	return nil
}

// time returns a unit's own decode time.
func (t *sideTrack) time(u chunker.Unit) time.Duration {
	if u.Stream < 0 || u.Stream >= len(t.format.Streams) {
		return 0
	}
	s := int64(t.format.Streams[u.Stream].Timescale)
	return time.Duration(u.DTS/s)*time.Second + time.Duration(u.DTS%s)*time.Second/time.Duration(s)
}

// write gives a unit its place on main's timeline and cuts.
func (t *sideTrack) write(u chunker.Unit) error {
	b := t.b
	media := t.time(u) + t.steer.shift
	if media < 0 || u.Stream < 0 || u.Stream >= len(t.format.Streams) {
		return nil // before main's first picture
	}
	if media < t.reached && (!t.landed || !t.format.Fillable()) {
		return nil // there is something already
	}
	if media > b.reached+sideAhead {
		return nil // main's encoder hangs: its timeline will go on where it ended
	}
	if t.cutter == nil {
		cutter, err := chunker.New(chunker.Config{
			Key: b.key, Broadcast: b.id, Track: t.name, Epoch: b.epoch, Start: media, Timed: true, Log: b.log,
			Sealer: b.sealer(t.name),
		})
		if err != nil {
			return err
		}
		if err := cutter.SetFormat(t.format); err != nil {
			return err
		}
		if t.strand == nil {
			if t.strand, err = b.shown.add(t.name); err != nil {
				return err
			}
			t.heal()
		}
		t.cutter, t.began = cutter, t.format
	}
	s := t.format.Streams[u.Stream]
	by := int64(t.steer.shift.Seconds() * float64(s.Timescale))
	u.DTS, u.PTS = u.DTS+by, u.PTS+by
	// By main's clock, not by when it came: so that players see both tracks' dates alike.
	if main, ok := b.headway.ahead(); ok {
		u.Captured = b.headway.at(media - main)
	}
	chunks, err := t.cutter.Write(u)
	t.landed = true
	t.emit(chunks)
	return err
}

// Interrupt implements ingest.Sink.
func (t *sideTrack) Interrupt() error {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	t.unsettle()
	if t.cutter == nil || !t.b.ended.IsZero() || t.format.Fillable() {
		return nil // silence goes on where its sound ended
	}
	return t.breakOff()
}

// breakOff makes the next chunk a discontinuity. The caller holds b.mu.
func (t *sideTrack) breakOff() error {
	if t.cutter == nil {
		return nil
	}
	chunks, err := t.cutter.Interrupt()
	t.emit(chunks)
	return err
}

// keepUp puts silence where sound alone is late, main having come so far. The caller holds b.mu.
func (t *sideTrack) keepUp(main time.Duration) {
	if t.cutter == nil || !t.format.Fillable() {
		return
	}
	late := sideLate
	if !t.fed {
		late = sideGone
	}
	chunks, err := t.cutter.Fill(main - late)
	if err != nil {
		t.b.log.Warn("no silence", "broadcast", t.b.id, "track", t.name, "err", err)
	}
	t.emit(chunks)
}

// end publishes the track's end mark. The caller holds b.mu.
func (t *sideTrack) end() error {
	t.fed = false
	if t.cutter == nil {
		return nil
	}
	chunks, err := t.cutter.End()
	t.emit(chunks)
	return err
}

// emit sends chunks on their way, as main's go. The caller holds b.mu.
func (t *sideTrack) emit(chunks []envelope.Chunk) {
	b := t.b
	for _, c := range chunks {
		if !b.mayGo(c) {
			continue
		}
		if err := b.send(t.strand, c); err != nil && t.full == nil {
			t.full = err
			b.log.Warn("a chunk was not published", "broadcast", b.id, "track", t.name, "chunk", c.ID(), "err", err)
		}
		if !c.Flags.Has(envelope.End) {
			t.reached = c.Time() + c.DurationTime()
		}
		before := t.info
		if t.info.Name == "" {
			t.info = b.shown.describe(c)
		}
		t.media, t.bytes = t.media+c.DurationTime(), t.bytes+len(c.Block)
		if t.info.Bitrate == 0 && t.media > sideMeasure {
			t.info.Bitrate = int(float64(8*t.bytes)/t.media.Seconds()) / 1000 * 1000
		}
		if t.info != before {
			go b.changed(b)
		}
	}
}

// resume takes up a track that an earlier process had on air: peers find it here before its encoder returns. The caller
// holds b.mu.
func (t *sideTrack) resume(info mesh.TrackInfo) {
	strand, err := t.b.shown.add(t.name)
	if err != nil {
		t.b.log.Warn("a further track is not gone on with", "broadcast", t.b.id, "track", t.name, "err", err)
		return
	}
	t.strand, t.info = strand, info
}

// heal begins to fill the gaps of the track's recording. The caller holds b.mu.
func (t *sideTrack) heal() { t.mender = t.b.mend(t.mender, t.strand, t.cutter == nil) }

// came and gone note that its encoder publishes, or does not.
func (t *sideTrack) came() { t.feeds(true) }
func (t *sideTrack) gone() { t.feeds(false) }

func (t *sideTrack) feeds(fed bool) {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	t.fed = fed && t.b.ended.IsZero()
}

// String names the track in messages.
func (t *sideTrack) String() string { return fmt.Sprintf("track %s of %v", t.name, t.b) }
