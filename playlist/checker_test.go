package playlist

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	gohls "github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// checker holds successive reloads of one playlist against the RFC and against each other.
type checker struct {
	t       testing.TB
	last    *Media
	content map[string]string // URI -> what it is said to be
	server  string            // EXT-X-SERVER-CONTROL and EXT-X-PART-INF lines, which never change
	gone    map[string]bool   // parts that left the list
	loose   bool              // the parts themselves make no sense: check the list's form only
}

func newChecker(t testing.TB) *checker {
	return &checker{t: t, content: map[string]string{}, gone: map[string]bool{}}
}

// reload checks one text. It returns the parsed playlist.
func (c *checker) reload(text []byte) *Media {
	c.t.Helper()
	fail := func(format string, args ...any) {
		c.t.Helper()
		before := ""
		if c.last != nil {
			before = fmt.Sprintf("\nbefore: %+v", c.last)
		}
		c.t.Fatalf("%s\n%s%s", fmt.Sprintf(format, args...), text, before)
	}
	m, err := ParseMedia(text)
	if err != nil {
		fail("%v", err)
	}
	var second gohls.Media
	if err := second.Unmarshal(text); err != nil && len(m.Segments) > 0 && m.Segments[0].URI != "" {
		fail("gohlslib: %v", err)
	}
	var fixed []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#EXT-X-SERVER-CONTROL") || strings.HasPrefix(line, "#EXT-X-PART-INF") ||
			strings.HasPrefix(line, "#EXT-X-TARGETDURATION") || strings.HasPrefix(line, "#EXT-X-VERSION") {
			fixed = append(fixed, line)
		}
	}
	if server := strings.Join(fixed, ""); c.server == "" {
		c.server = server
	} else if c.server != server {
		fail("a fixed tag changed: %q, was %q", server, c.server)
	}
	if m.Version < 9 || !m.CanBlock || m.PartHoldBack < 3*m.PartTarget || m.PartTarget <= 0 {
		fail("header: %+v", m)
	}
	if m.SkipUntil != 0 && m.SkipUntil < 6*m.TargetDuration {
		fail("CAN-SKIP-UNTIL %v", m.SkipUntil)
	}
	c.segments(m, fail)
	if c.last != nil {
		c.succession(m, fail)
	}
	c.last = m
	return m
}

// segments checks one playlist by itself.
func (c *checker) segments(m *Media, fail func(string, ...any)) {
	if n := len(m.Segments); n > 0 && !c.loose && m.Segments[0].Gap && total(m) > 3*m.TargetDuration+m.Segments[0].Duration {
		fail("begins with a gap")
	}
	for i, s := range m.Segments {
		if s.URI == "" && i < len(m.Segments)-1 {
			fail("open segment %d is not the last", s.MSN)
		}
		if s.URI == "" && m.End {
			fail("open segment in an ended playlist")
		}
		if s.Init == "" || s.Date.IsZero() {
			fail("segment %d has no map or date", s.MSN)
		}
		if math.Round(s.Duration.Seconds()) > m.TargetDuration.Seconds() {
			fail("segment %d lasts %v", s.MSN, s.Duration)
		}
		if i > 0 && s.Init != m.Segments[i-1].Init && !s.Discontinuity {
			fail("segment %d: another init without a discontinuity", s.MSN)
		}
		if i > 0 && !s.Discontinuity && !c.loose {
			want := m.Segments[i-1].Date.Add(m.Segments[i-1].Duration)
			if d := s.Date.Sub(want).Abs(); d > 250*time.Millisecond {
				fail("segment %d: date %v, expected %v", s.MSN, s.Date, want)
			}
		}
		var sum time.Duration
		gap := false
		for j, p := range s.Parts {
			sum += p.Duration
			gap = gap || p.Gap
			if p.Duration > m.PartTarget && !c.loose {
				fail("part %s lasts %v", p.URI, p.Duration)
			}
			if p.Duration == 0 {
				fail("part %s lasts nothing", p.URI)
			}
			if p.Gap && p.Independent {
				fail("part %s: gap and independent", p.URI)
			}
			// 85 % rule (RFC 4.4.3.7), with its exceptions.
			ok := c.loose || p.Gap || p.Duration*100 >= m.PartTarget*85 || j == len(s.Parts)-1 ||
				s.Parts[j+1].Independent || s.Parts[j+1].Gap
			if !ok {
				fail("part %s lasts only %v", p.URI, p.Duration)
			}
		}
		if s.URI != "" && len(s.Parts) > 0 {
			if (sum - s.Duration).Abs() > 200*time.Microsecond {
				fail("segment %d lasts %v, its parts %v", s.MSN, s.Duration, sum)
			}
			if gap != s.Gap {
				fail("segment %d: gap %v, its parts %v", s.MSN, s.Gap, gap)
			}
		}
		if m.Independent && len(s.Parts) > 0 && !s.Parts[0].Independent && !s.Parts[0].Gap {
			fail("segment %d is not independent", s.MSN)
		}
	}
	// Parts of what is within 3 target durations of the end must be listed while the broadcast lives.
	if !m.End {
		var after time.Duration
		for i := len(m.Segments) - 1; i >= 0; i-- {
			s := m.Segments[i]
			if len(s.Parts) == 0 && after < 3*m.TargetDuration {
				fail("segment %d, %v from the end, has no parts", s.MSN, after)
			}
			if len(s.Parts) > 0 && after >= 3*m.TargetDuration {
				fail("segment %d, %v from the end, still has parts", s.MSN, after)
			}
			after += s.Length()
		}
	}
}

