package playlist

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// ErrReload marks delivery directives that no client should send: the answer is 400.
var ErrReload = errors.New("delivery directives")

// Reload holds the delivery directives of a playlist request (RFC 6.2.5.2 and 6.2.5.1).
type Reload struct {
	Blocking bool   // _HLS_msn is there
	MSN      uint64 // _HLS_msn
	Part     uint64 // _HLS_part; zero where it is absent: Safari means part 0 when it names none
	Skip     bool   // _HLS_skip=YES or v2
}

// ParseReload reads the delivery directives from a query.
func ParseReload(q url.Values) (Reload, error) {
	var r Reload
	number := func(name string) (uint64, bool, error) {
		if !q.Has(name) {
			return 0, false, nil
		}
		n, err := strconv.ParseUint(q.Get(name), 10, 63)
		if err != nil {
			return 0, false, fmt.Errorf("%w: %s is not a number", ErrReload, name)
		}
		return n, true, nil
	}
	var err error
	if r.MSN, r.Blocking, err = number("_HLS_msn"); err != nil {
		return r, err
	}
	part, ok, err := number("_HLS_part")
	if err != nil {
		return r, err
	}
	if ok && !r.Blocking {
		return r, fmt.Errorf("%w: _HLS_part without _HLS_msn", ErrReload)
	}
	r.Part = part
	switch q.Get("_HLS_skip") {
	case "YES", "v2":
		r.Skip = true
	}
	return r, nil
}

// Verdict is what to do with a request.
type Verdict int

// Verdicts of Decide.
const (
	Answer Verdict = iota // answer with the current playlist
	Wait                  // wait for the playlist to change, then ask again
	Refuse                // answer 400
)

// String names the verdict, for logs and tests.
func (v Verdict) String() string {
	return [...]string{"answer", "wait", "refuse"}[v]
}

// Decide tells what to do with a blocking reload. A request that has waited MaxWait is answered 503.
func (p *Playlist) Decide(r Reload) Verdict {
	if p.ended || !r.Blocking {
		return Answer // an ended playlist never changes: directives are ignored
	}
	if len(p.segments) == 0 {
		return Wait
	}
	last := p.segments[len(p.segments)-1]
	switch {
	case r.MSN > last.msn+2:
		return Refuse
	case r.MSN < last.msn:
		// Also a part past the end of a finished segment: it counts as part 0 of the next, which is here.
		return Answer
	case r.MSN == last.msn && r.Part <= last.last-last.first:
		return Answer
	}
	here := uint64(0)
	if r.MSN == last.msn {
		here = last.last - last.first
	}
	if r.Part > here+p.advance3() {
		return Refuse
	}
	return Wait
}

// advance3 is the RFC's Advance Part Limit: how many parts ahead a client may ask for. Three seconds' worth, three
// at least.
func (p *Playlist) advance3() uint64 {
	if p.cfg.PartTarget >= time.Second {
		return 3
	}
	return uint64((3*time.Second + p.cfg.PartTarget - 1) / p.cfg.PartTarget)
}

// MaxWait is how long a blocking request is held before it is answered 503: 3 target durations (RFC 6.2.5.2).
func (p *Playlist) MaxWait() time.Duration { return 3 * p.cfg.TargetDuration }
