package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/chunker/seal"
	"murmuration/mesh"
	"murmuration/node/archive"
)

// mainTrack is the track with picture and sound.
const mainTrack = "main"

// errEnded is what a publisher gets whose broadcast was ended.
var errEnded = errors.New("the broadcast has ended")

// broadcast is one live session at the origin: units in, chunks out to the mesh and to the local face. It is the
// ingest.Sink of its publisher. It has its name from the start, and goes on air with the first chunk.
type broadcast struct {
	host *participant
	key  ed25519.PrivateKey
	log  *slog.Logger

	// What it was made with.
	id        string
	created   time.Time
	epoch     uint64        // of its chunks; higher than any that it had before a restart
	streamKey string        // what its encoder gives; empty where the feed is not RTMP
	standing  bool          // the key outlives the broadcast: the next publish with it opens another
	asked     bool          // made by a program, or resumed: on the page and in the mesh before its first picture
	grace     time.Duration // how long a feed that broke off may take to return
	webhook   string        // of this broadcast alone; may be empty
	secret    *seal.Secret  // of a private one; nil: it is public

	live      func(*broadcast)                  // told once, when the first chunk is out
	changed   func(*broadcast)                  // told when it has another track on air
	over      func(*broadcast)                  // told when the grace is over; is to end it
	record    func(envelope.Chunk) error        // takes each chunk before it is published; may be nil
	recording func() (*archive.Recording, bool) // what record has kept; may be nil
	finished  func(*broadcast)                  // told once, when it has ended; may be nil

	mu      sync.Mutex // the publisher's goroutine against all others
	title   string
	started time.Time // when the feed first came; zero before
	ended   time.Time // zero before
	last    time.Time // when an earlier process was last seen with it; zero where there was none
	cutter  *chunker.Cutter
	shown   *showing // nil while it is not in the mesh
	info    mesh.TrackInfo
	onAir   bool          // its first chunk is out; also of a resumed one
	told    chan struct{} // closed when live has returned; nil before it is called
	fed     bool          // an encoder is connected
	waiting *time.Timer   // for the encoder's return
	full    error         // why a chunk was not published, said once
	torn    bool          // chunks are not being recorded
	mender  *mender       // looks for what was not recorded; nil before there is any
	headway headway       // of main's media time, while main comes
	reached time.Duration // main's media time, so far as chunks are out
	sides   []*sideTrack  // further tracks, in the order in which they were declared
}

// Format implements ingest.Sink.
func (b *broadcast) Format(f chunker.Format) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.IsZero() {
		return errEnded
	}
	if b.cutter == nil {
		cutter, err := chunker.New(chunker.Config{
			Key: b.key, Broadcast: b.id, Track: mainTrack, Epoch: b.epoch, Start: b.timeline(time.Now()), Log: b.log,
			Sealer: b.sealer(mainTrack),
		})
		if err != nil {
			return err
		}
		if b.started.IsZero() {
			b.started = time.Now()
		}
		if err := b.open(); err != nil {
			return err
		}
		b.cutter = cutter
	}
	return b.cutter.SetFormat(f)
}

// appear gives the broadcast its place in the mesh and on the page before its feed comes.
func (b *broadcast) appear() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open()
}

func (b *broadcast) open() error {
	if b.shown != nil {
		return nil
	}
	started := b.started
	if started.IsZero() {
		started = b.created
	}
	shown, err := b.host.show(mesh.ChannelOf(b.key), mesh.BroadcastInfo{ID: b.id, Title: b.title, Started: started, Private: b.secret != nil}, b.recording, mesh.JoinConfig{Publish: true})
	if err != nil {
		return err
	}
	b.shown = shown
	return nil
}

// Unit implements ingest.Sink.
func (b *broadcast) Unit(u chunker.Unit) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.IsZero() {
		return errEnded
	}
	chunks, err := b.cutter.Write(u)
	b.emit(chunks)
	return err
}

// Interrupt implements ingest.Sink.
func (b *broadcast) Interrupt() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cutter == nil || !b.ended.IsZero() {
		return nil
	}
	chunks, err := b.cutter.Interrupt()
	b.emit(chunks)
	b.headway.reset()
	return err
}

// end publishes the end mark, and reports whether the broadcast had not ended before. What comes from the publisher
// afterwards is refused.
func (b *broadcast) end() (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended.IsZero() {
		return false, nil
	}
	b.ended = time.Now()
	if b.cutter == nil && !b.last.IsZero() {
		b.ended = b.last // nothing came since
	}
	b.fed = false
	b.stopWaiting()
	var err error
	if b.cutter != nil {
		var chunks []envelope.Chunk
		chunks, err = b.cutter.End()
		for _, t := range b.sides {
			err = errors.Join(err, t.end())
		}
		b.emit(chunks)
	}
	if b.shown != nil {
		b.shown.face.End() // its players may have seen no end mark
	}
	return true, err
}

