package chunker

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"murmuration/chunker/envelope"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/ipfs/go-cid"
)

var (
	// ErrConfig is wrapped by what New returns for a configuration that makes no sense.
	ErrConfig = errors.New("invalid configuration of the chunker")
	// ErrNoFormat is returned by Write before the first SetFormat.
	ErrNoFormat = errors.New("access unit before its format")
	// ErrUnit is wrapped by what Write returns for a unit of a stream that the format does not have.
	ErrUnit = errors.New("invalid access unit")
	// ErrUnitTooLarge is wrapped by what is logged for an access unit that no chunk can hold.
	ErrUnitTooLarge = errors.New("access unit does not fit in a chunk")
	// ErrEnded is returned by all methods after End.
	ErrEnded = errors.New("the track has ended")
)

// Config configures a Cutter. Key, Broadcast and Track must be set.
type Config struct {
	Key       ed25519.PrivateKey // the channel's
	Broadcast string
	Track     string
	Epoch     uint64 // Unix seconds of the origin's start

	// Start is where the media timeline begins: 0, or past the end of an earlier epoch of the broadcast, which this one goes
	// on with. The first chunk is a discontinuity then.
	Start time.Duration

	// Timed says that the units' timestamps are media times already: the track lies beside another one, whose timeline
	// theirs is. They are never laid anew; a gap in them is one in media time. Sound alone is drawn to them as sound beside
	// a picture is (FORMAT.md, 5.1), and Fill puts silence where none comes.
	Timed bool

	Target       time.Duration // wanted duration of a chunk; default 250 ms
	FragmentSize int           // bytes; by default what envelope.FragmentSize says of each block

	// Sealer makes the track a private one: all that leaves the cutter is ciphertext. Nil: it is public.
	Sealer Sealer

	KeyWait    time.Duration // how long to wait for a random access point; default 12 s
	Jump       time.Duration // a jump of timestamps beyond this is a discontinuity; default 1 s
	Interleave time.Duration // how far sound may come behind the picture before it counts as missing; default 1 s

	Log *slog.Logger // default: nothing is logged
}

// Sealer makes ciphertext of blocks and init segments; package seal has the one that readers know.
type Sealer interface {
	// SealBlock returns a chunk's block sealed, of the same size, and the key that it is sealed with. Of no bytes it
	// returns none.
	SealBlock(epoch, seq uint64, block []byte) ([]byte, envelope.Key, error)
	// SealInit returns an init segment sealed.
	SealInit(init []byte) ([]byte, error)
}

// maxStart bounds Config.Start, far from where anything overflows.
const maxStart = 10 * 365 * 24 * time.Hour

