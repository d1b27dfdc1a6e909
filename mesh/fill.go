package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
)

const (
	backlogTries = 6                      // peers asked for the last seconds, before the topic has to do
	backlogPause = 300 * time.Millisecond // after an answer without chunks; it doubles, up to gapRetryMax
	shunFor      = 5 * time.Second        // a peer that failed, or had nothing, is asked last for so long
)

// watch wakes run when a neighbour comes to the topic: it may be the first one that can be asked.
func (t *Track) watch() {
	defer t.wg.Done()
	for {
		ev, err := t.events.NextPeerEvent(t.ctx)
		if err != nil {
			return
		}
		join := ev.Type == pubsub.PeerJoin
		switch {
		case t.driver == nil:
		case join:
			t.driver.comes(ev.Peer)
		default:
			wake(t.driver.roll)
		}
		if join {
			wake(t.poke)
		}
	}
}

// answer is what came of one request.
type answer struct {
	what    fetch
	backlog bool
	from    peer.ID
	got     int  // chunks that were new
	ok      bool // the peer answered properly
}

// filler is the state of run.
type filler struct {
	t       *Track
	answers chan answer
	open    int
	shun    map[peer.ID]time.Time // until when

	start        *start // what of the past is wanted, where fragments come; nil where the log does all
	backlog      bool   // the last seconds are still wanted
	backlogOpen  bool
	backlogDue   time.Time
	backlogTries int
}

// run asks neighbours for the last seconds on joining, and for what is missing later, until the track is closed.
func (t *Track) run() {
	defer t.wg.Done()
	f := &filler{
		t: t, answers: make(chan answer, gapOpen+1), shun: map[peer.ID]time.Time{},
	}
	if wanted := !t.cfg.Publish && t.cfg.Backlog >= 0; wanted && t.driver != nil {
		f.start = &start{span: t.cfg.Backlog}
	} else {
		f.backlog = wanted
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.ctx.Done():
			for ; f.open > 0; f.open-- { // they end with the context
				<-f.answers
			}
			return
		case a := <-f.answers:
			f.open--
			f.took(a, t.node.now())
		case <-t.poke:
		case <-timer.C:
		}
		if again := f.step(t.node.now()); again.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(0, again.Sub(t.node.now())))
		}
	}
}

// step makes the requests that are due, and returns when to look again.
func (f *filler) step(now time.Time) time.Time {
	t := f.t
	t.mu.Lock()
	if t.pushing {
		f.backlog, f.start = false, nil
		t.mu.Unlock()
		return time.Time{}
	}
	t.mu.Unlock()
	var wait time.Time
	if f.start != nil {
		if wait, f.backlog = f.start.step(t, now); f.backlog {
			f.start = nil
		}
	}
	t.mu.Lock()
	todo, again := t.gaps.next(now)
	t.mu.Unlock()
	for _, what := range todo {
		f.ask(what, false, now)
	}
	if !wait.IsZero() && (again.IsZero() || wait.Before(again)) {
		again = wait
	}
	span := t.backlog()
	if f.backlog && t.window.reaches(span) {
		f.backlog = false // the topic has brought as much while nobody had anything
	}
	if f.backlog && !f.backlogOpen {
		if f.backlogDue.After(now) {
			if again.IsZero() || f.backlogDue.Before(again) {
				again = f.backlogDue
			}
		} else {
			f.ask(fetch{}, true, now) // without a neighbour: the next one that comes wakes run
		}
	}
	return again
}

// ask sends one request to a random neighbour, preferring those that did not fail lately.
func (f *filler) ask(what fetch, backlog bool, now time.Time) {
	t := f.t
	p, ok := f.pick(what, now)
	if !ok {
		if !backlog {
			t.mu.Lock()
			t.gaps.done(what, false, 0, now)
			t.mu.Unlock()
		}
		return
	}
	f.open++
	f.backlogOpen = f.backlogOpen || backlog
	go func() {
		a := answer{what: what, backlog: backlog, from: p}
		req := logRequest{Kind: logRange, Track: t.id, From: what.From, To: what.To, Count: gapRun, Size: maxLogBytes}
		how := byGap
		if what.kind == fetchBack {
			how = byBacklog
		}
		if backlog {
			req = logRequest{Kind: logLatest, Track: t.id, Span: t.backlog(), Count: maxLogCount, Size: maxLogBytes}
			how = byBacklog
		}
		var err error
		a.got, err = t.fetch(t.ctx, p, req, how)
		a.ok = err == nil
		if err != nil && t.ctx.Err() == nil {
			t.log.Debug("log request failed", "peer", p, "err", err)
		}
		f.answers <- a
	}()
}

