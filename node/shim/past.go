package shim

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"murmuration/playlist"
)

// Names of a track's media playlists. Where what was before came too late for the first, the second has the whole, and
// the multivariant playlist names it.
const (
	indexName = "index.m3u8"
	dvrName   = "dvr.m3u8"
)

const (
	pastWait    = 700 * time.Millisecond // for what was before, from the first chunk on, before a list is shown without it
	pastTimeout = 10 * time.Second       // for one answer of a History
	pastPause   = time.Second            // before it is asked again; doubles up to pastPauses
	pastPauses  = 30 * time.Second
	pastTries   = 20
)

// pastState says what a track knows of what was before its window.
type pastState int

const (
	pastNone    pastState = iota // nothing to know: no History, or no chunk yet
	pastAsked                    // the answer is worth waiting for
	pastOverdue                  // the list is shown without it
	pastKnown                    // it stands in the list
)

// ask asks for what was before, once. Call with the lock held.
func (t *track) ask() {
	if t.info.History == nil || t.past != pastNone {
		return
	}
	t.past = pastAsked
	overdue := time.AfterFunc(pastWait, t.overdue)
	context.AfterFunc(t.broadcast.ctx, func() { overdue.Stop() })
	go t.recall()
}

// overdue lets the list be shown without what was before.
func (t *track) overdue() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.past == pastAsked && !t.recorded {
		t.past = pastOverdue
		if t.list != nil {
			t.report()
		}
		t.wake()
	}
}

// recall asks the History until it has told of the beginning.
func (t *track) recall() {
	end := playlist.ID{Epoch: math.MaxUint64, Seq: math.MaxUint64}
	pause := pastPause
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(t.broadcast.ctx, pastTimeout)
		parts, err := t.info.History.Parts(ctx, end)
		cancel()
		if err == nil && t.recorded {
			err = t.load(parts)
		}
		if err == nil && !t.recorded {
			t.tell(parts)
		}
		switch {
		case t.broadcast.ctx.Err() != nil:
			return
		case err != nil:
			t.log.Debug("history not known", "try", try, "err", err)
			t.overdue()
		case t.recorded || len(parts) == 0 || parts[0].Seq == 0:
			return
		}
		if try == pastTries && !t.recorded {
			return
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-t.broadcast.ctx.Done():
			wait.Stop()
			return
		}
		pause = min(2*pause, pastPauses)
	}
}

// tell takes what a History told.
func (t *track) tell(parts []playlist.Part) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.list == nil || t.list.Empty() && !t.list.Ended() {
		if t.told = parts; parts == nil {
			t.told = []playlist.Part{}
		}
		return
	}
	t.remember(parts, now)
	t.update(now)
}

// remember puts what was before in front of the list, or, where that has been seen already, makes an edition of its own
// with it. Call with the lock held, once the list has begun.
func (t *track) remember(parts []playlist.Part, now time.Time) {
	defer func() {
		if t.past != pastKnown {
			t.past = pastKnown
			t.version = math.MaxUint64 // something changed
		}
	}()
	first, ok := t.list.Oldest()
	if t.late != nil {
		first, ok = t.late.Oldest()
	}
	if len(parts) == 0 || ok && !parts[0].ID().Less(first) {
		return // it is all there
	}
	if t.late == nil && t.list.Backfill(parts, now) == nil {
		return
	}
	if t.late != nil && t.late.Shown() {
		return // nothing can be put in front of it any more
	}
	late, err := playlist.New(t.list.Config())
	if err != nil {
		return // it was good enough for the other one
	}
	held := make([]playlist.Part, 0, len(t.chunks))
	for _, c := range t.chunks {
		held = append(held, partOf(c))
	}
	slices.SortFunc(held, func(a, b playlist.Part) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
	})
	// They came long ago: nothing is waited for any more.
	came := now.Add(-max(late.Config().Settle, late.Config().Grace))
	for _, part := range held {
		if err := late.Push(part, came); err != nil {
			t.log.Debug("chunk not listed", "err", err)
		}
	}
	late.Tick(now)
	if err := late.Backfill(parts, now); err != nil {
		t.log.Debug("history not listed", "err", err)
	}
	if t.ended {
		late.Finish(now)
	}
	if t.list.Shown() {
		t.late = late
	} else {
		t.list, t.counted = late, late.Stats()
	}
}

// load makes the list of a recording.
func (t *track) load(parts []playlist.Part) error {
	var longest time.Duration
	for _, part := range parts {
		if part.Timescale > 0 {
			longest = max(longest, part.Length())
		}
	}
	if len(parts) == 0 || longest <= 0 {
		return fmt.Errorf("recording without parts: %w", ErrGone)
	}
	target, _ := playlist.TargetDuration(parts)
	if t.info.TargetDuration > 0 {
		target = t.info.TargetDuration
	}
	now := time.Now()
	list, err := playlist.Recorded(playlist.Config{
		PartTarget: min(longest, target), TargetDuration: target, Window: math.MaxInt64 / 4,
	}, parts, now)
	if err != nil {
		return err
	}
	first, ok := list.First()
	if !ok {
		return fmt.Errorf("recording without media: %w", ErrGone)
	}
	init, err := t.fetchInit(t.broadcast.ctx, first.Init, false)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.inits[first.Init] = init
	t.describe(first.Init)
	t.list, t.ended, t.past = list, true, pastKnown
	t.wake()
	t.mu.Unlock()
	t.broadcast.trackEnded()
	return nil
}

// choose returns which edition a name stands for, whether it can be shown, and whether that is known yet.
func (t *track) choose(name string) (late, ready, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	late = t.late != nil && (name == dvrName || t.list.Over())
	known = t.past != pastAsked && (name != dvrName || late || t.past != pastOverdue)
	list := t.list
	if late {
		list = t.late
	}
	return late, list != nil && list.Ready(), known
}

// listName is the playlist that players are sent to.
func (t *track) listName() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.late != nil {
		return dvrName
	}
	return indexName
}

// edition runs f on the list, or on its late edition where there is one and it is wanted.
func (t *track) edition(late bool, f func(*playlist.Playlist)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case late && t.late != nil:
		f(t.late)
	case t.list != nil:
		f(t.list)
	}
}

// isOver reports whether ENDLIST stands in the list.
func (t *track) isOver() (over bool) {
	t.with(func(p *playlist.Playlist) { over = p.Ended() })
	return over
}