func (c *Config) complete() error {
	if len(c.Key) != ed25519.PrivateKeySize {
		return fmt.Errorf("%w: %w", ErrConfig, envelope.ErrKey)
	}
	for _, name := range []string{c.Broadcast, c.Track} {
		if err := envelope.CheckName(name); err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	if c.Epoch > envelope.MaxInteger {
		return fmt.Errorf("%w: epoch %d", ErrConfig, c.Epoch)
	}
	for _, d := range []struct {
		v             *time.Duration
		normal        time.Duration
		lowest, limit time.Duration
	}{
		{&c.Target, 250 * time.Millisecond, 20 * time.Millisecond, 10 * time.Second},
		{&c.KeyWait, 12 * time.Second, 0, time.Hour},
		{&c.Jump, time.Second, 100 * time.Millisecond, time.Minute},
		{&c.Interleave, time.Second, 0, time.Minute},
		{&c.Start, 0, 0, maxStart},
	} {
		if *d.v == 0 {
			*d.v = d.normal
		}
		if *d.v < d.lowest || *d.v > d.limit {
			return fmt.Errorf("%w: duration %v is not between %v and %v", ErrConfig, *d.v, d.lowest, d.limit)
		}
	}
	if c.FragmentSize != 0 && c.FragmentSize < 4<<10 || c.FragmentSize > envelope.MaxBlock {
		return fmt.Errorf("%w: fragments of %d bytes, 4096 to %d are possible", ErrConfig, c.FragmentSize, envelope.MaxBlock)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Cutter cuts the units of one track into signed chunks. It is not safe for concurrent use.
//
// The lead stream is the video where there is one, else the audio: chunks begin and end on its samples, and
// DecodeTime and Duration count in its timescale. See FORMAT.md for the rules.
type Cutter struct {
	cfg    Config
	warned map[string]bool

	format Format
	video  *videoTrack // nil without
	audio  *audioTrack // nil without
	scale  uint32      // the lead stream's timescale
	init   []byte      // nil while the video's parameters are not known
	initID cid.Cid

	target time.Duration // PART-TARGET; zero until it is known, then fixed
	part   int64         // the same in the lead stream's timescale

	anchored  bool      // timestamps have a place on the media timeline
	measuring []picture // pictures held back until the frame rate is known, with their units
	units     []Unit
	stash     []Unit // audio that came before the timeline had its anchor, or that lies off it

	start  int64         // of the open chunk on the media timeline
	breaks bool          // the next chunk is a discontinuity
	closed []closedChunk // that wait for their sound
	slack  time.Duration // how long sound is waited for

	seq      uint64
	cids     [envelope.MaxPrevious]cid.Cid // of the last envelopes, by seq modulo the length
	captured time.Time                     // of the end of the last chunk
	out      []envelope.Chunk
	err      error
	ended    bool
}

// New returns a Cutter. SetFormat must come before the first Write.
func New(cfg Config) (*Cutter, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	c := &Cutter{
		cfg: cfg, warned: map[string]bool{}, scale: videoTimescale, slack: cfg.Interleave,
		captured: time.Unix(int64(min(cfg.Epoch, 1<<32)), 0),
	}
	if cfg.Start > 0 {
		c.start = ticks(cfg.Start, c.scale) + 1 // never before it
	}
	return c, nil
}

// SetFormat tells what the following units are. Called again with another format, it ends the chunk at hand: the next
// one is a discontinuity with another init segment. The same format again changes nothing.
func (c *Cutter) SetFormat(f Format) error {
	if c.ended {
		return ErrEnded
	}
	if err := f.check(); err != nil {
		return err
	}
	if reflect.DeepEqual(f, c.format) {
		return nil
	}
	var video, audio codecs.Codec
	for _, s := range f.Streams {
		if s.Codec.IsVideo() {
			video = s.Codec
		} else {
			audio = s.Codec
		}
	}
	if video == nil || configured(video) {
		if _, err := marshalInit(video, audio); err != nil {
			return err
		}
	}
	c.flush()
	c.format = Format{Streams: append([]Stream(nil), f.Streams...)}
	c.setTracks()
	c.interrupted()
	return nil
}

// setTracks makes the tracks of a new format. They go on where those of the last format ended.
func (c *Cutter) setTracks() {
	oldScale, oldAudio := c.scale, c.audio
	c.video, c.audio, c.init = nil, nil, nil
	for i, s := range c.format.Streams {
		if s.Codec.IsVideo() {
			c.video = &videoTrack{
				clock: clock{in: s.Timescale, out: videoTimescale}, index: i, codec: s.Codec, wanted: s.Codec,
			}
		} else {
			rate := uint32(sampleRate(s.Codec))
			c.audio = &audioTrack{clock: clock{in: s.Timescale, out: rate}, index: i, codec: s.Codec, id: 1}
		}
	}
	if c.video != nil {
		c.scale = videoTimescale
		if c.audio != nil {
			c.audio.id = 2
		}
	} else {
		c.scale = c.audio.out
		c.audio.alone = !c.cfg.Timed
	}
	if c.scale != oldScale {
		c.start = rescale(c.start, oldScale, c.scale) + 1 // never back
	}
	if oldAudio != nil && c.audio != nil {
		c.audio.next = rescale(oldAudio.next, oldAudio.out, c.audio.out) + 1
		if c.video == nil {
			c.start = max(c.start, c.audio.next)
		}
	}
	if c.video != nil {
		c.video.end = c.start
	}
	c.part = ticks(c.target, c.scale)
}

// Write takes in a unit and returns the chunks that became complete, oldest first. It keeps the unit's data until
// then: the caller must not change it.
func (c *Cutter) Write(u Unit) ([]envelope.Chunk, error) {
	if c.ended {
		return nil, ErrEnded
	}
	if len(c.format.Streams) == 0 {
		return nil, ErrNoFormat
	}
	switch {
	case c.video != nil && u.Stream == c.video.index:
		c.writeVideo(u)
	case c.audio != nil && u.Stream == c.audio.index:
		c.writeAudio(u)
	default:
		return nil, fmt.Errorf("%w: stream %d of %d", ErrUnit, u.Stream, len(c.format.Streams))
	}
	c.emit(false)
	return c.results()
}

// Interrupt says that the source went away: what is pending leaves, and what comes next, if anything does, is a
// discontinuity.
func (c *Cutter) Interrupt() ([]envelope.Chunk, error) {
	if c.ended {
		return nil, ErrEnded
	}
	c.flush()
	c.interrupted()
	return c.results()
}

// Fill puts silence up to a media time where sound alone is Timed and has not come so far: what its source sends for
// before that is left out. Of a codec whose silence is not known, and of pictures, it makes nothing.
func (c *Cutter) Fill(to time.Duration) ([]envelope.Chunk, error) {
	if c.ended {
		return nil, ErrEnded
	}
	if c.cfg.Timed && c.video == nil && c.audio != nil && c.init != nil && c.fills(ticks(to, c.audio.out)) {
		c.audio.fill(ticks(to, c.audio.out))
		c.cutAudio(false)
	}
	return c.results()
}

// fills reports whether timed sound alone reaches from what there is to a media time with silence.
func (c *Cutter) fills(to int64) bool {
	a := c.audio
	return (c.seq > 0 || a.held != nil || len(a.ready) > 0) && to-a.next <= ticks(maxFill, a.out)
}

// End lets out what is pending and the end mark.
func (c *Cutter) End() ([]envelope.Chunk, error) {
	if c.ended {
		return nil, ErrEnded
	}
	c.flush()
	c.sealEnd()
	c.ended = true
	return c.results()
}

func (c *Cutter) results() ([]envelope.Chunk, error) {
	out, err := c.out, c.err
	c.out, c.err = nil, nil
	return out, err
}

// interrupted forgets the place of the source's timestamps on the media timeline.
func (c *Cutter) interrupted() {
	c.anchored, c.stash, c.units, c.measuring = false, nil, nil, nil
	c.breaks = c.goesOn() || len(c.out) > 0
	if v := c.video; v != nil {
		v.await()
		// The next source starts with the parameters that it announced, whatever the last one changed to.
		if announced := c.format.Streams[v.index].Codec; configured(announced) {
			v.wanted = announced
		}
	}
}

// goesOn reports whether there was something of the timeline before what comes next.
func (c *Cutter) goesOn() bool { return c.cfg.Start > 0 && !c.cfg.Timed || c.seq > 0 }

// warn logs a message, but each kind only once: a feed that is wrong is wrong in every picture.
func (c *Cutter) warn(kind, msg string, args ...any) {
	if c.warned[kind] {
		return
	}
	c.warned[kind] = true
	c.cfg.Log.Warn(msg, append(args, "broadcast", c.cfg.Broadcast, "track", c.cfg.Track)...)
}

// anchor lays a unit's time on the end of the last chunk, or, where timestamps are media times, on itself, and the other
// stream's times with it.
func (c *Cutter) anchor(at int64, scale uint32) {
	c.anchored = true
	media := c.start
	if c.cfg.Timed {
		media = rescale(at, scale, c.scale)
		if c.video != nil || !c.fills(media) {
			c.start = max(c.start, media)
		}
	}
	if c.video != nil {
		c.video.anchor(at, scale, media, c.scale)
		c.video.reset(c.start)
	}
	if c.audio != nil {
		c.audio.anchor(at, scale, media, c.scale)
		c.audio.reset(rescale(c.start, c.scale, c.audio.out))
	}
}

// now is the newest media time of any stream, in microseconds.
func (c *Cutter) now() int64 {
	var t int64
	if c.video != nil {
		t = rescale(c.video.real+c.video.frame, videoTimescale, microseconds)
	}
	if c.audio != nil {
		t = max(t, rescale(c.audio.next, c.audio.out, microseconds))
	}
	return t
}

const microseconds = 1_000_000

// place finds a timestamp's media time. It is off the timeline when it lies further than limit before what its stream
// expects next, or after all that has come.
func (c *Cutter) place(k *clock, raw, expect int64, limit time.Duration) (int64, bool) {
	lo := rescale(expect, k.out, microseconds) - limit.Microseconds()
	hi := c.now() + limit.Microseconds()
	for _, w := range wraps {
		t, ok := k.at(raw, w)
		if us := rescale(t, k.out, microseconds); ok && us >= lo && us <= hi {
			k.wrap += w
			return t, true
		}
	}
	return 0, false
}