// backlog is how much is asked for where the log does all.
func (t *Track) backlog() time.Duration { return cmp.Or(t.cfg.Backlog, defaultBacklog) }

// pick returns whom to ask: a random neighbour, of those that said they have it where any did.
func (f *filler) pick(what fetch, now time.Time) (peer.ID, bool) {
	peers := f.t.topic.ListPeers()
	rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	if f.t.driver != nil && (what.kind == fetchGap || what.kind == fetchBack) && what.To.Seq > 0 {
		has := f.t.driver.holders(what.From)
		slices.SortStableFunc(peers, func(a, b peer.ID) int { return cmp.Compare(rank(has[b]), rank(has[a])) })
	}
	for _, p := range peers {
		if until, bad := f.shun[p]; !bad || !until.After(now) {
			delete(f.shun, p)
			return p, true
		}
	}
	if len(peers) == 0 {
		clear(f.shun)
		return "", false
	}
	return peers[0], true
}

// took takes note of an answer.
func (f *filler) took(a answer, now time.Time) {
	t := f.t
	// Who had nothing to fill a gap with is asked last for a while: where few have a chunk, chance alone would ask the
	// same ones again and again.
	if !a.ok || a.got == 0 && (a.backlog || a.what.kind == fetchGap || a.what.kind == fetchBack) {
		f.shun[a.from] = now.Add(shunFor)
	}
	result := "empty"
	if !a.ok {
		result = "failed"
	} else if a.got > 0 {
		result = "filled"
	}
	t.node.metrics.logAsked.WithLabelValues(result).Inc()
	if !a.backlog {
		t.mu.Lock()
		before := t.gaps.missed
		t.gaps.done(a.what, a.ok, a.got, now)
		t.node.metrics.missed.Add(float64(t.gaps.missed - before))
		t.mu.Unlock()
		return
	}
	f.backlogOpen = false
	f.backlogTries++
	switch {
	case a.got > 0:
		f.backlog = false
	case f.backlogTries >= backlogTries && t.received.Load() > 0:
		f.backlog = false // the topic brings chunks, and nobody has older ones
	default:
		f.backlogDue = now.Add(min(gapRetryMax, backlogPause<<min(f.backlogTries-1, 6)))
		if f.backlogTries == 1 {
			f.backlogDue = now // a newcomer too: try the next one at once
		}
	}
}

// fetch asks one peer and takes in what it sends, verified; it returns how many chunks were new. Where a limit cut the
// answer short, it asks on.
func (t *Track) fetch(ctx context.Context, p peer.ID, req logRequest, how arrival) (got int, err error) {
	for {
		var last envelope.ID
		seen := 0
		end, err := t.node.ask(ctx, p, req, func(b []byte) error {
			c, err := decodeFrame(b)
			if err == nil {
				err = verifyChunk(t.id, c)
			}
			if err != nil {
				t.node.gate.offend(p, offenceForged)
				return err
			}
			id := c.ID()
			if seen > 0 && !last.Less(id) || req.Kind == logRange && (id.Less(req.From) || req.To.Less(id)) {
				t.node.gate.offend(p, offenceMalformed)
				return fmt.Errorf("%w: chunk %v was not asked for", ErrLogWire, id)
			}
			last = id
			seen++
			if t.accept(c, how) == added {
				got++
			}
			return nil
		}, nil)
		if errors.Is(err, ErrLogWire) {
			t.node.gate.offend(p, offenceMalformed)
		}
		if err != nil {
			return got, err
		}
		switch {
		case end.Status == logDone:
			return got, nil
		case end.Status == logMore && seen > 0 && req.Kind == logRange:
			if !last.Less(req.To) {
				return got, nil
			}
			req.From = envelope.ID{Epoch: last.Epoch, Seq: last.Seq + 1}
		case end.Status == logMore && seen > 0:
			// The last seconds are more than an answer holds: on from there.
			req = logRequest{Kind: logRange, Track: t.id, From: envelope.ID{Epoch: last.Epoch, Seq: last.Seq + 1}, To: end.Newest, Count: maxLogCount, Size: maxLogBytes}
			if req.To.Less(req.From) {
				return got, nil
			}
		default:
			return got, fmt.Errorf("%w: status %d", ErrNotServed, end.Status)
		}
	}
}
