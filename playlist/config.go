package playlist

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Config fixes what may not change while the playlist lives.
type Config struct {
	// PartTarget is PART-TARGET. Required. No part should be longer.
	PartTarget time.Duration

	// TargetDuration is TARGETDURATION, rounded up to whole seconds. Default 2 s; see TargetDuration (the function)
	// for streams whose keyframes are further apart.
	TargetDuration time.Duration

	// Window is how much media the playlist lists at least. Default 60 s; never less than 3 target durations.
	// Above 2 minutes delta updates are offered. A window of hours is how players can go back to the start of a
	// broadcast: what is listed costs about 300 bytes a segment, and nothing for the parts of old ones.
	Window time.Duration

	// Grace is how long a missing chunk is waited for once a later one is here. Default 1 s.
	Grace time.Duration

	// Settle is how long to wait for older chunks before the list begins with one that is not the broadcast's
	// first: a newcomer's backlog and the live chunks arrive together. Default 300 ms.
	Settle time.Duration

	// PartHoldBack is PART-HOLD-BACK, at least 3 x PartTarget, which is the default.
	PartHoldBack time.Duration

	// MaxGap is the longest run of missing chunks that is listed as gaps. A longer one (a laptop that slept)
	// becomes a discontinuity. Default 3 target durations.
	MaxGap time.Duration
}

func (c Config) withDefaults() (Config, error) {
	if c.PartTarget <= 0 {
		return c, fmt.Errorf("%w: no part target", ErrConfig)
	}
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&c.TargetDuration, 2*time.Second)
	c.TargetDuration = (c.TargetDuration + time.Second - 1).Truncate(time.Second)
	set(&c.Window, time.Minute)
	c.Window = max(c.Window, 3*c.TargetDuration)
	set(&c.Grace, time.Second)
	set(&c.Settle, 300*time.Millisecond)
	c.PartHoldBack = max(c.PartHoldBack, 3*roundUp(c.PartTarget)) // as printed
	set(&c.MaxGap, 3*c.TargetDuration)
	if c.PartTarget > c.TargetDuration {
		return c, fmt.Errorf("%w: part target %v above target duration %v", ErrConfig, c.PartTarget, c.TargetDuration)
	}
	return c, nil
}

// TargetDuration returns the target duration that suits a backlog, in any order: 2 s, or more where keyframes are
// further apart, up to 10 s. It must be settled before the playlist is first shown, since it may never change after.
// Known tells whether the backlog holds a whole stretch from one keyframe to the next; else the next is a guess.
func TargetDuration(backlog []Part) (target time.Duration, known bool) {
	parts := slices.Clone(backlog)
	slices.SortFunc(parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
	})
	longest := 2 * time.Second
	var since time.Duration
	counting := false
	for i, p := range parts {
		if p.Timescale == 0 || p.End {
			continue
		}
		follows := i > 0 && parts[i-1].ID().next() == p.ID() && !p.Discontinuity
		if p.Independent || !follows {
			known = known || counting && follows
			since, counting = 0, p.Independent
		}
		since += p.Length()
		if counting {
			longest = max(longest, since)
		}
	}
	// A segment's length rounded to whole seconds is what counts (RFC 4.4.3.1).
	return min(longest.Round(time.Second), 10*time.Second), known
}
