package shim

import (
	"slices"

	"murmuration/playlist"
)

// sounds is the group of the sound tracks that a picture may be played with.
const sounds = "sound"

// offer returns the multivariant playlist of tracks. Sound tracks beside a picture are a choice that goes with it; alone
// they play by themselves. Where there is a choice, the sound that comes with the first picture is one of it, the one
// played unless another is chosen, and pictures are offered without theirs (see split.go): hls.js cannot play one sound
// in place of another that is in the same file as the picture, and Safari would fetch both.
func offer(known []*track, prefix string) []byte {
	picture := slices.ContainsFunc(known, func(t *track) bool { v, sound := t.variant(); return !sound && v.Width > 0 })
	choice := picture && slices.ContainsFunc(known, func(t *track) bool { _, sound := t.variant(); return sound })
	var variants []playlist.Variant
	var renditions []playlist.Rendition
	for _, t := range known {
		v, sound := t.variant()
		list := t.listName()
		if choice && sound {
			renditions = append(renditions, playlist.Rendition{
				Group: sounds, Name: t.info.Title, Language: t.info.Language, URI: prefix + t.info.Name + "/" + list,
			})
			continue
		}
		whole := prefix + t.info.Name
		if choice {
			v.Audio = sounds
			if t.muxed() {
				if len(variants) == 0 {
					renditions = slices.Insert(renditions, 0, playlist.Rendition{
						Group: sounds, Name: playlist.OriginalSound, URI: whole + soundSuffix + "/" + list,
					})
				}
				whole += pictureSuffix
			}
		}
		v.URI = whole + "/" + list
		variants = append(variants, v)
	}
	if len(renditions) > 0 {
		renditions[0].Default = true
	}
	return playlist.Multivariant(variants, renditions)
}
