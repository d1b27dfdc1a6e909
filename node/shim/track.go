package shim

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/playlist"
)

// backlogSpan is how much of a track is looked at, at most, for the distance of its keyframes before the playlist is
// made: TARGETDURATION may not change after.
const backlogSpan = 7 * time.Second

// maxInits is how many init segments are kept before those are let go that nothing needs any more. A broadcast has
// one, and another after each change of format.
const maxInits = 64

// track is one track: its playlist, the chunks it lists, and those who wait for the next.
type track struct {
	broadcast *Broadcast
	info      TrackInfo
	blocks    Blocks
	log       *slog.Logger

	mu      sync.Mutex
	list    *playlist.Playlist // nil until the backlog shows how far keyframes are apart
	backlog []arrival
	chunks  map[playlist.ID]envelope.Chunk // what the list may need
	inits   map[string][]byte              // by CID
	newest  string                         // the init segment that came last
	media   chunker.Info                   // of that
	timer   *time.Timer                    // for the playlist's deadline
	changed chan struct{}                  // closed and renewed with every version of the list
	version uint64
	low     playlist.ID // chunks below are not kept
	texts   texts
	counted playlist.Stats
	ended   bool

	// What was before (past.go).
	recorded  bool
	past      pastState
	told      []playlist.Part // history that came before the list began
	late      *playlist.Playlist
	lateTexts texts

	end  atomic.Pointer[playlist.Report] // where the list ends, for the other tracks' playlists
	used atomic.Int64                    // Unix nanoseconds of the last request
}

type arrival struct {
	playlist.Part
	at time.Time
}

func newTrack(b *Broadcast, info TrackInfo, blocks Blocks) *track {
	t := &track{
		broadcast: b, info: info, blocks: blocks, log: b.log.With("track", info.Name),
		chunks: map[playlist.ID]envelope.Chunk{}, inits: map[string][]byte{}, changed: make(chan struct{}),
	}
	t.used.Store(time.Now().UnixNano())
	return t
}

// asked notes that a player asks for the track.
func (t *track) asked() {
	t.used.Store(time.Now().UnixNano())
	if t.info.Wanted != nil {
		t.info.Wanted()
	}
}

