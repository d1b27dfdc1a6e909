package unixfs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"murmuration/chunker"
	"murmuration/chunker/envelope"
	"murmuration/playlist"

	"github.com/ipfs/go-cid"
)

// opener reads a view from bytes that may be hostile.
type opener struct {
	get     func(context.Context, cid.Cid) ([]byte, error)
	data    map[cid.Cid][]byte // the view's own blocks that are used
	order   []cid.Cid          // of data, parents before children
	derived blocksOf           // what can be told without asking: nodes over chunks that are known
	bytes   int64
	fetches int
	scheme  uint8 // of the keys that the media is sealed with; zero: it is plain
	leaves  int
	chunks  int
	files   []ViewFile
	known   map[cid.Cid]int64 // media: size
	media   []Link
}

type blocksOf map[cid.Cid][]byte

// Open reads a view back, fetching its nodes, small files and init segments by get, and no chunks. Get is called from several goroutines
// at once, about once for each thousand chunks: what the nodes of segments must be follows from the chunks.
//
// Bytes are held against their hashes, and everything against the bounds in bounds.go; a view that no Build wrote is
// refused with ErrHostile. Errors of get are passed on. The signature is the caller's to check (Info.Verify).
func Open(ctx context.Context, root cid.Cid, get func(context.Context, cid.Cid) ([]byte, error)) (*View, error) {
	o := &opener{get: get, data: map[cid.Cid][]byte{}, derived: blocksOf{}, known: map[cid.Cid]int64{}}
	v, err := o.open(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", root, err)
	}
	return v, nil
}

func hostile(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrHostile}, args...)...)
}

func (o *opener) open(ctx context.Context, root cid.Cid) (*View, error) {
	if !usual(root) || root.Type() != cid.DagProtobuf {
		return nil, hostile("not the root of a directory")
	}
	entries, err := o.directory(ctx, root)
	if err != nil {
		return nil, err
	}
	text, err := o.text(ctx, entries, "info.json", maxInfo)
	if err != nil {
		return nil, err
	}
	v := &View{Root: root, data: o.data}
	if v.Info, err = ParseInfo(text); err != nil {
		return nil, err
	}
	o.scheme = v.Info.KeyScheme
	if err := v.Info.lists(entries); err != nil {
		return nil, err
	}
	for _, info := range v.Info.Tracks {
		folder, path := entries, info.Path
		if path != "" {
			e, ok := entries[info.Name]
			if !ok {
				return nil, hostile("no folder for track %s", info.Name)
			}
			if folder, err = o.directory(ctx, e.cid); err != nil {
				return nil, err
			}
			delete(entries, info.Name)
		}
		t, err := o.track(ctx, info, folder)
		if err != nil {
			return nil, fmt.Errorf("track %s: %w", info.Name, err)
		}
		v.Tracks = append(v.Tracks, *t)
		if path != "" {
			if err := o.rest(ctx, path, folder); err != nil {
				return nil, err
			}
		}
	}
	if err := o.rest(ctx, "", entries); err != nil {
		return nil, err
	}
	o.finish(v)
	return v, nil
}

