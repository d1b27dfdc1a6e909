package node

import "time"

const (
	// headwayMemory is over how many seconds it is the largest seen.
	headwayMemory = 30
	// headwayLate and headwayEarly are how far a timestamp may be behind and before what the others let expect: beyond, the
	// source's clock was set anew. What a network holds back for longer counts as an encoder that has gone.
	headwayLate  = 10 * time.Second
	headwayEarly = 2 * time.Second
)

// headway measures how far the timestamps of a feed are ahead of the clock here. A network delays what it brings by more or
// less, and never brings it before its time: so the most that they were ahead within half a minute is the measure.
// Two feeds' timestamps stand for the same moment where they are equally far behind their own measure; that leaves
// what their encoders delay, which nothing here can tell. The zero value has seen nothing.
type headway struct {
	origin time.Time // that times are counted from
	from   int64     // the second of the newest entry
	most   [headwayMemory]time.Duration
	seen   [headwayMemory]bool
	some   bool
}

// reset forgets what was measured.
func (h *headway) reset() { *h = headway{origin: h.origin} }

// add takes in a timestamp that came at a time.
func (h *headway) add(came time.Time, stamp time.Duration) {
	if h.origin.IsZero() {
		h.origin = came
	}
	second := came.Unix()
	if !h.some {
		h.from, h.some = second, true
	}
	for ; h.from < second; h.from++ { // forgets what is older than the memory
		if second-h.from > headwayMemory {
			h.from = second - headwayMemory
		}
		h.seen[(h.from+1)%headwayMemory] = false
	}
	i := second % headwayMemory
	if ahead := stamp - came.Sub(h.origin); !h.seen[i] || ahead > h.most[i] {
		h.most[i], h.seen[i] = ahead, true
	}
}

// ahead returns the measure; false where nothing came.
func (h *headway) ahead() (most time.Duration, ok bool) {
	for i, seen := range h.seen {
		if seen && (!ok || h.most[i] > most) {
			most, ok = h.most[i], true
		}
	}
	return most, ok
}

// at returns the time here that lies so long after the first.
func (h *headway) at(d time.Duration) time.Time { return h.origin.Add(d) }

// plausible reports whether a timestamp goes on with those before.
func (h *headway) plausible(came time.Time, stamp time.Duration) bool {
	most, ok := h.ahead()
	ahead := stamp - came.Sub(h.origin)
	return !ok || ahead > most-headwayLate && ahead < most+headwayEarly
}
