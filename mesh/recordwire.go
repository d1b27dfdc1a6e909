package mesh

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/ipfs/go-cid"
)

// A record is dag-cbor: maps with text keys in length-first order, integers in the shortest form, links under tag 42.
// There is one encoding of a record, and DecodeRecord takes no other: it encodes what it read and compares.
const (
	recordVersion = 1
	tagLink       = 42
)

type recordWire struct {
	V          uint64                     `cbor:"v"`
	Channel    []byte                     `cbor:"channel"`
	Version    uint64                     `cbor:"version"`
	Issued     uint64                     `cbor:"issued"` // Unix milliseconds, as all times here
	Title      string                     `cbor:"title"`
	Broadcasts []broadcastWire            `cbor:"broadcasts"`
	Recordings []recordingWire            `cbor:"recordings"`
	Extensions map[string]cbor.RawMessage `cbor:"ext"`
	Signature  []byte                     `cbor:"sig"`
}

type broadcastWire struct {
	ID      string      `cbor:"id"`
	Title   string      `cbor:"title"`
	Started uint64      `cbor:"started"`
	Ended   *uint64     `cbor:"ended"` // null while it is live
	Tracks  []trackWire `cbor:"tracks"`
}

type trackWire struct {
	Name    string `cbor:"name"`
	Codecs  string `cbor:"codecs"`
	Width   uint64 `cbor:"width"`
	Height  uint64 `cbor:"height"`
	Bitrate uint64 `cbor:"bitrate"`
}

type recordingWire struct {
	Broadcast string   `cbor:"id"`
	Title     string   `cbor:"title"`
	Started   uint64   `cbor:"started"`
	Duration  uint64   `cbor:"duration"` // milliseconds
	Root      cbor.Tag `cbor:"root"`
	Size      uint64   `cbor:"size"`
}

var (
	recordEnc = must(cbor.EncOptions{
		Sort: cbor.SortLengthFirst, IndefLength: cbor.IndefLengthForbidden,
		NilContainers: cbor.NilContainerAsEmpty, ShortestFloat: cbor.ShortestFloatNone,
	}.EncMode())
	recordDec = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, UTF8: cbor.UTF8RejectInvalid,
		MaxNestedLevels: 8, MaxArrayElements: 256, MaxMapPairs: 64,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // options that contradict each other
	}
	return v
}

// Encode returns the record's one encoding.
func (r Record) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return r.encode()
}

func (r Record) encode() ([]byte, error) {
	w := recordWire{
		V: recordVersion, Channel: r.Channel[:], Version: r.Version, Issued: uint64(r.Issued.UnixMilli()), Title: r.Title,
		Broadcasts: make([]broadcastWire, len(r.Broadcasts)), Recordings: make([]recordingWire, len(r.Recordings)),
		Extensions: map[string]cbor.RawMessage{}, Signature: r.Signature[:],
	}
	for i, b := range r.Broadcasts {
		bw := broadcastWire{ID: b.ID, Title: b.Title, Started: uint64(b.Started.UnixMilli()), Tracks: make([]trackWire, len(b.Tracks))}
		if !b.Ended.IsZero() {
			ended := uint64(b.Ended.UnixMilli())
			bw.Ended = &ended
		}
		for j, t := range b.Tracks {
			bw.Tracks[j] = trackWire{t.Name, t.Codecs, uint64(t.Width), uint64(t.Height), uint64(t.Bitrate)}
		}
		w.Broadcasts[i] = bw
	}
	for i, rec := range r.Recordings {
		w.Recordings[i] = recordingWire{
			rec.Broadcast, rec.Title, uint64(rec.Started.UnixMilli()), uint64(rec.Duration / time.Millisecond),
			cbor.Tag{Number: tagLink, Content: append([]byte{0}, rec.Root.Bytes()...)},
			uint64(rec.Size),
		}
	}
	for k, v := range r.Extensions {
		w.Extensions[k] = v
	}
	if err := r.encodePrivate(w.Extensions); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	raw, err := recordEnc.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if len(raw) > maxRecord {
		return nil, fmt.Errorf("%w: %d bytes are more than %d", ErrRecord, len(raw), maxRecord)
	}
	return raw, nil
}

