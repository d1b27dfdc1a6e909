package sim

import (
	"fmt"
	"slices"
	"time"
)

// Check holds a scenario, loaded or changed after that, within bounds in which a simulation makes sense and ends.
func (s *Scenario) Check() error {
	for _, c := range []struct {
		fine bool
		want string
	}{
		{s.Peers >= 1 && s.Peers <= 1_000_000, "peers must be 1 to 1000000"},
		{
			within(s.Duration, time.Second, 24*time.Hour) && within(s.Warmup, 0, time.Hour),
			"it is measured for 1s to 24h, after a warm-up of at most 1h",
		},
		{len(s.Classes) > 0, "no classes of peers"},
		{within(s.Settle, 0, time.Hour) && within(s.Late, time.Millisecond, time.Minute), "settle is at most 1h, late 1ms to 1m"},
		{s.Track.Bitrate >= 8e3 && s.Track.Bitrate <= 1e9, "track.bitrate is 8k to 1G"},
		{within(s.Track.Chunk, 10*time.Millisecond, 10*time.Second), "track.chunk is 10ms to 10s"},
		{s.Track.Group >= 1 && s.Track.Group <= 10_000, "track.group is 1 to 10000 chunks"},
		{s.Track.Keyframe > 0 && s.Track.Keyframe < float64(s.Track.Group), "a keyframe chunk cannot be the whole group, and has a size"},
		{s.Track.Vary >= 0 && s.Track.Vary <= 2, "track.vary is 0 to 2"},
		{s.Place.Plane == nil || s.Place.Plane.fine(), "the plane's width, height and base are at most 10s"},
		{s.Links.Burst >= 1200 && s.Links.Burst <= 1<<24 && s.Links.Window >= 1200 && s.Links.Window <= 1<<24, "links.burst and links.window are 1200 to 16777216 bytes"},
		{within(s.Links.Connect, 0, time.Minute) && within(s.Links.Detect, 0, 10*time.Minute), "links.connect is at most 1m, links.detect 10m"},
		{s.Mesh.Most <= 64 && s.Mesh.Origin <= 56, "mesh.most is at most 64, mesh.origin 56"},
		{min(s.Mesh.Near, s.Mesh.Random, s.Mesh.Sample, s.Mesh.Kept, s.Mesh.Most, s.Mesh.Origin) >= 0, "numbers of neighbours cannot be negative"},
		{within(s.Join.Over, 0, time.Hour), "join.over is at most 1h"},
		{s.Join.Crowd == nil || s.Join.Crowd.Peers >= 1 && s.Join.Crowd.Peers <= s.Peers, "the crowd must be of the peers"},
		{s.Join.Crowd == nil || within(s.Join.Crowd.At, 0, 24*time.Hour) && within(s.Join.Crowd.Over, 0, 24*time.Hour), "a crowd comes within 24h"},
		{s.Churn.Share == 0 || s.Churn.Share > 0 && s.Churn.Share <= 1 && within(s.Churn.Every, time.Second, 24*time.Hour), "churn.share is at most 1, churn.every 1s to 24h"},
	} {
		if !c.fine {
			return s.wrong("%s", c.want)
		}
	}
	for _, c := range append([]Class{s.Origin}, s.Classes...) {
		if want := c.wants(); want != "" {
			return s.wrong("class %q: %s", c.Name, want)
		}
	}
	for _, f := range s.Faults {
		if f.Kind != "fail" && f.Kind != "part" {
			return s.wrong("fault %q is neither fail nor part", f.Kind)
		}
		if !within(f.At, 0, 24*time.Hour) || !within(f.For, 0, 24*time.Hour) || !(f.Share >= 0 && f.Share <= 1) {
			return s.wrong("a fault comes within 24h, for at most 24h, to a share of at most 1")
		}
	}
	return nil
}

// wrong is an error about the scenario, with its name if it has one.
func (s *Scenario) wrong(format string, args ...any) error {
	name := ""
	if s.Name != "" {
		name = " " + s.Name
	}
	return fmt.Errorf("%w%s: %s", ErrScenario, name, fmt.Sprintf(format, args...))
}

func within(d, least, most time.Duration) bool { return d >= least && d <= most }

func (p *Plane) fine() bool {
	return within(p.Width, 0, 10*time.Second) && within(p.Height, 0, 10*time.Second) && within(p.Base, 0, 10*time.Second)
}

// wants says what a class lacks, or nothing.
func (c *Class) wants() string {
	u := c.UpSpread
	switch {
	case c.Up < 8e3:
		return "it needs an uplink, of 8k at least"
	case u != [3]Rate{} && !(u[0] > 0 && u[0] <= u[1] && u[1] <= u[2]):
		return "the three rates of up_p10_p50_p90 must grow"
	case c.Down < 8e3:
		return "a downlink has 8k at least"
	case !(c.Loss >= 0 && c.Loss <= 0.5):
		return "at most half its packets can be lost"
	case !(c.Share >= 0 && c.Share <= 1e9):
		return "a share is 0 to 1000000000"
	case !within(c.LastMile[0], 0, 10*time.Second) || !within(c.LastMile[1], c.LastMile[0], 10*time.Second):
		return "last_mile is two delays, the lesser first, of at most 10s"
	case !within(c.Jitter, 0, 10*time.Second):
		return "jitter is at most 10s"
	case c.Behaviour != "" && !slices.Contains([]Behaviour{Honest, Mute, Garbage, Free}, c.Behaviour):
		return fmt.Sprintf("behaviour %q is unknown", c.Behaviour)
	}
	return ""
}
