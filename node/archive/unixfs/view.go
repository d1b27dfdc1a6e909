package unixfs

import (
	"fmt"

	"murmuration/playlist"

	"github.com/ipfs/go-cid"
)

// View is a recording read back.
type View struct {
	Root   cid.Cid
	Info   *Info // as it stands in info.json; Info.Verify tells whether the channel signed it
	Tracks []TrackView

	files []ViewFile
	index map[string]int
	media []Link
	own   []Link
	data  map[cid.Cid][]byte
	size  int64
}

// TrackView is one track of a view.
type TrackView struct {
	Info     TrackInfo
	Parts    []Part          // chunks and end marks that are here, ascending
	List     *playlist.VOD   // how Parts make segments
	Playlist *playlist.Media // index.m3u8 as it stands there; nil in a private recording, which has none
	Inits    []Link          // init.mp4, init-2.mp4 ..., or init.sealed ...
}

// ViewFile is a file of a view.
type ViewFile struct {
	Path string // with slashes, from the root: "segments/s-1790000000-0-7.m4s"
	Link
}

// Files returns all files, in no particular order but that of the folders.
func (v *View) Files() []ViewFile { return v.files }

// File returns the file at a path.
func (v *View) File(path string) (ViewFile, bool) {
	i, ok := v.index[path]
	if !ok {
		return ViewFile{}, false
	}
	return v.files[i], true
}

// Blocks returns the media in playing order, each block once: every init segment before the chunks that need it, the
// tracks one after the other, and last the chunks that cannot be decoded. Sizes are those that the view claims; whoever
// fetches a block holds it against its hash and its size.
func (v *View) Blocks() []Link { return v.media }

// Nodes returns the view's own blocks, children before parents: directories, files' nodes, playlists, info.json.
func (v *View) Nodes() []Link { return v.own }

// Own calls put for each of the view's own blocks, children before parents: what a store keeps beside the media. All of
// them are at hand; nothing is fetched.
func (v *View) Own(put Put) error {
	for _, l := range v.own {
		if err := put(l.Cid, v.data[l.Cid]); err != nil {
			return fmt.Errorf("put %s: %w", l.Cid, err)
		}
	}
	return nil
}

// Size returns the bytes of all blocks, the view's own and the media.
func (v *View) Size() int64 { return v.size }
