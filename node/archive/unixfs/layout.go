package unixfs

import (
	"strconv"
	"strings"
	"time"

	"murmuration/playlist"

	"github.com/ipfs/go-cid"
)

const (
	// restartRoom is how far after the end of one epoch the next must begin to go on in the same MP4: sound and picture
	// do not end together, and neither may go back.
	restartRoom = 100 * time.Millisecond
	// maxHole is the longest hole in decode time within one MP4. Players of plain files wait it out.
	maxHole = 10 * time.Second
)

// layout says which chunk stands in which file of a track's folder.
type layout struct {
	ext      extensions
	parts    []Part
	inits    []Part // the first part with each init segment that is needed, in order
	initName map[string]string
	list     *playlist.VOD
	movies   []movie // recording.mp4, recording-2.mp4 ...
	strays   [][]int // runs of chunks that cannot be decoded
	gaps     []Gap
	ended    bool // the end mark is there
}

// movie is one MP4 of a recording: an init segment and chunks whose decode times only grow.
type movie struct {
	name  string
	init  Part
	parts []int
	marks []int // positions in parts at which a segment begins
}

// extensions are the endings of the names of files with media in them, so that nobody takes what is sealed for media.
type extensions struct{ movie, segment string }

var (
	plainExtensions  = extensions{".mp4", ".m4s"}
	sealedExtensions = extensions{".sealed", ".sealed"}
)

// extensionsOf returns those of a recording with a key scheme.
func extensionsOf(scheme uint8) extensions {
	if scheme != 0 {
		return sealedExtensions
	}
	return plainExtensions
}

// numbered returns base.ext, base-2.ext, base-3.ext ... for n of 0, 1, 2 ...
func numbered(base, ext string, n int) string {
	if n == 0 {
		return base + ext
	}
	return base + "-" + strconv.Itoa(n+1) + ext
}

// bare returns the parts as package playlist knows them, with init segments named by CID.
func bare(parts []Part) []playlist.Part {
	list := make([]playlist.Part, len(parts))
	var last cid.Cid
	name := ""
	for i, p := range parts {
		if p.Init != last {
			last, name = p.Init, ""
			if p.Init.Defined() {
				name = p.Init.String()
			}
		}
		list[i] = p.Part
		list[i].Init = name
	}
	return list
}

// segmentLength is the length of segments: 2 s, and more in long recordings, whose playlists players read as a whole.
func segmentLength(parts []playlist.Part) time.Duration {
	var total time.Duration
	for _, p := range parts {
		if p.Timescale > 0 {
			total += p.Length()
		}
	}
	switch {
	case total <= 2*time.Hour:
		return 2 * time.Second
	case total <= 8*time.Hour:
		return 4 * time.Second
	case total <= 24*time.Hour:
		return 6 * time.Second
	default:
		return max(10*time.Second, (total / 15000).Truncate(time.Second))
	}
}

// lay decides the files of a track. Parts without a usable init segment are strays.
func lay(parts []Part, scheme uint8, usable func(cid.Cid) bool) *layout {
	l := &layout{ext: extensionsOf(scheme), parts: parts, initName: map[string]string{}}
	list := bare(parts)
	for i, p := range parts {
		if !p.Init.Defined() || !usable(p.Init) || !p.Block.Defined() {
			list[i].Init = ""
		}
	}
	l.list = playlist.NewVOD(list, playlist.VODConfig{
		Segment:    segmentLength(list),
		SegmentURI: func(epoch, first, last uint64) string { return "segments/" + playlist.SegmentURI(epoch, first, last) },
		InitURI:    func(name string) string { return l.initName[name] },
	})
	for _, s := range l.list.Segments {
		l.addInit(s.Init, parts[s.From])
		l.addSegment(s)
	}
	for n, i := range l.list.Left {
		if !parts[i].Block.Defined() {
			continue
		}
		if k := len(l.strays); n > 0 && k > 0 && l.list.Left[n-1] == i-1 && consecutive(parts[i-1], parts[i]) {
			l.strays[k-1] = append(l.strays[k-1], i)
			continue
		}
		l.strays = append(l.strays, []int{i})
		if list[i].Init != "" {
			l.addInit(list[i].Init, parts[i])
		}
	}
	l.gaps, l.ended = gaps(parts)
	return l
}

func (l *layout) addInit(name string, p Part) {
	if _, known := l.initName[name]; !known {
		l.initName[name] = numbered("init", l.ext.movie, len(l.inits))
		l.inits = append(l.inits, p)
	}
}

func (l *layout) strayName(run []int) string {
	first, last := l.parts[run[0]], l.parts[run[len(run)-1]]
	return strings.TrimSuffix(playlist.SegmentURI(first.Epoch, first.Seq, last.Seq), plainExtensions.segment) + l.ext.segment
}

func consecutive(a, b Part) bool { return a.Epoch == b.Epoch && a.Seq+1 == b.Seq && a.Block.Defined() }

// addSegment adds a segment's chunks to the last movie, or begins another where they do not go on from it.
func (l *layout) addSegment(s playlist.VODSegment) {
	n := len(l.movies)
	if n == 0 || !l.goesOn(l.movies[n-1], s.From) {
		l.movies = append(l.movies, movie{name: numbered("recording", l.ext.movie, n), init: l.parts[s.From]})
		n++
	}
	m := &l.movies[n-1]
	m.marks = append(m.marks, len(m.parts))
	for i := s.From; i < s.To; i++ {
		m.parts = append(m.parts, i)
	}
}

// goesOn reports whether part i can stand after the movie's last one: the same init segment, decode times that do not
// go back and do not leave a long hole.
func (l *layout) goesOn(m movie, i int) bool {
	last, next := l.parts[m.parts[len(m.parts)-1]], l.parts[i]
	if next.Init != last.Init || next.Timescale != last.Timescale {
		return false
	}
	end := last.DecodeTime + uint64(last.Duration)
	if last.Epoch != next.Epoch {
		end += uint64(restartRoom * time.Duration(next.Timescale) / time.Second)
	}
	return next.DecodeTime >= end && next.DecodeTime-end <= uint64(maxHole/time.Second)*uint64(next.Timescale)
}

// gaps returns what is missing, as far as it can be known, and whether the last epoch's end mark is there.
func gaps(parts []Part) (list []Gap, ended bool) {
	next := uint64(0)
	for i, p := range parts {
		if i == 0 || p.Epoch != parts[i-1].Epoch {
			next = 0
		}
		if p.Seq > next {
			list = append(list, Gap{Epoch: p.Epoch, From: next, To: p.Seq - 1})
		}
		next = p.Seq + 1
		ended = p.End
	}
	return list, ended
}