func (t *track) push(c envelope.Chunk, now time.Time) error {
	part := partOf(c)
	if part.Timescale == 0 {
		return fmt.Errorf("chunk %v: %w", c.ID(), playlist.ErrPart)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || t.recorded {
		return nil
	}
	t.ask()
	if err := t.keepInit(c, part); err != nil {
		return err
	}
	id := part.ID()
	_, known := t.chunks[id]
	if !known && !part.End && !id.Less(t.low) && len(t.chunks) < t.room() {
		t.chunks[id] = c
	}
	if t.list == nil {
		if known {
			return nil
		}
		t.backlog = append(t.backlog, arrival{part, now})
		return t.begin(c, now, false)
	}
	err := t.list.Push(part, now)
	if t.late != nil {
		err = errors.Join(err, t.late.Push(part, now))
	}
	t.update(now)
	return err
}

// partOf returns what a playlist must know of a chunk.
func partOf(c envelope.Chunk) playlist.Part {
	part := playlist.Part{
		Epoch: c.Epoch, Seq: c.Seq, Timescale: c.Timescale, DecodeTime: c.DecodeTime, Duration: c.Duration,
		Independent:   c.Flags.Has(envelope.Independent),
		Discontinuity: c.Flags.Has(envelope.Discontinuity),
		End:           c.Flags.Has(envelope.End),
		Captured:      c.Captured, Size: len(c.Block),
	}
	if c.Envelope.Init.Defined() {
		part.Init = c.Envelope.Init.String()
	}
	return part
}

// keepInit notes the chunk's init segment.
func (t *track) keepInit(c envelope.Chunk, part playlist.Part) error {
	if part.End || t.inits[part.Init] != nil && t.newest == part.Init {
		return nil
	}
	if t.inits[part.Init] == nil {
		if len(c.Init) == 0 {
			if part.Independent {
				return fmt.Errorf("chunk %v: %w", c.ID(), ErrNoInit)
			}
			return nil
		}
		if len(t.inits) >= maxInits {
			t.releaseInits()
		}
		t.inits[part.Init] = c.Init
	}
	t.describe(part.Init)
	return nil
}

// describe takes an init segment that is here as the one that tells what the track is.
func (t *track) describe(name string) {
	if info, err := chunker.Describe(t.inits[name]); err != nil {
		t.log.Warn("init segment not understood", "init", name, "err", err)
	} else {
		t.media = info
	}
	first := t.newest == ""
	t.newest = name
	if first {
		t.broadcast.server.Changed()
	}
}

// releaseInits lets go of init segments that no chunk at hand needs.
func (t *track) releaseInits() {
	used := map[string]bool{}
	for _, c := range t.chunks {
		used[c.Envelope.Init.String()] = true
	}
	for name := range t.inits {
		if !used[name] {
			delete(t.inits, name)
		}
	}
}

// room is how many chunks are held at most.
func (t *track) room() int {
	if t.list == nil {
		return 1 << 13
	}
	return int(2*t.broadcast.server.cfg.Window/t.list.Config().PartTarget) + 1<<13
}

// begin makes the playlist once the backlog tells how far keyframes are apart, or is long enough, or there
// will be no more.
func (t *track) begin(c envelope.Chunk, now time.Time, force bool) error {
	span, end := time.Duration(0), false
	parts := make([]playlist.Part, 0, len(t.backlog))
	for _, a := range t.backlog {
		end = end || a.End
		span += a.Length()
		parts = append(parts, a.Part)
	}
	target, known := playlist.TargetDuration(parts)
	if t.info.TargetDuration > 0 {
		target, known = t.info.TargetDuration, true
	} else if first := t.broadcast.first(); first != t {
		// Players want one TARGETDURATION of all tracks: the first one's.
		settled := time.Duration(t.broadcast.target.Load())
		if known = settled > 0; known {
			target = settled
		}
	}
	if !known && span < backlogSpan && !end && !force {
		return nil
	}
	list, err := playlist.New(playlist.Config{
		PartTarget: max(c.PartTargetTime(), time.Millisecond), TargetDuration: target,
		Window: t.window(), Grace: t.broadcast.server.cfg.Grace,
	})
	if err != nil {
		t.backlog = t.backlog[1:]
		return err
	}
	t.list = list
	t.broadcast.target.CompareAndSwap(0, int64(list.Config().TargetDuration))
	for _, a := range t.backlog {
		if err := list.Push(a.Part, a.at); err != nil {
			t.log.Warn("chunk not listed", "err", err)
		}
	}
	t.backlog = nil
	list.Tick(now)
	t.update(now)
	return nil
}

// window is how much the lists list.
func (t *track) window() time.Duration {
	if t.info.History != nil {
		return t.broadcast.server.cfg.DVR
	}
	return t.broadcast.server.cfg.Window
}

// update follows a change of the playlist.
func (t *track) update(now time.Time) {
	if t.told != nil && !t.list.Empty() {
		parts := t.told
		t.told = nil
		t.remember(parts, now)
	}
	deadline, ok := t.list.Deadline()
	version := t.list.Version()
	if t.late != nil {
		version += t.late.Version()
		if d, again := t.late.Deadline(); again && (!ok || d.Before(deadline)) {
			deadline, ok = d, true
		}
	}
	if ok {
		wait := max(deadline.Sub(now), time.Millisecond)
		if t.timer == nil {
			t.timer = time.AfterFunc(wait, t.tick)
		} else {
			t.timer.Reset(wait)
		}
	} else if t.timer != nil {
		t.timer.Stop()
	}
	if version == t.version {
		return
	}
	t.version = version
	t.wake()
	stats := t.list.Stats()
	t.broadcast.server.metrics.parts(t.counted, stats)
	t.counted = stats
	t.release()
	t.report()
	if t.list.Ended() && !t.ended {
		t.ended = true
		go t.broadcast.trackEnded()
	}
}

// wake lets those who wait look again.
func (t *track) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// report tells the other tracks' playlists where this one ends, once its numbers are settled.
func (t *track) report() {
	if msn, part, ok := t.list.Last(); ok && t.past != pastAsked {
		t.end.Store(&playlist.Report{URI: "../" + t.info.Name + "/index.m3u8", MSN: msn, Part: part})
	}
}

// release lets go of chunks that cannot be asked for any more.
func (t *track) release() {
	low, ok := t.list.Oldest()
	if t.info.History != nil {
		low, ok = t.list.Since(t.broadcast.server.cfg.Window)
	} else if t.blocks != nil {
		var first playlist.Part
		first, ok = t.list.First()
		low = first.ID()
	}
	if !ok || low == t.low {
		return
	}
	t.low = low
	for id := range t.chunks {
		if id.Less(low) {
			delete(t.chunks, id)
		}
	}
}

func (t *track) tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.list.Tick(now)
	if t.late != nil {
		t.late.Tick(now)
	}
	t.update(now)
}

func (t *track) finish(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.list == nil && len(t.backlog) > 0 {
		last := t.backlog[len(t.backlog)-1]
		if c, ok := t.chunks[last.ID()]; ok {
			if err := t.begin(c, now, true); err != nil {
				t.log.Warn("no playlist", "err", err)
			}
		}
	}
	if t.recorded {
		return
	}
	if t.list != nil {
		t.list.Finish(now)
		if t.late != nil {
			t.late.Finish(now)
		}
		t.update(now)
	}
	if !t.ended {
		t.ended = true
		t.wake()
	}
}

func (t *track) hasEnded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended
}

func (t *track) changes() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// with runs f on the playlist, where there is one.
func (t *track) with(f func(*playlist.Playlist)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.list != nil {
		f(t.list)
	}
}

// chunk returns a chunk that the playlist has, or had not long ago.
func (t *track) chunk(id playlist.ID) (envelope.Chunk, bool) {
	t.mu.Lock()
	c, ok := t.chunks[id]
	t.mu.Unlock()
	if !ok && t.blocks != nil {
		c, ok = t.blocks.Chunk(envelope.ID{Epoch: id.Epoch, Seq: id.Seq})
	}
	return c, ok && len(c.Block) > 0
}

// described reports whether the track's media is known, and whether that is by what has come of it.
func (t *track) described() (known, come bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	come = t.newest != ""
	return come || t.info.Codecs != "", come
}
