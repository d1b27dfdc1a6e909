package node

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/node/archive/unixfs"
	"murmuration/node/archive/unixfs/still"
)

// maxStills is how many pictures may wait for the end of their broadcast: more than broadcasts can be open.
const maxStills = 2 * maxOpen

// stills makes the posters of recordings while their broadcasts are on. Made at the end, by a program that has to start
// first, a picture is most of the time that passes until the recording is there.
type stills struct {
	picture func(ctx context.Context, mp4 []byte) ([]byte, error)

	mu   sync.Mutex
	kept map[[sha256.Size]byte]func() ([]byte, error)
}

// newStills returns nil where no picture can be made.
func newStills() *stills {
	picture := still.FFmpeg("")
	if picture == nil {
		return nil
	}
	return &stills{picture: picture, kept: map[[sha256.Size]byte]func() ([]byte, error){}}
}

// prepare begins to make the picture of a small MP4 that will probably be asked for.
func (s *stills) prepare(mp4 []byte) {
	made := sync.OnceValues(func() ([]byte, error) { return s.picture(context.Background(), mp4) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) < maxStills {
		s.kept[sha256.Sum256(mp4)] = made
		go made() //nolint:errcheck // whoever asks gets the error
	}
}

// still is archive.Config.Still. What was prepared is given out once.
func (s *stills) still(ctx context.Context, mp4 []byte) ([]byte, error) {
	name := sha256.Sum256(mp4)
	s.mu.Lock()
	made := s.kept[name]
	delete(s.kept, name)
	s.mu.Unlock()
	if made != nil {
		return made()
	}
	return s.picture(ctx, mp4)
}

// poser picks the chunk of a broadcast that its recording's poster will be made from, as unixfs does at the end.
type poser struct {
	at   time.Duration // of the next chunk
	done bool
}

// take looks at the next chunk and returns the MP4 of the poster if it is the one.
func (p *poser) take(c envelope.Chunk) []byte {
	if p.done || c.Timescale == 0 || c.Key.Sealed() { // nobody is shown a picture of what is private
		return nil
	}
	if p.at >= unixfs.PosterAfter && c.Flags.Has(envelope.Independent) && len(c.Init) > 0 {
		p.done = true
		return append(append(make([]byte, 0, len(c.Init)+len(c.Block)), c.Init...), c.Block...)
	}
	p.at += time.Duration(c.Duration) * time.Second / time.Duration(c.Timescale)
	return nil
}
