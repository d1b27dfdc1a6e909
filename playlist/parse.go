package playlist

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrSyntax marks text that is not a playlist.
var ErrSyntax = errors.New("playlist syntax")

// Bounds of the parser.
const (
	maxLine    = 8 << 10
	maxEntries = 100_000
)

// Media is a parsed media playlist. Unknown tags are passed over, as the RFC wants; known ones must be right.
type Media struct {
	Version               int
	Independent           bool // EXT-X-INDEPENDENT-SEGMENTS
	TargetDuration        time.Duration
	CanBlock              bool
	PartHoldBack          time.Duration
	HoldBack              time.Duration
	SkipUntil             time.Duration
	PartTarget            time.Duration
	MediaSequence         uint64
	DiscontinuitySequence uint64
	Skipped               int
	Segments              []MediaSegment // the last one has no URI while it is open
	Hint                  string         // URI of EXT-X-PRELOAD-HINT:TYPE=PART
	Reports               []Report
	End                   bool
}

// MediaSegment is a segment of a parsed playlist.
type MediaSegment struct {
	MSN           uint64
	URI           string // empty: not finished
	Duration      time.Duration
	Discontinuity bool
	Gap           bool
	Date          time.Time
	Init          string // URI of the EXT-X-MAP that applies; empty where it was skipped by a delta update
	Parts         []MediaPart
}

// Length returns how long the segment plays: of one that is not finished, what its parts make so far.
func (s MediaSegment) Length() time.Duration {
	if s.URI != "" {
		return s.Duration
	}
	var sum time.Duration
	for _, p := range s.Parts {
		sum += p.Duration
	}
	return sum
}

// MediaPart is a part of a parsed playlist.
type MediaPart struct {
	URI         string
	Duration    time.Duration
	Independent bool
	Gap         bool
}