// lists checks that info.json lists the root's entries, as they are.
func (i *Info) lists(entries map[string]link) error {
	if len(i.Files) != len(entries)-1 {
		return hostile("info.json lists %d files, there are %d", len(i.Files), len(entries)-1)
	}
	seen := map[string]bool{}
	for _, f := range i.Files {
		e, ok := entries[f.Name]
		if !ok || f.Name == "info.json" || e.cid.String() != f.Cid || f.Size < 0 || seen[f.Name] {
			return hostile("%.100q is not what info.json says", f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

// track reads a track's folder: first what says which chunks there are, then what is made of them.
func (o *opener) track(ctx context.Context, info TrackInfo, folder map[string]link) (*TrackView, error) {
	t := &TrackView{Info: info}
	for n := 0; n < maxInits; n++ {
		e, ok := folder[numbered("init", extensionsOf(o.scheme).movie, n)]
		if !ok {
			break
		}
		if e.cid.Type() != cid.Raw || e.tree > envelope.MaxInit {
			return nil, hostile("an init segment of %d bytes", e.tree)
		}
		t.Inits = append(t.Inits, Link{Cid: e.cid, Size: int64(e.tree)})
	}
	text, err := o.text(ctx, folder, chunksName, maxText)
	if err != nil {
		return nil, err
	}
	if t.Parts, err = parseChunks(text, t.Inits); err != nil {
		return nil, err
	}
	if o.chunks += len(t.Parts); o.chunks > maxChunks {
		return nil, hostile("over %d chunks", maxChunks)
	}
	l := lay(t.Parts, o.scheme, func(cid.Cid) bool { return true })
	t.List = l.list
	if len(l.movies) == 0 {
		return nil, hostile("nothing to play")
	}
	for _, m := range l.movies {
		if err := o.movie(ctx, folder, l, m); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if err := o.strays(ctx, folder, l); err != nil {
		return nil, fmt.Errorf("strays: %w", err)
	}
	if o.scheme != 0 {
		return t, nil
	}
	derive := writer{done: map[cid.Cid]bool{}, put: func(c cid.Cid, b []byte) error {
		o.derived[c] = b
		return nil
	}}
	if _, err := derive.segments(l); err != nil {
		return nil, err
	}
	if _, err := derive.small(l.list.Render()); err != nil {
		return nil, err
	}
	if text, err = o.text(ctx, folder, "index.m3u8", maxText); err != nil {
		return nil, err
	}
	if t.Playlist, err = playlist.ParseMedia(text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHostile, err)
	}
	return t, o.derivedFolder(ctx, info.Path, folder, "segments")
}

// movie reads which blocks a recording.mp4 is made of.
func (o *opener) movie(ctx context.Context, folder map[string]link, l *layout, m movie) error {
	e, ok := folder[m.name]
	if !ok {
		return hostile("it is not there")
	}
	leaves, _, err := o.file(ctx, e, len(m.parts)+maxHead)
	if err != nil {
		return err
	}
	head := len(leaves) - len(m.parts)
	if head < 1 || leaves[0].cid != m.init.Init {
		return hostile("%d leaves for %d chunks and an init segment", len(leaves), len(m.parts))
	}
	if err := o.indexed(ctx, leaves[1:head], l, m); err != nil {
		return err
	}
	o.add(leaves[0])
	for n, i := range m.parts {
		if err := o.chunk(&l.parts[i], leaves[head+n]); err != nil {
			return err
		}
	}
	return nil
}

// indexed checks the index of an MP4: what it must be follows from the chunks and the init segment.
func (o *opener) indexed(ctx context.Context, leaves []link, l *layout, m movie) error {
	if o.scheme != 0 {
		if len(leaves) > 0 {
			return hostile("a sealed recording with an index")
		}
		return nil
	}
	init, err := o.fetch(ctx, []cid.Cid{m.init.Init})
	if err != nil {
		return err
	}
	info, _ := chunker.Describe(init[0]) // as in Build, what is not understood is not described
	var cids []cid.Cid
	for leaf := range slices.Chunk(l.index(m, info), leafSize) {
		c := rawCID(leaf)
		cids = append(cids, c)
		o.derived[c] = leaf
	}
	if !slices.EqualFunc(leaves, cids, func(l link, c cid.Cid) bool { return l.cid == c }) {
		return hostile("its index is of other chunks")
	}
	_, err = o.fetch(ctx, cids)
	return err
}

// chunk fills in where a part's bytes are.
func (o *opener) chunk(p *Part, leaf link) error {
	if leaf.size != uint64(p.Size) {
		return hostile("chunk %d-%d has %d bytes, its leaf %d", p.Epoch, p.Seq, p.Size, leaf.size)
	}
	p.Block = leaf.cid
	o.add(leaf)
	return nil
}

func (o *opener) add(leaf link) {
	if _, known := o.known[leaf.cid]; !known {
		o.known[leaf.cid] = int64(leaf.size)
		o.media = append(o.media, Link{Cid: leaf.cid, Size: int64(leaf.size)})
	}
}

// strays reads which blocks the chunks are that cannot be decoded.
func (o *opener) strays(ctx context.Context, folder map[string]link, l *layout) error {
	if len(l.strays) == 0 {
		return nil
	}
	e, ok := folder["strays"]
	if !ok {
		return hostile("they are not there")
	}
	files, err := o.directory(ctx, e.cid)
	if err != nil {
		return err
	}
	for _, run := range l.strays {
		e, ok := files[l.strayName(run)]
		if !ok {
			return hostile("no %s", l.strayName(run))
		}
		leaves, _, err := o.file(ctx, e, len(run))
		if err != nil {
			return err
		}
		if len(leaves) != len(run) {
			return hostile("%d leaves for %d chunks", len(leaves), len(run))
		}
		for n, i := range run {
			if err := o.chunk(&l.parts[i], leaves[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// derivedFolder walks a folder of files over chunks that are known by now.
func (o *opener) derivedFolder(ctx context.Context, path string, folder map[string]link, name string) error {
	e, ok := folder[name]
	if !ok {
		return hostile("no folder %s", name)
	}
	delete(folder, name)
	files, err := o.directory(ctx, e.cid)
	if err != nil {
		return err
	}
	for _, e := range sorted(files) {
		if err := o.over(ctx, path+name+"/", e); err != nil {
			return err
		}
	}
	return nil
}

// over notes a file, all of whose leaves must be media that is known.
func (o *opener) over(ctx context.Context, path string, e link) error {
	leaves, size, err := o.file(ctx, e, len(o.known)+maxHead)
	if err != nil {
		return err
	}
	for _, l := range leaves {
		size, known := o.known[l.cid]
		if !known {
			size, known = int64(len(o.derived[l.cid])), o.derived[l.cid] != nil // of an MP4's index
		}
		if !known || size != int64(l.size) {
			return hostile("%s%s holds %s, which is not of this recording", path, e.name, l.cid)
		}
	}
	o.files = append(o.files, ViewFile{Path: path + e.name, Link: Link{Cid: e.cid, Size: int64(size)}})
	return nil
}

// rest goes through the other entries of a folder: files of media, and small files of the view's own.
func (o *opener) rest(ctx context.Context, path string, folder map[string]link) error {
	for _, e := range sorted(folder) {
		var err error
		switch {
		case e.name == "strays":
			err = o.derivedFolder(ctx, path, folder, e.name)
		case strings.HasSuffix(e.name, extensionsOf(o.scheme).movie):
			err = o.over(ctx, path, e)
		default:
			limit := maxStill
			if e.name == chunksName || e.name == "index.m3u8" || e.name == "info.json" {
				limit = maxText
			}
			var text []byte
			if text, err = o.text(ctx, folder, e.name, limit); err == nil {
				o.files = append(o.files, ViewFile{Path: path + e.name, Link: Link{Cid: e.cid, Size: int64(len(text))}})
			}
		}
		if err != nil {
			return fmt.Errorf("%s%s: %w", path, e.name, err)
		}
	}
	return nil
}

func sorted(entries map[string]link) []link {
	list := make([]link, 0, len(entries))
	for _, e := range entries {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b link) int { return strings.Compare(a.name, b.name) })
	return list
}

// finish puts together what was found.
func (o *opener) finish(v *View) {
	v.files, v.media = o.files, o.media
	v.index = make(map[string]int, len(v.files))
	for i, f := range v.files {
		v.index[f.Path] = i
	}
	for _, c := range slices.Backward(o.order) {
		if _, isMedia := o.known[c]; isMedia {
			continue
		}
		v.own = append(v.own, Link{Cid: c, Size: int64(len(o.data[c]))})
		v.size += int64(len(o.data[c]))
	}
	for _, l := range v.media {
		v.size += l.Size
	}
}
