package unixfs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/playlist"

	"github.com/ipfs/go-cid"
)

// PosterAfter is how far into the broadcast the poster is looked for: past a black or half-built first picture.
const PosterAfter = 5 * time.Second

// builder is one Build.
type builder struct {
	writer
	src   Source
	inits map[cid.Cid]initSegment
}

type initSegment struct {
	info chunker.Info
	size int
}

// built is a finished track's folder.
type built struct {
	name    string
	entries []link
	info    TrackInfo
	layout  *layout
	media   chunker.Info
}

// Build writes the view of a recording and returns its root. Put gets the view's nodes and small files; everything
// else that it refers to, chunks and init segments, is in the store already.
func Build(ctx context.Context, src Source, put Put) (cid.Cid, error) {
	b := &builder{writer: writer{put: put, done: map[cid.Cid]bool{}}, src: src, inits: map[cid.Cid]initSegment{}}
	root, err := b.build(ctx)
	if err != nil {
		return cid.Undef, fmt.Errorf("view of %s: %w", src.Broadcast, err)
	}
	return root, nil
}

func (b *builder) build(ctx context.Context) (cid.Cid, error) {
	if err := b.src.check(); err != nil {
		return cid.Undef, err
	}
	var tracks []*built
	for _, t := range b.src.Tracks {
		if err := ctx.Err(); err != nil {
			return cid.Undef, err
		}
		if l := lay(t.Parts, b.src.KeyScheme, b.usable); len(l.list.Segments) > 0 {
			tr, err := b.track(t.Name, l)
			if err != nil {
				return cid.Undef, fmt.Errorf("track %s: %w", t.Name, err)
			}
			tracks = append(tracks, tr)
		}
	}
	if len(tracks) == 0 {
		return cid.Undef, ErrEmpty
	}
	root, err := b.folders(tracks)
	if err != nil {
		return cid.Undef, err
	}
	posters, err := b.poster(ctx, tracks)
	if err != nil {
		return cid.Undef, err
	}
	root = append(root, posters...)
	info, err := b.info(tracks, root)
	if err != nil {
		return cid.Undef, err
	}
	dir, err := b.directory(append(root, info))
	return dir.cid, err
}

