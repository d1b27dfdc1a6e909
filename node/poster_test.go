package node

import (
	"testing"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/node/archive/unixfs"
	"murmuration/playlist"
)

// TestPoster: a view without a picture has no poster that anybody need ask for, and one that is not here may have one.
func TestPoster(t *testing.T) {
	sound, chunk := []byte("an init segment that shows no picture"), []byte("a chunk")
	blocks := map[cid.Cid][]byte{envelope.RawCID(sound): sound, envelope.RawCID(chunk): chunk}
	part := unixfs.Part{
		Part:  playlist.Part{Epoch: 1, Timescale: 1000, Duration: 250, Independent: true, Size: len(chunk)},
		Block: envelope.RawCID(chunk), Init: envelope.RawCID(sound), InitSize: len(sound),
	}
	root, err := unixfs.Build(t.Context(), unixfs.Source{
		Broadcast: "talk", Tracks: []unixfs.Track{{Name: mainTrack, Parts: []unixfs.Part{part}}},
		Block: func(c cid.Cid) ([]byte, error) { return blocks[c], nil },
	}, func(c cid.Cid, b []byte) error {
		blocks[c] = b
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &library{}
	if p := l.poster(root); p != "/ipfs/"+root.String()+"/poster.mp4" {
		t.Errorf("not here: %q", p)
	}
	l.bulletin = block{root, blocks[root]}
	for range 2 {
		if p := l.poster(root); p != "" {
			t.Errorf("of sound: %q", p)
		}
	}
	for b := range len(blocks[root]) { // whatever stands there is no reason to fall over
		unixfs.Names(blocks[root][:b]) //nolint:errcheck // it must only return
	}
}
