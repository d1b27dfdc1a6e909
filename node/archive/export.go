package archive

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/node/archive/unixfs"
)

// ExportCAR writes the recording as a CARv1 whose root is the view: its nodes, then its leaves in playing order, then the
// envelopes, which no other program needs. Each block's hash is checked. Progress is in bytes.
func (r *Recording) ExportCAR(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	root := r.root()
	if !root.Defined() {
		return fmt.Errorf("export: %w: the recording has no view yet", ErrNotFound)
	}
	total := r.Info().Size
	done := int64(0)
	buf := make([]byte, 0, 128<<10)
	write := func(k codec, d digest, block []byte) error {
		buf = appendSection(buf[:0], k, d, block)
		n, err := w.Write(buf)
		done += int64(n)
		if progress != nil {
			progress(min(done, total), total)
		}
		return err
	}
	put := func(c cid.Cid) error {
		b, err := r.read(c)
		if err != nil {
			return err
		}
		d, k, _ := asDigest(c)
		return write(k, d, b)
	}
	if _, err := w.Write(fileHead(root)[payloadStart:]); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	view, err := r.View(ctx)
	if err == nil {
		err = put(root) // first, as readers of CARs like it
	}
	if err == nil {
		err = view.Own(func(c cid.Cid, b []byte) error {
			if c == root {
				return nil
			}
			d, k, _ := asDigest(c)
			return write(k, d, b)
		})
	}
	if err == nil {
		for _, l := range view.Blocks() {
			if err = ctx.Err(); err == nil {
				err = put(l.Cid)
			}
			if err != nil {
				break
			}
		}
	}
	if err == nil {
		err = r.envelopes(ctx, func(d digest, raw []byte) error { return write(codecCBOR, d, raw) })
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if progress != nil {
		progress(total, total)
	}
	return nil
}

// envelopes calls yield for the envelopes of the chunks that are here, track by track, in order.
func (r *Recording) envelopes(ctx context.Context, yield func(d digest, raw []byte) error) error {
	var list []place
	if err := r.rlock(true); err != nil {
		return err
	}
	for _, name := range r.trackNames() {
		r.tracks[name].from(envelope.ID{}, lastID, func(_ envelope.ID, e *entry) bool {
			if e.there(r.t) {
				list = append(list, r.t.at(e.envelope))
			}
			return true
		})
	}
	r.mu.RUnlock()
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.rlock(true); err != nil {
			return err
		}
		raw, d, err := r.readPlace(p)
		r.mu.RUnlock()
		if err != nil {
			continue // damaged: the chunk's block is in the view all the same
		}
		if err := yield(d, bytes.Clone(raw)); err != nil {
			return err
		}
	}
	return nil
}

// ExportMP4 writes a track, or where none is named, main (the first where there is none of that name), as one MP4 from a
// time to another, both counted from the beginning of the track: unixfs.ExportMP4 says which chunks these are and what errors tell. A
// to of zero means the end. A recording that is not finished, live even, is exported as far as it is. Progress is in
// bytes. Open gives what opens a track of a private recording; without it, such a one is ErrPrivate.
func (r *Recording) ExportMP4(
	ctx context.Context, w io.Writer, track string, open func(track string) unixfs.Opener, from, to time.Duration,
	progress func(done, total int64),
) error {
	tracks, err := r.parts(ctx)
	if err != nil {
		return fmt.Errorf("export MP4: %w", err)
	}
	if len(tracks) == 0 {
		return fmt.Errorf("export MP4: %w: nothing recorded", ErrNotFound)
	}
	name := cmp.Or(track, "main")
	i := slices.IndexFunc(tracks, func(t unixfs.Track) bool { return t.Name == name })
	if i < 0 && track != "" {
		return fmt.Errorf("export MP4: %w: no track %s", ErrNotFound, track)
	}
	i = max(i, 0)
	var opener unixfs.Opener
	if r.Info().KeyScheme != 0 {
		if open == nil {
			return fmt.Errorf("export MP4: %w", ErrPrivate)
		}
		opener = open(tracks[i].Name)
	}
	span, err := unixfs.Cut(tracks[i].Parts, from, to)
	if err != nil {
		return fmt.Errorf("export MP4: %w", err)
	}
	done := int64(0)
	err = unixfs.ExportMP4(ctx, w, tracks[i].Parts, func(c cid.Cid) ([]byte, error) {
		b, err := r.read(c)
		if done += int64(len(b)); progress != nil {
			progress(min(done, span.Size), span.Size)
		}
		return b, err
	}, opener, from, to)
	if err != nil {
		return fmt.Errorf("export MP4: %w", err)
	}
	return nil
}

// parts returns the chunks of all tracks: from the view where that knows more, else from the envelopes.
func (r *Recording) parts(ctx context.Context) ([]unixfs.Track, error) {
	r.mu.RLock()
	whole := r.st.Whole
	r.mu.RUnlock()
	if !whole {
		src, err := r.source()
		return src.Tracks, err
	}
	view, err := r.View(ctx)
	if err != nil {
		return nil, err
	}
	var tracks []unixfs.Track
	for _, t := range view.Tracks {
		tracks = append(tracks, unixfs.Track{Name: t.Info.Name, Parts: t.Parts})
	}
	return tracks, nil
}
