package node

import (
	"errors"
	"fmt"
	"slices"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/ingest"
)

// maxTracks is how many tracks a broadcast may have, main included; the channel record takes no more.
const maxTracks = 16

var (
	// errNoTrack is what a publisher gets that names a track which the broadcast does not have.
	errNoTrack = errors.New("the broadcast has no such track")
	// errManyTracks says that a broadcast's tracks are too many.
	errManyTracks = fmt.Errorf("a broadcast has at most %d tracks", maxTracks)
	// errMainFirst is what a publisher of a further track gets where no broadcast is open on its standing key.
	errMainFirst = errors.New("no broadcast is open on this stream key: the feed without ?track= begins it")
)

// checkTracks holds a list of tracks' names to what a broadcast can have, and returns those besides main.
func checkTracks(names []string) (further []string, err error) {
	if !slices.Contains(names, mainTrack) {
		return nil, errors.New(`tracks must have "main" among them`)
	}
	if len(names) > maxTracks {
		return nil, errManyTracks
	}
	for i, name := range names {
		if err := envelope.CheckName(name); err != nil {
			return nil, fmt.Errorf("track %q: %w", name, err)
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("track %q is there twice", name)
		}
		if name != mainTrack {
			further = append(further, name)
		}
	}
	return further, nil
}

// side returns a further track of the broadcast. Where it was not declared, it is added if that is allowed.
func (b *broadcast) side(name string, add bool) (*sideTrack, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.sides {
		if t.name == name {
			return t, nil
		}
	}
	if err := envelope.CheckName(name); err != nil || !add {
		return nil, fmt.Errorf("%w: %.64q", errNoTrack, name)
	}
	if len(b.sides)+1 >= maxTracks {
		return nil, errManyTracks
	}
	t := &sideTrack{b: b, name: name, headway: headway{origin: b.headway.origin}}
	b.sides = append(b.sides, t)
	return t, nil
}

// sinkOf returns what takes a track of a broadcast. Under a standing key a track need not have been declared.
func sinkOf(b *broadcast, track string, stands bool) (ingest.Sink, error) {
	if track == "" || track == mainTrack {
		return b, nil
	}
	t, err := b.side(track, stands)
	if err != nil {
		return nil, err // not a nil *sideTrack
	}
	return t, nil
}

// trackUpdate tells the channel that a broadcast has another track on air.
func (o *Origin) trackUpdate(b *broadcast) {
	if err := o.announce(); err != nil {
		o.log.Warn("channel record not published", "err", err) // it is tried again every ten seconds
	}
	o.shim.Changed()
}

// trackList tells of the broadcast's tracks, main first, with what their encoders give to those who may know. The caller
// holds b.mu.
func (b *broadcast) trackList(secrets bool) []trackJSON {
	list := []trackJSON{listTrack(mainTrack, b.info, b.fed)}
	for _, t := range b.sides {
		list = append(list, listTrack(t.name, t.info, t.fed))
	}
	for i := range list {
		if secrets && b.streamKey != "" {
			list[i].Key = b.streamKey
			if i > 0 {
				list[i].Key += "?track=" + list[i].Name
			}
		}
	}
	return list
}

func listTrack(name string, info mesh.TrackInfo, fed bool) trackJSON {
	return trackJSON{Name: name, Codecs: info.Codecs, Width: info.Width, Height: info.Height, Feed: fed}
}