// check refuses sources whose view could not be read back.
func (s *Source) check() error {
	if err := envelope.CheckName(s.Broadcast); err != nil {
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	if s.KeyScheme > maxScheme {
		return fmt.Errorf("%w: key scheme %d", ErrSource, s.KeyScheme)
	}
	if len(s.Tracks) > maxTracks {
		return fmt.Errorf("%w: %d tracks", ErrSource, len(s.Tracks))
	}
	if len(s.Title) > maxTitle {
		return fmt.Errorf("%w: a title of %d bytes", ErrSource, len(s.Title))
	}
	names := map[string]bool{}
	count := 0
	for _, t := range s.Tracks {
		if err := envelope.CheckName(t.Name); err != nil || names[t.Name] {
			return fmt.Errorf("%w: track %.60q, twice or %w", ErrSource, t.Name, envelope.ErrName)
		}
		names[t.Name] = true
		if count += len(t.Parts); count > maxChunks {
			return fmt.Errorf("%w: %d chunks", ErrSource, count)
		}
		for i, p := range t.Parts {
			if i > 0 && !t.Parts[i-1].ID().Less(p.ID()) {
				return fmt.Errorf("%w: chunk %d-%d of track %s is not in order", ErrSource, p.Epoch, p.Seq, t.Name)
			}
			if !p.End && (!p.Block.Defined() || p.Size <= 0 || p.Size >= envelope.MaxBlock || p.InitSize < 0 || p.InitSize > envelope.MaxInit) {
				return fmt.Errorf("%w: chunk %d-%d of %d bytes", ErrSource, p.Epoch, p.Seq, p.Size)
			}
		}
	}
	return nil
}

// usable reads an init segment, once, and reports whether it is there.
func (b *builder) usable(c cid.Cid) bool {
	if s, known := b.inits[c]; known {
		return s.size > 0
	}
	var s initSegment
	if raw, err := b.src.Block(c); err == nil && len(raw) <= envelope.MaxInit {
		s.size = len(raw)
		if b.src.KeyScheme == 0 {
			s.info, _ = chunker.Describe(raw) // what is not understood is not described
		}
	}
	b.inits[c] = s
	return s.size > 0
}

func chunkLink(p Part) link {
	return link{cid: p.Block, size: uint64(p.Size), tree: uint64(p.Size)}
}

func (b *builder) initLink(p Part) link {
	n := uint64(b.inits[p.Init].size)
	return link{cid: p.Init, size: n, tree: n}
}

// track writes the files of one track.
func (b *builder) track(name string, l *layout) (*built, error) {
	t := &built{name: name, layout: l, media: b.inits[l.inits[0].Init].info}
	add := func(name string, f link, err error) error {
		f.name = name
		t.entries = append(t.entries, f)
		return err
	}
	sealed := b.src.KeyScheme != 0
	if !sealed {
		text, err := b.small(l.list.Render())
		if err := add("index.m3u8", text, err); err != nil {
			return nil, err
		}
	}
	for _, p := range l.inits {
		_ = add(l.initName[p.Init.String()], b.initLink(p), nil)
	}
	if !sealed {
		folder, err := b.segments(l)
		if err := add("segments", folder, err); err != nil {
			return nil, err
		}
	}
	strays, err := b.strays(l)
	if err != nil {
		return nil, err
	}
	if len(strays) > 0 {
		folder, err := b.directory(strays)
		if err := add("strays", folder, err); err != nil {
			return nil, err
		}
	}
	var at time.Duration
	for _, m := range l.movies {
		leaves, err := b.indexed(l, m)
		if err != nil {
			return nil, err
		}
		r := Recording{Name: m.name, Init: l.initName[m.init.Init.String()], At: seconds(at)}
		var length time.Duration
		for _, i := range m.parts {
			leaves = append(leaves, chunkLink(l.parts[i]))
			length += l.parts[i].Length()
		}
		f, err := b.file(leaves)
		if err := add(m.name, f, err); err != nil {
			return nil, err
		}
		at += length
		r.Duration, r.Size = seconds(length), int64(f.size)
		t.info.Recordings = append(t.info.Recordings, r)
	}
	index, err := b.small(encodeChunks(l))
	if err := add(chunksName, index, err); err != nil {
		return nil, err
	}
	b.describe(t)
	return t, nil
}

// indexed returns the leaves that stand before a movie's chunks.
func (b *builder) indexed(l *layout, m movie) ([]link, error) {
	leaves := []link{b.initLink(m.init)}
	if b.src.KeyScheme != 0 {
		return leaves, nil // it would be of use in an MP4, which this is not
	}
	for leaf := range slices.Chunk(l.index(m, b.inits[m.init.Init].info), leafSize) {
		c := rawCID(leaf)
		if err := b.write(c, leaf); err != nil {
			return nil, err
		}
		leaves = append(leaves, link{cid: c, size: uint64(len(leaf)), tree: uint64(len(leaf))})
	}
	return leaves, nil
}

// segments writes the folder of a track's segments.
func (w *writer) segments(l *layout) (link, error) {
	list := make([]link, 0, len(l.list.Segments))
	for _, s := range l.list.Segments {
		run := make([]link, 0, s.To-s.From)
		for i := s.From; i < s.To; i++ {
			run = append(run, chunkLink(l.parts[i]))
		}
		f, err := w.file(run)
		if err != nil {
			return link{}, err
		}
		f.name = playlist.SegmentURI(s.Epoch, s.First, s.Last)
		list = append(list, f)
	}
	return w.directory(list)
}

// strays writes the files of the chunks that cannot be decoded.
func (w *writer) strays(l *layout) ([]link, error) {
	var list []link
	for _, run := range l.strays {
		leaves := make([]link, 0, len(run))
		for _, i := range run {
			leaves = append(leaves, chunkLink(l.parts[i]))
		}
		f, err := w.file(leaves)
		if err != nil {
			return nil, err
		}
		f.name = l.strayName(run)
		list = append(list, f)
	}
	return list, nil
}

// describe fills in what info.json says of a track.
func (b *builder) describe(t *built) {
	l, m := t.layout, t.media
	i := &t.info
	i.Name, i.Codecs, i.Width, i.Height = t.name, m.Codecs, m.Width, m.Height
	i.FrameRate, i.SampleRate, i.Channels = m.FrameRate, m.SampleRate, m.Channels
	i.Duration = seconds(l.list.Length)
	i.Peak, i.BitsPerSecond = l.list.Bandwidth()
	for _, p := range l.parts {
		if p.Block.Defined() && !p.End {
			i.Chunks++
			i.Size += int64(p.Size)
		}
	}
	for _, run := range l.strays {
		i.Strays += len(run)
	}
	i.Gaps = l.gaps
	i.Complete = len(l.gaps) == 0 && l.ended && i.Strays == 0
}

// folders returns the root's entries: the files of a single track, or a folder for each and the playlist of them all.
func (b *builder) folders(tracks []*built) ([]link, error) {
	if len(tracks) == 1 {
		return tracks[0].entries, nil
	}
	var root []link
	for _, t := range tracks {
		t.info.Path = t.name + "/"
		dir, err := b.directory(t.entries)
		if err != nil {
			return nil, err
		}
		dir.name = t.name
		root = append(root, dir)
	}
	if b.src.KeyScheme != 0 {
		return root, nil
	}
	text, err := b.small(multivariant(tracks))
	text.name = "index.m3u8"
	return append(root, text), err
}

// multivariant makes the playlist of several tracks: sound tracks beside a picture are a choice that goes with it, and the
// sound that is in one with the picture is the first of it.
func multivariant(tracks []*built) []byte {
	picture, muxed := false, false
	for _, t := range tracks {
		picture = picture || t.media.Width > 0
	}
	var variants []playlist.Variant
	var sounds []playlist.Rendition
	for _, t := range tracks {
		v := playlist.Variant{
			URI: t.info.Path + "index.m3u8", Codecs: t.media.Codecs, Width: t.media.Width, Height: t.media.Height,
			FrameRate: t.media.FrameRate, Bandwidth: t.info.Peak, Average: t.info.BitsPerSecond,
		}
		if picture && t.media.Width == 0 && t.media.AudioCodec != "" {
			sounds = append(sounds, playlist.Rendition{Group: "sound", Name: t.name, Language: playlist.Language(t.name), URI: v.URI})
			continue
		}
		muxed = muxed || t.media.AudioCodec != ""
		variants = append(variants, v)
	}
	if len(sounds) > 0 {
		if muxed {
			sounds = slices.Insert(sounds, 0, playlist.Rendition{Group: "sound", Name: playlist.OriginalSound})
		}
		sounds[0].Default = true
		for i := range variants {
			variants[i].Audio = "sound"
		}
	}
	return playlist.Multivariant(variants, sounds)
}

// poster writes poster.mp4, the init segment and one chunk that starts with a random access point, and poster.jpg
// where somebody can make it.
func (b *builder) poster(ctx context.Context, tracks []*built) ([]link, error) {
	p, ok := posterPart(tracks)
	if !ok {
		return nil, nil
	}
	movie, err := b.file([]link{b.initLink(p), chunkLink(p)})
	if err != nil {
		return nil, err
	}
	movie.name = "poster.mp4"
	if b.src.Still == nil {
		return []link{movie}, nil
	}
	init, err := b.src.Block(p.Init)
	if err != nil {
		return nil, fmt.Errorf("poster: %w", err)
	}
	chunk, err := b.src.Block(p.Block)
	if err != nil {
		return nil, fmt.Errorf("poster: %w", err)
	}
	still, err := b.src.Still(ctx, append(append(make([]byte, 0, len(init)+len(chunk)), init...), chunk...))
	if err != nil || len(still) == 0 || len(still) > maxStill {
		return []link{movie}, ctx.Err() //nolint:nilerr // a recording without a picture of it is a recording
	}
	picture, err := b.small(still)
	picture.name = "poster.jpg"
	return []link{movie, picture}, err
}

// posterPart returns the first chunk past PosterAfter that a picture can be had from, or the last one before it.
func posterPart(tracks []*built) (best Part, ok bool) {
	for _, t := range tracks {
		if t.media.VideoCodec == "" {
			continue
		}
		var at time.Duration
		for _, s := range t.layout.list.Segments {
			for i := s.From; i < s.To; i++ {
				if p := t.layout.parts[i]; p.Independent && p.Init == t.layout.inits[0].Init {
					best, ok = p, true
					if at >= PosterAfter {
						return best, true
					}
				}
				at += t.layout.parts[i].Length()
			}
		}
		if ok {
			return best, true
		}
	}
	return best, ok
}

// info writes info.json.
func (b *builder) info(tracks []*built, root []link) (link, error) {
	info := &Info{
		Version: infoVersion, Private: b.src.KeyScheme != 0, KeyScheme: b.src.KeyScheme, Channel: channelName(b.src.Channel), Broadcast: b.src.Broadcast, Title: strings.ToValidUTF8(b.src.Title, "\uFFFD"),
		Started: b.src.Started.UTC(), Ended: b.src.Ended.UTC(),
	}
	if info.Private {
		info.Version = sealedVersion
	}
	for _, t := range tracks {
		info.Tracks = append(info.Tracks, t.info)
		info.Duration = max(info.Duration, t.info.Duration)
		info.Size += t.info.Size
	}
	for _, f := range root {
		info.Files = append(info.Files, File{Name: f.name, Cid: f.cid.String(), Size: int64(f.size)})
	}
	slices.SortFunc(info.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	text, err := info.encode(b.src.Sign)
	if err != nil {
		return link{}, err
	}
	l, err := b.small(text)
	l.name = "info.json"
	return l, err
}