// succession checks that a playlist follows from the one before.
func (c *checker) succession(m *Media, fail func(string, ...any)) {
	old := c.last
	if m.MediaSequence < old.MediaSequence || m.DiscontinuitySequence < old.DiscontinuitySequence {
		fail("sequence numbers went back")
	}
	if len(old.Segments) == 0 {
		return
	}
	if m.MediaSequence > old.MediaSequence && !m.End && total(m) < 3*m.TargetDuration {
		fail("a segment left a list of less than 3 target durations")
	}
	if m.Independent && !old.Independent {
		fail("INDEPENDENT-SEGMENTS appeared")
	}
	removed := m.MediaSequence - old.MediaSequence
	if removed > uint64(len(old.Segments)) {
		if c.loose { // one part may bring a whole window of gaps
			return
		}
		fail("%d segments left at once", removed)
	}
	discontinuities := old.DiscontinuitySequence
	for _, s := range old.Segments[:removed] {
		if s.Discontinuity {
			discontinuities++
		}
	}
	if discontinuities != m.DiscontinuitySequence {
		fail("DISCONTINUITY-SEQUENCE %d, expected %d", m.DiscontinuitySequence, discontinuities)
	}
	for i, was := range old.Segments[removed:] {
		if i >= len(m.Segments) {
			fail("segment %d went away", was.MSN)
		}
		is := m.Segments[i]
		if is.MSN != was.MSN || is.Discontinuity != was.Discontinuity || is.Init != was.Init || !is.Date.Equal(was.Date) {
			fail("segment %d changed: %+v, was %+v", was.MSN, is, was)
		}
		if was.URI != "" && (is.URI != was.URI || is.Duration != was.Duration || is.Gap != was.Gap) {
			fail("finished segment %d changed: %+v, was %+v", was.MSN, is, was)
		}
		if len(is.Parts) > 0 {
			if len(is.Parts) < len(was.Parts) || was.URI != "" && len(was.Parts) > 0 && len(is.Parts) != len(was.Parts) {
				fail("segment %d has %d parts, had %d", was.MSN, len(is.Parts), len(was.Parts))
			}
			for j, p := range was.Parts {
				if is.Parts[j] != p {
					fail("part changed: %+v, was %+v", is.Parts[j], p)
				}
			}
		}
	}
	for _, s := range m.Segments {
		if s.URI != "" {
			c.same(s.URI, fmt.Sprint(s.MSN, s.Duration, s.Gap), fail)
		}
		for j, p := range s.Parts {
			c.same(p.URI, fmt.Sprint(s.MSN, j, p), fail)
		}
	}
	// The hinted part must come next, or never: it was a gap, or the list went on elsewhere.
	if old.Hint != "" && m.Hint != "" && m.Hint != old.Hint && !m.End {
		for _, s := range m.Segments {
			for _, p := range s.Parts {
				if p.URI == old.Hint {
					return
				}
			}
		}
		if s := m.Segments[len(m.Segments)-1]; !s.Discontinuity && s.MSN == old.Segments[len(old.Segments)-1].MSN {
			fail("hint %s was passed over", old.Hint)
		}
	}
}

func (c *checker) same(uri, what string, fail func(string, ...any)) {
	if was, ok := c.content[uri]; ok && was != what {
		fail("%s is %s, was %s", uri, what, was)
	}
	c.content[uri] = what
}

func total(m *Media) time.Duration {
	var sum time.Duration
	for _, s := range m.Segments {
		sum += s.Length()
	}
	return sum
}
