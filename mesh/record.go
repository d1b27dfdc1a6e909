package mesh

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
)

// Bounds of a channel record.
const (
	maxRecord     = 64 << 10 // bytes encoded
	maxBroadcasts = 64
	maxTracks     = 16
	maxRecordings = 256
	maxExtensions = 32
	maxTitle      = 256 // bytes of UTF-8
	maxCodecs     = 128 // bytes
)

var (
	// ErrRecord is wrapped by errors about a record that is malformed or out of bounds.
	ErrRecord = errors.New("mesh: malformed channel record")
	// ErrRecordSignature means that a record is not signed by its channel's key.
	ErrRecordSignature = errors.New("mesh: channel record not signed by the channel")
)

// recordDomain keeps a record's signature from being taken for that of something else.
const recordDomain = "murmur channel record 1\x00"

// Record is what a channel says of itself: what is on, what was. The one with the highest version counts.
type Record struct {
	Channel envelope.Channel
	Version uint64    // grows with each record: Unix milliseconds of its making, or one more than the last
	Issued  time.Time // UTC, milliseconds; the origin makes a new one every ten seconds

	Title      string
	Broadcasts []BroadcastInfo // live ones and lately ended ones, oldest first
	Recordings []RecordingInfo

	// Extensions are later versions' fields by name: canonical dag-cbor, kept as they are.
	Extensions map[string][]byte

	Signature [ed25519.SignatureSize]byte
}

// BroadcastInfo describes a broadcast in a record.
type BroadcastInfo struct {
	ID      string
	Title   string
	Started time.Time // UTC, milliseconds
	Ended   time.Time // zero while it is live
	Tracks  []TrackInfo
	Private bool // it needs a link with its key
}

// Live reports whether the broadcast has not ended.
func (b BroadcastInfo) Live() bool { return b.Ended.IsZero() }

// TrackInfo describes a track of a broadcast in a record.
type TrackInfo struct {
	Name          string
	Codecs        string // RFC 6381, such as avc1.64001f,mp4a.40.2
	Width, Height int    // pixels; zero without video
	Bitrate       int    // bits per second, about; zero where not known
}

// RecordingInfo describes a finished broadcast that can be had as a whole.
type RecordingInfo struct {
	Broadcast string
	Title     string
	Started   time.Time     // UTC, milliseconds
	Duration  time.Duration // milliseconds
	Root      cid.Cid       // of the UnixFS directory
	Size      int64         // bytes
	Private   bool          // it needs a link with its broadcast's key
}

// Live returns the broadcasts that have not ended.
func (r Record) Live() []BroadcastInfo {
	var live []BroadcastInfo
	for _, b := range r.Broadcasts {
		if b.Live() {
			live = append(live, b)
		}
	}
	return live
}

// Current returns the broadcast that is on: of several live ones, the one that started last.
func (r Record) Current() (BroadcastInfo, bool) {
	var current BroadcastInfo
	found := false
	for _, b := range r.Live() {
		if !found || !b.Started.Before(current.Started) {
			current, found = b, true
		}
	}
	return current, found
}

// Sign sets the channel and signs the record with its key. Times are cut to milliseconds, which is what the encoding
// holds.
func (r *Record) Sign(key ed25519.PrivateKey) error {
	r.Channel = ChannelOf(key)
	r.round()
	r.Signature = [ed25519.SignatureSize]byte{}
	if err := r.check(); err != nil {
		return err
	}
	raw, err := r.encode()
	if err != nil {
		return err
	}
	copy(r.Signature[:], ed25519.Sign(key, append([]byte(recordDomain), raw...)))
	return nil
}

// Verify reports whether the record is signed by its channel's key.
func (r Record) Verify() error {
	sig := r.Signature
	r.Signature = [ed25519.SignatureSize]byte{}
	raw, err := r.encode()
	if err != nil {
		return err
	}
	if !ed25519.Verify(r.Channel[:], append([]byte(recordDomain), raw...), sig[:]) {
		return ErrRecordSignature
	}
	return nil
}

