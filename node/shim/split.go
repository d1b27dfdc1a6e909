package shim

import (
	"strings"

	"murmuration/chunker/split"
)

// Beside its own name, a track with picture and sound has two more in addresses, under which each comes alone: the same
// lists, of the same parts, with what is served cut. No track's name has a dot in it.
const (
	pictureSuffix = ".video"
	soundSuffix   = ".audio"
)

// cut says which of a track's media is wanted: all of it, where it is zero.
type cut split.Kind

// cutOf takes an address's track apart.
func cutOf(path string) (name string, c cut) {
	if name, ok := strings.CutSuffix(path, pictureSuffix); ok {
		return name, cut(split.Picture)
	}
	if name, ok := strings.CutSuffix(path, soundSuffix); ok {
		return name, cut(split.Sound)
	}
	return path, 0
}

func (c cut) init(init []byte) []byte {
	if c == 0 {
		return init
	}
	return split.Init(init, split.Kind(c))
}

func (c cut) block(block []byte) [][]byte {
	if c == 0 {
		return [][]byte{block}
	}
	return split.Chunk(block, split.Kind(c))
}

// muxed reports whether the track has picture and sound in one, so far as is known.
func (t *track) muxed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.newest == "" {
		return t.info.Width > 0 && strings.Contains(t.info.Codecs, ",")
	}
	return t.media.VideoCodec != "" && t.media.AudioCodec != ""
}
