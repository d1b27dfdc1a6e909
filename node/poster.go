package node

import (
	"context"
	"slices"

	"github.com/ipfs/go-cid"

	"murmuration/node/archive/unixfs"
)

const (
	// posterName is the file of the small MP4 that views with a picture have: a browser shows its first frame.
	posterName = "poster.mp4"
	// maxPosters is how many roots are remembered to have one or none.
	maxPosters = 4096
)

// poster returns the path of the poster of the recording with this root, and "" where the view that is here has none, as
// that of sound alone. Of a view that is not here nobody knows: it is asked for.
func (l *library) poster(root cid.Cid) string {
	l.mu.Lock()
	has, known := l.posters[root]
	l.mu.Unlock()
	if !known {
		has = true
		if b, err := l.Get(context.Background(), root); err == nil {
			names, err := unixfs.Names(b)
			has = err != nil || slices.Contains(names, posterName)
			l.mu.Lock()
			if l.posters == nil || len(l.posters) >= maxPosters {
				l.posters = map[cid.Cid]bool{}
			}
			l.posters[root] = has
			l.mu.Unlock()
		}
	}
	if !has {
		return ""
	}
	return "/ipfs/" + root.String() + "/" + posterName
}