// ParseMedia reads a media playlist.
func ParseMedia(text []byte) (*Media, error) {
	m := &Media{}
	var cur MediaSegment
	var extinf, touched bool
	init := ""
	entries := 0
	err := lines(text, func(line string) error {
		if entries++; entries > maxEntries {
			return errors.New("too many lines")
		}
		tag, value, isTag := splitTag(line)
		if !isTag {
			if !extinf {
				return fmt.Errorf("URI %.40q without EXTINF", line)
			}
			cur.URI, cur.Init = line, init
			cur.MSN = m.MediaSequence + uint64(m.Skipped+len(m.Segments))
			m.Segments = append(m.Segments, cur)
			cur, extinf, touched = MediaSegment{}, false, false
			return nil
		}
		var err error
		switch tag {
		case "EXT-X-VERSION":
			m.Version, err = strconv.Atoi(value)
		case "EXT-X-INDEPENDENT-SEGMENTS":
			m.Independent = true
		case "EXT-X-TARGETDURATION":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 16)
			m.TargetDuration = time.Duration(n) * time.Second
		case "EXT-X-SERVER-CONTROL":
			var a attributes
			if a, err = parseAttributes(value); err != nil {
				return err
			}
			m.CanBlock = a["CAN-BLOCK-RELOAD"] == "YES"
			m.PartHoldBack, err = a.seconds("PART-HOLD-BACK", false)
			if err == nil {
				m.HoldBack, err = a.seconds("HOLD-BACK", false)
			}
			if err == nil {
				m.SkipUntil, err = a.seconds("CAN-SKIP-UNTIL", false)
			}
		case "EXT-X-PART-INF":
			var a attributes
			if a, err = parseAttributes(value); err == nil {
				m.PartTarget, err = a.seconds("PART-TARGET", true)
			}
		case "EXT-X-MEDIA-SEQUENCE":
			if len(m.Segments) > 0 || touched {
				return errors.New("EXT-X-MEDIA-SEQUENCE after a segment")
			}
			m.MediaSequence, err = strconv.ParseUint(value, 10, 62)
		case "EXT-X-DISCONTINUITY-SEQUENCE":
			if len(m.Segments) > 0 || touched {
				return errors.New("EXT-X-DISCONTINUITY-SEQUENCE after a segment")
			}
			m.DiscontinuitySequence, err = strconv.ParseUint(value, 10, 62)
		case "EXT-X-SKIP":
			var a attributes
			if a, err = parseAttributes(value); err == nil {
				m.Skipped, err = strconv.Atoi(a["SKIPPED-SEGMENTS"])
				if err == nil && (m.Skipped < 0 || m.Skipped > maxEntries) {
					err = errors.New("SKIPPED-SEGMENTS out of range")
				}
			}
		case "EXT-X-DISCONTINUITY":
			if len(cur.Parts) > 0 {
				return errors.New("EXT-X-DISCONTINUITY inside a segment")
			}
			cur.Discontinuity, touched = true, true
		case "EXT-X-MAP":
			var a attributes
			if a, err = parseAttributes(value); err == nil {
				if init = a["URI"]; init == "" {
					err = errors.New("EXT-X-MAP without URI")
				}
			}
		case "EXT-X-PROGRAM-DATE-TIME":
			if len(cur.Parts) > 0 {
				return errors.New("EXT-X-PROGRAM-DATE-TIME inside a segment")
			}
			cur.Date, err = time.Parse(time.RFC3339, value)
			touched = true
		case "EXT-X-GAP":
			cur.Gap, touched = true, true
		case "EXT-X-PART":
			var part MediaPart
			if part, err = parsePart(value); err == nil {
				cur.Parts = append(cur.Parts, part)
				touched = true
			}
		case "EXTINF":
			seconds, _, _ := strings.Cut(value, ",")
			cur.Duration, err = parseSeconds(seconds)
			extinf, touched = true, true
		case "EXT-X-PRELOAD-HINT":
			var a attributes
			if a, err = parseAttributes(value); err == nil && a["TYPE"] == "PART" {
				m.Hint = a["URI"]
			}
		case "EXT-X-RENDITION-REPORT":
			var a attributes
			if a, err = parseAttributes(value); err == nil {
				r := Report{URI: a["URI"]}
				if r.MSN, err = strconv.ParseUint(a["LAST-MSN"], 10, 62); err == nil {
					r.Part, err = strconv.Atoi(a["LAST-PART"])
				}
				m.Reports = append(m.Reports, r)
			}
		case "EXT-X-ENDLIST":
			m.End = true
		}
		if err != nil {
			return fmt.Errorf("%s: %w", tag, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if extinf {
		return nil, fmt.Errorf("%w: EXTINF without URI", ErrSyntax)
	}
	if m.TargetDuration == 0 {
		return nil, fmt.Errorf("%w: no EXT-X-TARGETDURATION", ErrSyntax)
	}
	if touched {
		cur.Init, cur.MSN = init, m.MediaSequence+uint64(m.Skipped+len(m.Segments))
		m.Segments = append(m.Segments, cur)
	}
	return m, nil
}

// ParseMultivariant reads the variants of a multivariant playlist.
func ParseMultivariant(text []byte) ([]Variant, error) {
	var variants []Variant
	var next *Variant
	err := lines(text, func(line string) error {
		tag, value, isTag := splitTag(line)
		if !isTag {
			if next == nil || len(variants) >= 1000 {
				return fmt.Errorf("URI %.40q without EXT-X-STREAM-INF", line)
			}
			next.URI = line
			variants = append(variants, *next)
			next = nil
			return nil
		}
		if tag != "EXT-X-STREAM-INF" {
			return nil
		}
		a, err := parseAttributes(value)
		if err != nil {
			return err
		}
		next = &Variant{Codecs: a["CODECS"], Audio: a["AUDIO"]}
		if next.Bandwidth, err = strconv.Atoi(a["BANDWIDTH"]); err != nil {
			return errors.New("EXT-X-STREAM-INF without BANDWIDTH")
		}
		if r, ok := a["RESOLUTION"]; ok {
			w, h, _ := strings.Cut(r, "x")
			next.Width, err = strconv.Atoi(w)
			if err == nil {
				next.Height, err = strconv.Atoi(h)
			}
		}
		if f, ok := a["FRAME-RATE"]; ok && err == nil {
			next.FrameRate, err = strconv.ParseFloat(f, 64)
		}
		if v, ok := a["AVERAGE-BANDWIDTH"]; ok && err == nil {
			next.Average, err = strconv.Atoi(v)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return variants, nil
}

// lines calls f for each line that says something, after the first, which must be #EXTM3U.
func lines(text []byte, f func(string) error) error {
	sc := bufio.NewScanner(strings.NewReader(string(text)))
	sc.Buffer(nil, maxLine)
	if !sc.Scan() || strings.TrimRight(sc.Text(), " \t") != "#EXTM3U" {
		return errors.New("does not start with #EXTM3U")
	}
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "#EXT") {
			continue
		}
		if err := f(line); err != nil {
			return err
		}
	}
	return sc.Err()
}

func splitTag(line string) (tag, value string, ok bool) {
	line, ok = strings.CutPrefix(line, "#")
	if !ok {
		return "", line, false
	}
	tag, value, _ = strings.Cut(line, ":")
	return tag, value, true
}

func parsePart(value string) (MediaPart, error) {
	a, err := parseAttributes(value)
	if err != nil {
		return MediaPart{}, err
	}
	part := MediaPart{URI: a["URI"], Independent: a["INDEPENDENT"] == "YES", Gap: a["GAP"] == "YES"}
	if part.URI == "" {
		return part, errors.New("no URI")
	}
	part.Duration, err = a.seconds("DURATION", true)
	return part, err
}

// attributes is an attribute list (RFC 4.2), quotes removed.
type attributes map[string]string

func parseAttributes(s string) (attributes, error) {
	a := attributes{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok || name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return nil, fmt.Errorf("attribute list at %.40q", s)
		}
		if _, twice := a[name]; twice {
			return nil, fmt.Errorf("attribute %.40s twice", name)
		}
		var value string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			if value, rest, ok = strings.Cut(quoted, `"`); !ok {
				return nil, fmt.Errorf("open quote in attribute %.40s", name)
			}
			if rest != "" && rest[0] != ',' {
				return nil, fmt.Errorf("text after attribute %.40s", name)
			}
			rest = strings.TrimPrefix(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		a[name] = value
		s = rest
	}
	return a, nil
}

func (a attributes) seconds(name string, required bool) (time.Duration, error) {
	v, ok := a[name]
	if !ok {
		if required {
			return 0, fmt.Errorf("no %s", name)
		}
		return 0, nil
	}
	return parseSeconds(v)
}

func parseSeconds(s string) (time.Duration, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0) || f > 1e6 {
		return 0, fmt.Errorf("not a duration: %.20q", s)
	}
	return time.Duration(math.Round(f * float64(time.Second))), nil
}
