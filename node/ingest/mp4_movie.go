package ingest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// mp4Track is one of the tracks that are played.
type mp4Track struct {
	id        uint32
	kind      kind
	codec     codecs.Codec
	timescale uint32
	nalSize   int   // bytes of the length before each NAL unit; 0 where there are none
	shift     int64 // added to timestamps: the edit list

	table    *sampleTable
	defaults sampleDefaults // for fragments
	queue    []mp4Sample    // from fragments
	nextTime int64          // decode time at which the next fragment begins, where it does not say
	head     *mp4Sample     // the next sample, where it was looked at already
}

// sampleDefaults are what a fragment's samples have where they do not say.
type sampleDefaults struct {
	duration, size uint32
}

// mp4Sample is where and when a sample is.
type mp4Sample struct {
	offset   int64
	size     uint32
	dts      int64
	reorder  int64 // PTS less DTS
	duration uint32
}

// readMovie makes sense of a moov box: it returns the first video and the first audio track that can be taken, and
// whether fragments may follow.
func readMovie(moov []byte, log *slog.Logger) (tracks []*mp4Track, fragmented bool, err error) {
	movieScale := uint32(1000)
	if f := (fields{b: find(moov, "mvhd")}); len(f.b) > 0 {
		version, _ := f.full()
		f.wide(version)
		f.wide(version)
		movieScale = max(f.u32(), 1)
	}
	var refused [2]error
	var taken [2]bool
	err = eachBox(moov, func(b box) error {
		switch b.kind {
		case "mvex":
			fragmented = true
		case "trak":
			t, name, err := readTrack(b, movieScale, log)
			if t == nil {
				return err // with nil: neither video nor audio
			}
			log := log.With("track", t.id, "codec", name)
			switch {
			case err != nil:
				log.Warn("a track is left out", "err", err)
				if refused[t.kind] == nil {
					refused[t.kind] = err
				}
			case taken[t.kind]:
				log.Warn("a track is left out: only the first of its kind is taken")
			default:
				log.Info("track taken", "kind", t.kind)
				taken[t.kind] = true
				tracks = append(tracks, t)
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, false, err
	case !taken[video] && refused[video] != nil:
		return nil, false, refused[video]
	case len(tracks) == 0 && refused[audio] != nil:
		return nil, false, refused[audio]
	case len(tracks) == 0:
		return nil, false, ErrNoStreams
	}
	for _, t := range tracks {
		t.readDefaults(moov)
	}
	return tracks, fragmented, nil
}

// readTrack reads a trak box. It returns no track where it is neither video nor audio, and a track with an error where
// its codec cannot be taken.
func readTrack(trak box, movieScale uint32, log *slog.Logger) (*mp4Track, string, error) {
	t := new(mp4Track)
	handler := find(trak.payload, "mdia", "hdlr")
	if len(handler) < 12 {
		return nil, "", fmt.Errorf("%w: a track without a handler", ErrBadMP4)
	}
	switch string(handler[8:12]) {
	case "vide":
		t.kind = video
	case "soun":
		t.kind = audio
	default:
		return nil, "", nil
	}
	f := fields{b: find(trak.payload, "tkhd")}
	version, _ := f.full()
	f.wide(version)
	f.wide(version)
	t.id = f.u32()
	g := fields{b: find(trak.payload, "mdia", "mdhd")}
	version, _ = g.full()
	g.wide(version)
	g.wide(version)
	t.timescale = g.u32()
	if f.short || g.short || t.timescale == 0 {
		return nil, "", fmt.Errorf("%w: a track without number or timescale", ErrBadMP4)
	}

	stbl := find(trak.payload, "mdia", "minf", "stbl")
	entry, err := sampleEntry(stbl)
	if err != nil {
		return nil, "", err
	}
	name := entry.kind
	// The library reads the codec's parameters from a movie; it gets one with this track alone, without what it
	// does not need and might stumble over.
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader(soleTrack(trak, entry))); err != nil {
		return t, name, fmt.Errorf("%w (track %d: %w)", unsupported(t.kind.String(), fmt.Sprintf("%q", name)), t.id, err)
	}
	t.codec = init.Tracks[0].Codec
	switch c := t.codec.(type) {
	case *codecs.H264, *codecs.H265, *codecs.AV1, *codecs.VP9, *codecs.MPEG4Audio, *codecs.Opus:
	case *codecs.MPEG1Audio:
		name = "MPEG audio"
	default:
		return t, name, unsupported(t.kind.String(), fmt.Sprintf("%T", c)[len("*codecs."):])
	}
	t.nalSize = nalSize(entry)
	t.shift, err = readEdits(find(trak.payload, "edts", "elst"), t.timescale, movieScale, log)
	if err != nil {
		return nil, "", err
	}
	t.table, err = readTable(stbl)
	return t, name, err
}

// sampleEntry returns the first sample description of a track.
func sampleEntry(stbl []byte) (box, error) {
	stsd := find(stbl, "stsd")
	if len(stsd) < 16 {
		return box{}, fmt.Errorf("%w: a track without a sample description", ErrBadMP4)
	}
	entry, _, err := nextBox(stsd[8:])
	return entry, err
}

// soleTrack makes a file of one track with one sample description and no samples.
func soleTrack(trak, entry box) []byte {
	wrap := func(kind string, parts ...[]byte) []byte {
		out := append(make([]byte, 4), kind...)
		for _, p := range parts {
			out = append(out, p...)
		}
		binary.BigEndian.PutUint32(out, uint32(len(out)))
		return out
	}
	part := func(kind string, path ...string) []byte { return wrap(kind, find(trak.payload, path...)) }
	description := entry.whole
	if esds := deepESDS(entry); esds != nil {
		plain := append([]byte(nil), entry.payload[:28]...)
		clear(plain[8:16]) // version 0, no vendor
		description = wrap("mp4a", plain, wrap("esds", esds))
	}
	stsd := wrap("stsd", []byte{0, 0, 0, 0, 0, 0, 0, 1}, description)
	// The library wants a box after the description to see that it is over.
	stts := wrap("stts", make([]byte, 8))
	mdia := wrap("mdia", part("mdhd", "mdia", "mdhd"), part("hdlr", "mdia", "hdlr"), wrap("minf", wrap("stbl", stsd, stts)))
	mvhd := make([]byte, 100)
	binary.BigEndian.PutUint32(mvhd[12:], 1000)
	ftyp := wrap("ftyp", []byte("isom\x00\x00\x02\x00isom"))
	return append(ftyp, wrap("moov", wrap("mvhd", mvhd), wrap("trak", part("tkhd", "tkhd"), mdia))...)
}

// deepESDS returns the decoder's description where QuickTime hides it: behind the longer sound descriptions of versions
// 1 and 2, within a "wave" box. It returns nil where there is none.
func deepESDS(entry box) []byte {
	const version0 = 28
	if entry.kind != "mp4a" || len(entry.payload) < version0 {
		return nil
	}
	skip := version0
	switch entry.payload[9] {
	case 1:
		skip += 16
	case 2:
		skip += 36
	default:
		return nil
	}
	if len(entry.payload) < skip {
		return nil
	}
	if esds := find(entry.payload[skip:], "esds"); esds != nil {
		return esds
	}
	return find(entry.payload[skip:], "wave", "esds")
}

// nalSize is the size of the length before each NAL unit, from avcC (ISO 14496-15 5.3.3.1) or hvcC (8.3.3.1).
func nalSize(entry box) int {
	const visual = 78 // bytes of a VisualSampleEntry before its boxes
	if len(entry.payload) < visual {
		return 0
	}
	if c := find(entry.payload[visual:], "avcC"); len(c) > 4 {
		return int(c[4]&3) + 1
	}
	if c := find(entry.payload[visual:], "hvcC"); len(c) > 21 {
		return int(c[21]&3) + 1
	}
	return 0
}

// readEdits reads an edit list as far as it says when the track begins: time before it, and the media time at which it
// begins. It returns what to add to the track's timestamps.
func readEdits(elst []byte, timescale, movieScale uint32, log *slog.Logger) (int64, error) {
	if elst == nil {
		return 0, nil
	}
	f := fields{b: elst}
	version, _ := f.full()
	size := 12
	if version != 0 {
		size = 20
	}
	before := 0.0
	n := f.count(size)
	for i := range n {
		duration := f.wide(version)
		var media int64
		if version == 0 {
			media = int64(int32(f.u32()))
		} else {
			media = int64(f.u64())
		}
		f.u32() // rate
		if media == -1 {
			before += float64(duration) * float64(timescale) / float64(movieScale)
			continue
		}
		if i+1 < n {
			log.Warn("only the first edit of a track is followed", "edits", n)
		}
		if before > math.MaxInt32*1000 || media < 0 || media > math.MaxInt64/4 {
			return 0, fmt.Errorf("%w: impossible edit list", ErrBadMP4)
		}
		return int64(math.Round(before)) - media, nil
	}
	if f.short {
		return 0, fmt.Errorf("%w: short edit list", ErrBadMP4)
	}
	return 0, nil
}

// readDefaults reads the track's defaults for fragments (trex).
func (t *mp4Track) readDefaults(moov []byte) {
	eachBox(find(moov, "mvex"), func(b box) error { //nolint:errcheck // without it there are no defaults
		f := fields{b: b.payload}
		f.full()
		if b.kind == "trex" && f.u32() == t.id {
			f.u32()
			t.defaults = sampleDefaults{f.u32(), f.u32()}
		}
		return nil
	})
}
