package playlist

import (
	"errors"
	"net/url"
	"testing"
	"time"
)

// TestDecide is the table of LL-HLS's blocking reload (RFC 6.2.5.2). The list holds segments 0 (8 parts), 1 (3 parts,
// ended by a discontinuity) and 2 (2 parts, open).
func TestDecide(t *testing.T) {
	p, s := mustNew(Config{}), newStream()
	feed(p, s.take(11)...)
	s.interrupt(time.Second, "a")
	feed(p, s.take(2)...)
	if msn, part, _ := p.Last(); msn != 2 || part != 1 {
		t.Fatalf("last %d %d", msn, part)
	}
	for _, c := range []struct {
		query string
		want  Verdict
		bad   bool
	}{
		{query: "", want: Answer},
		{query: "_HLS_skip=YES", want: Answer},
		{query: "_HLS_part=1", bad: true},
		{query: "_HLS_msn=x", bad: true},
		{query: "_HLS_msn=", bad: true},
		{query: "_HLS_msn=-1", bad: true},
		{query: "_HLS_msn=1.5&_HLS_part=0", bad: true},
		{query: "_HLS_msn=2&_HLS_part=y", bad: true},
		{query: "_HLS_msn=99999999999999999999", bad: true},
		{query: "_HLS_msn=0&_HLS_part=3", want: Answer},
		{query: "_HLS_msn=1&_HLS_part=2", want: Answer},
		{query: "_HLS_msn=1&_HLS_part=3", want: Answer}, // counts as part 0 of segment 2
		{query: "_HLS_msn=1&_HLS_part=400", want: Answer},
		{query: "_HLS_msn=2", want: Answer}, // counts as part 0
		{query: "_HLS_msn=2&_HLS_part=1", want: Answer},
		{query: "_HLS_msn=2&_HLS_part=2", want: Wait},
		{query: "_HLS_msn=2&_HLS_part=13", want: Wait},
		{query: "_HLS_msn=2&_HLS_part=14", want: Refuse},
		{query: "_HLS_msn=3", want: Wait},
		{query: "_HLS_msn=3&_HLS_part=12", want: Wait},
		{query: "_HLS_msn=3&_HLS_part=13", want: Refuse},
		{query: "_HLS_msn=4&_HLS_part=0", want: Wait},
		{query: "_HLS_msn=5", want: Refuse},
		{query: "_HLS_msn=9223372036854775807", want: Refuse},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseReload(q)
		if (err != nil) != c.bad || err != nil && !errors.Is(err, ErrReload) {
			t.Errorf("%q: error %v", c.query, err)
			continue
		}
		if err == nil && p.Decide(r) != c.want {
			t.Errorf("%q: %v, want %v", c.query, p.Decide(r), c.want)
		}
	}
	if d := p.MaxWait(); d != 6*time.Second {
		t.Errorf("MaxWait %v", d)
	}
	// Nothing is listed any more once the window has moved on.
	feed(p, s.take(400)...)
	if got := p.Decide(Reload{Blocking: true, MSN: 0, Part: 1}); got != Answer {
		t.Errorf("older than the window: %v", got)
	}
	feed(p, s.end())
	if got := p.Decide(Reload{Blocking: true, MSN: 1 << 60}); got != Answer {
		t.Errorf("after the end: %v", got)
	}
	// Before the beginning everybody waits.
	if got := mustNew(Config{}).Decide(Reload{Blocking: true, MSN: 7}); got != Wait {
		t.Errorf("empty: %v", got)
	}
}