// round cuts what is finer than the encoding.
func (r *Record) round() {
	ms := func(t time.Time) time.Time {
		if t.IsZero() {
			return time.Time{}
		}
		return time.UnixMilli(t.UnixMilli()).UTC()
	}
	r.Issued = ms(r.Issued)
	broadcasts := make([]BroadcastInfo, len(r.Broadcasts))
	for i, b := range r.Broadcasts {
		b.Started, b.Ended = ms(b.Started), ms(b.Ended)
		broadcasts[i] = b
	}
	recordings := make([]RecordingInfo, len(r.Recordings))
	for i, rec := range r.Recordings {
		rec.Started, rec.Duration = ms(rec.Started), rec.Duration.Truncate(time.Millisecond)
		recordings[i] = rec
	}
	r.Broadcasts, r.Recordings = broadcasts, recordings // the caller's slices stay as they are
}

// check holds the record to its bounds.
func (r Record) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrRecord}, args...)...)
	}
	if len(r.Broadcasts) > maxBroadcasts || len(r.Recordings) > maxRecordings || len(r.Extensions) > maxExtensions {
		return bad("%d broadcasts, %d recordings, %d extensions", len(r.Broadcasts), len(r.Recordings), len(r.Extensions))
	}
	if err := checkText(r.Title, maxTitle); err != nil {
		return bad("title: %v", err)
	}
	seen := map[string]bool{}
	for _, b := range r.Broadcasts {
		if err := envelope.CheckName(b.ID); err != nil {
			return bad("broadcast: %v", err)
		}
		if seen[b.ID] {
			return bad("broadcast %s twice", b.ID)
		}
		seen[b.ID] = true
		if err := checkText(b.Title, maxTitle); err != nil {
			return bad("title of %s: %v", b.ID, err)
		}
		if len(b.Tracks) > maxTracks {
			return bad("broadcast %s has %d tracks", b.ID, len(b.Tracks))
		}
		if err := checkTime(b.Started); err != nil {
			return bad("broadcast %s: %v", b.ID, err)
		}
		if err := checkTime(b.Ended); !b.Ended.IsZero() && err != nil {
			return bad("broadcast %s: %v", b.ID, err)
		}
		names := map[string]bool{}
		for _, t := range b.Tracks {
			if err := envelope.CheckName(t.Name); err != nil {
				return bad("track of %s: %v", b.ID, err)
			}
			if names[t.Name] {
				return bad("track %s of %s twice", t.Name, b.ID)
			}
			names[t.Name] = true
			if err := checkText(t.Codecs, maxCodecs); err != nil {
				return bad("codecs of %s: %v", t.Name, err)
			}
			if t.Width < 0 || t.Width > 1<<16 || t.Height < 0 || t.Height > 1<<16 || t.Bitrate < 0 || t.Bitrate > 1<<40 {
				return bad("track %s: %d x %d at %d bit/s", t.Name, t.Width, t.Height, t.Bitrate)
			}
		}
	}
	for _, rec := range r.Recordings {
		if err := envelope.CheckName(rec.Broadcast); err != nil {
			return bad("recording: %v", err)
		}
		if err := checkText(rec.Title, maxTitle); err != nil {
			return bad("title of %s: %v", rec.Broadcast, err)
		}
		if !rec.Root.Defined() || rec.Size < 0 || rec.Duration < 0 || rec.Duration > 365*24*time.Hour {
			return bad("recording %s", rec.Broadcast)
		}
		if err := checkTime(rec.Started); err != nil {
			return bad("recording %s: %v", rec.Broadcast, err)
		}
	}
	if err := checkTime(r.Issued); err != nil {
		return bad("issued: %v", err)
	}
	for k := range r.Extensions {
		if err := checkText(k, 40); err != nil || k == "" {
			return bad("extension %q", k)
		}
	}
	return nil
}

// checkTime refuses times that the encoding does not hold (before 1970) or that arithmetic would not (after 9999).
func checkTime(t time.Time) error {
	if ms := t.UnixMilli(); ms < 0 || ms >= 253_402_300_800_000 {
		return fmt.Errorf("the time %v", t)
	}
	return nil
}

// checkText refuses what is not plain text: a title ends up on a page and in a terminal.
func checkText(s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%d bytes are more than %d", len(s), limit)
	}
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	for _, c := range s {
		if unicode.IsControl(c) {
			return errors.New("a control character")
		}
	}
	return nil
}

// sameContent reports whether two records say the same, apart from when.
func (r Record) sameContent(o Record) bool {
	for _, x := range []*Record{&r, &o} {
		x.Version, x.Issued, x.Signature = 0, time.UnixMilli(0), [ed25519.SignatureSize]byte{}
	}
	a, aerr := r.encode()
	b, berr := o.encode()
	return aerr == nil && berr == nil && bytes.Equal(a, b)
}