// DecodeRecord reads a record strictly. It checks the bounds, not the signature.
func DecodeRecord(raw []byte) (Record, error) {
	r, err := decodeRecord(raw)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return r, nil
}

func decodeRecord(raw []byte) (Record, error) {
	var r Record
	if len(raw) > maxRecord {
		return r, fmt.Errorf("%d bytes are more than %d", len(raw), maxRecord)
	}
	var w recordWire
	if err := recordDec.Unmarshal(raw, &w); err != nil {
		return r, err
	}
	if w.V != recordVersion {
		return r, fmt.Errorf("version %d", w.V)
	}
	if len(w.Channel) != len(r.Channel) || len(w.Signature) != len(r.Signature) {
		return r, errors.New("channel or signature of another length")
	}
	copy(r.Channel[:], w.Channel)
	copy(r.Signature[:], w.Signature)
	r.Version, r.Title = w.Version, w.Title
	var err error
	if r.Issued, err = wireTime(w.Issued); err != nil {
		return r, err
	}
	for _, bw := range w.Broadcasts {
		b, err := bw.info()
		if err != nil {
			return r, err
		}
		r.Broadcasts = append(r.Broadcasts, b)
	}
	for _, rw := range w.Recordings {
		rec, err := rw.info()
		if err != nil {
			return r, err
		}
		r.Recordings = append(r.Recordings, rec)
	}
	if err := r.decodePrivate(w.Extensions); err != nil {
		return r, err
	}
	for k, v := range w.Extensions {
		if err := canonical(v); err != nil {
			return r, fmt.Errorf("extension %q: %w", k, err)
		}
		if r.Extensions == nil {
			r.Extensions = map[string][]byte{}
		}
		r.Extensions[k] = v
	}
	if err := r.check(); err != nil {
		return r, err
	}
	again, err := r.encode()
	if err != nil {
		return r, err
	}
	if !bytes.Equal(again, raw) {
		return r, errors.New("not in the canonical form")
	}
	return r, nil
}

func (bw broadcastWire) info() (b BroadcastInfo, err error) {
	b = BroadcastInfo{ID: bw.ID, Title: bw.Title}
	if b.Started, err = wireTime(bw.Started); err != nil {
		return b, err
	}
	if bw.Ended != nil {
		if b.Ended, err = wireTime(*bw.Ended); err != nil {
			return b, err
		}
	}
	for _, t := range bw.Tracks {
		if max(t.Width, t.Height, t.Bitrate) > 1<<40 {
			return b, errors.New("track out of bounds")
		}
		b.Tracks = append(b.Tracks, TrackInfo{t.Name, t.Codecs, int(t.Width), int(t.Height), int(t.Bitrate)})
	}
	return b, nil
}

func (rw recordingWire) info() (rec RecordingInfo, err error) {
	rec = RecordingInfo{Broadcast: rw.Broadcast, Title: rw.Title, Size: int64(rw.Size)}
	if rw.Size > math.MaxInt64 || rw.Duration > uint64(math.MaxInt64/time.Millisecond) {
		return rec, errors.New("recording out of bounds")
	}
	rec.Duration = time.Duration(rw.Duration) * time.Millisecond
	if rec.Started, err = wireTime(rw.Started); err != nil {
		return rec, err
	}
	link, ok := rw.Root.Content.([]byte)
	if rw.Root.Number != tagLink || !ok || len(link) < 2 || link[0] != 0 {
		return rec, errors.New("root is not a link")
	}
	rec.Root, err = cid.Cast(link[1:])
	return rec, err
}

func wireTime(ms uint64) (time.Time, error) {
	if ms > math.MaxInt64 {
		return time.Time{}, errors.New("time out of bounds")
	}
	t := time.UnixMilli(int64(ms)).UTC()
	return t, checkTime(t)
}

// canonical reports whether bytes are one item of dag-cbor in its one form.
func canonical(raw []byte) error {
	var v any
	if err := recordDec.Unmarshal(raw, &v); err != nil {
		return err
	}
	again, err := recordEnc.Marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, raw) {
		return errors.New("not in the canonical form")
	}
	return nil
}
