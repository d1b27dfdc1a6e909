package playlist

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Variant is one entry of a multivariant playlist that plays by itself.
type Variant struct {
	URI           string
	Codecs        string // RFC 6381, of everything that plays with it; left out where unknown
	Width, Height int    // zero for sound alone
	FrameRate     float64
	Bandwidth     int    // peak, bits per second, required
	Average       int    // mean, bits per second; left out where zero
	Audio         string // group of renditions that goes with it
}

// Rendition is an alternative sound track.
type Rendition struct {
	Group, Name, Language string
	URI                   string // empty for the sound that is in the variants themselves
	Default               bool
}

// OriginalSound is what the sound that comes with the picture is called where there are others.
const OriginalSound = "Original"

// tag matches the names of tracks that may be RFC 5646 language tags: a language, and perhaps a script, a region or more.
var tag = regexp.MustCompile(`^[a-z]{2,3}(-[a-z0-9]{2,8})*$`)

// Language returns the language that a track of sound alone is in by its name; empty where the name is no language tag.
func Language(track string) string {
	if tag.MatchString(track) {
		return track
	}
	return ""
}

// Multivariant returns a multivariant playlist.
func Multivariant(variants []Variant, renditions []Rendition) []byte {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:9\n")
	for _, r := range renditions {
		fmt.Fprintf(&b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=%s,NAME=%s", quote(r.Group), quote(r.Name))
		if r.Language != "" {
			fmt.Fprintf(&b, ",LANGUAGE=%s", quote(r.Language))
		}
		if r.Default {
			b.WriteString(",DEFAULT=YES")
		}
		b.WriteString(",AUTOSELECT=YES")
		if r.URI != "" {
			fmt.Fprintf(&b, ",URI=%s", quote(r.URI))
		}
		b.WriteString("\n")
	}
	for _, v := range variants {
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d", max(v.Bandwidth, 1))
		if v.Average > 0 {
			fmt.Fprintf(&b, ",AVERAGE-BANDWIDTH=%d", v.Average)
		}
		if v.Codecs != "" {
			fmt.Fprintf(&b, ",CODECS=%s", quote(v.Codecs))
		}
		if v.Width > 0 && v.Height > 0 {
			fmt.Fprintf(&b, ",RESOLUTION=%dx%d", v.Width, v.Height)
		}
		if v.FrameRate > 0 {
			fmt.Fprintf(&b, ",FRAME-RATE=%s", strconv.FormatFloat(v.FrameRate, 'f', 3, 64))
		}
		if v.Audio != "" {
			fmt.Fprintf(&b, ",AUDIO=%s", quote(v.Audio))
		}
		fmt.Fprintf(&b, "\n%s\n", v.URI)
	}
	return []byte(b.String())
}

// quote makes a quoted-string (RFC 4.2). It has no escapes: quotes and line breaks are not allowed in it.
func quote(s string) string {
	return `"` + strings.Map(func(r rune) rune {
		if r == '"' || r < ' ' {
			return '\''
		}
		return r
	}, s) + `"`
}
