package envelope

import (
	"math"
	"testing"
	"time"
)

func TestIDs(t *testing.T) {
	a, b, c := ID{1, 900}, ID{2, 0}, ID{2, 1}
	if !a.Less(b) || !b.Less(c) || b.Less(a) || c.Less(b) || a.Less(a) {
		t.Error("order of ids")
	}
	if got := c.String(); got != "2-1" {
		t.Error(got)
	}
	e := Envelope{Timescale: 90000, DecodeTime: 90000 * 3, Duration: 22500, PartTarget: 24030}
	if e.Time() != 3*time.Second || e.DurationTime() != 250*time.Millisecond || e.PartTargetTime() != 267*time.Millisecond {
		t.Error(e.Time(), e.DurationTime(), e.PartTargetTime())
	}
	e.Timescale, e.DecodeTime = 1, MaxInteger
	if e.Time() != math.MaxInt64 {
		t.Error(e.Time())
	}
	if new(Envelope).Time() != 0 {
		t.Error("zero envelope")
	}
}