// emit sends chunks on their way. A chunk that cannot be kept or cannot go out is said once; the broadcast goes on.
func (b *broadcast) emit(chunks []envelope.Chunk) {
	for _, c := range chunks {
		if !b.mayGo(c) {
			continue
		}
		if b.info.Name == "" {
			b.info = b.shown.describe(c)
		}
		if err := b.send(b.shown.main, c); err != nil && b.full == nil {
			b.full = err
			b.log.Warn("a chunk was not published", "broadcast", b.id, "chunk", c.ID(), "err", err)
		}
		b.lead(c)
		if !b.onAir {
			told := make(chan struct{})
			b.onAir, b.told = true, told
			go func() { defer close(told); b.live(b) }()
		}
	}
}

// send puts a chunk of any track on its way: it is kept before anybody else gets it, then shown and published.
func (b *broadcast) send(s *strand, c envelope.Chunk) error {
	b.keep(c)
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	return errors.Join(s.push(c), s.track.Publish(ctx, c))
}

// publishTimeout bounds how long a chunk may take to be handed to the mesh.
const publishTimeout = time.Second

// lead lets the further tracks follow a chunk of main. The caller holds b.mu.
func (b *broadcast) lead(c envelope.Chunk) {
	if c.Flags.Has(envelope.End) {
		return
	}
	if c.Flags.Has(envelope.Discontinuity) {
		b.headway.reset()
		for _, t := range b.sides {
			t.unsettle()
			if err := t.breakOff(); err != nil {
				b.log.Warn("a further track does not follow main", "broadcast", b.id, "track", t.name, "err", err)
			}
		}
	}
	b.headway.add(c.Captured, c.Time())
	b.reached = c.Time() + c.DurationTime()
	for _, t := range b.sides {
		t.keepUp(b.reached)
	}
}

// keep hands a chunk to the recording, which is to have it before anybody else.
func (b *broadcast) keep(c envelope.Chunk) {
	if b.record == nil {
		return
	}
	err := b.record(c)
	if err != nil && !b.torn {
		b.log.Error("not recording: the broadcast goes on without", "broadcast", b.id, "chunk", c.ID(), "err", err)
		b.host.cfg.Tell(fmt.Sprintf("NOT RECORDING %q (%s), the broadcast goes on: %v", b.title, b.id, err))
		b.host.shim.Changed()
	} else if err == nil && b.torn {
		b.log.Warn("recording again", "broadcast", b.id, "chunk", c.ID())
		b.host.cfg.Tell(fmt.Sprintf("recording %q (%s) again", b.title, b.id))
		b.host.shim.Changed()
		b.heal()
	}
	b.torn = err != nil
}

// came notes that an encoder publishes.
func (b *broadcast) came() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fed = b.ended.IsZero()
	b.stopWaiting()
}

// gone notes that the encoder has gone, or that there is none after a restart. The grace begins.
func (b *broadcast) gone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fed = false
	b.stopWaiting()
	if !b.ended.IsZero() {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(b.grace, func() {
		b.mu.Lock()
		over := b.waiting == timer
		b.mu.Unlock()
		if over {
			b.over(b)
		}
	})
	b.waiting = timer
}

// returning starts the grace anew where it runs: an encoder with the right key is on its way in.
func (b *broadcast) returning() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting != nil {
		b.waiting.Reset(b.grace)
	}
}

func (b *broadcast) stopWaiting() {
	if b.waiting != nil {
		b.waiting.Stop()
		b.waiting = nil
	}
}

// listed returns how the channel record lists the broadcast; false before its first chunk.
func (b *broadcast) listed() (mesh.BroadcastInfo, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.onAir {
		return mesh.BroadcastInfo{}, false
	}
	info := mesh.BroadcastInfo{
		ID: b.id, Title: b.title, Started: b.started, Ended: b.ended, Tracks: []mesh.TrackInfo{b.info}, Private: b.secret != nil,
	}
	for _, t := range b.sides {
		if t.info.Name != "" {
			info.Tracks = append(info.Tracks, t.info)
		}
	}
	return info, true
}

// goingLive returns a channel that is closed when everybody was told of the first chunk; nil where there is none yet.
func (b *broadcast) goingLive() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told
}

// String names the broadcast in messages.
func (b *broadcast) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("%q (%s)", b.title, b.id)
}

// endedWithin reports whether the broadcast ended less than d ago.
func (b *broadcast) endedWithin(d time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ended.IsZero() && time.Since(b.ended) < d
}

// isLive reports whether the broadcast has not ended; it may not have begun.
func (b *broadcast) isLive() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended.IsZero()
}

// retitle gives the broadcast another title, here, on the local page and in the next channel record.
func (b *broadcast) retitle(title string) {
	b.mu.Lock()
	b.title = title
	b.mu.Unlock()
	b.host.retitle(b.id, title)
}

// hide takes an ended broadcast off the mesh and the page, with the memory that it takes up there.
func (b *broadcast) hide() {
	b.mu.Lock()
	shown := b.shown
	if b.ended.IsZero() {
		shown = nil
	} else {
		b.shown = nil
	}
	b.mu.Unlock()
	if shown != nil {
		shown.hide()
	}
	b.host.retitle(b.id, "")
}
