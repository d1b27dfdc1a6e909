package node

import (
	"context"
	"fmt"
	"time"

	"murmuration/node/archive"
)

const (
	// scrubFirst is how long after its start a participant reads its first recording through.
	scrubFirst = 10 * time.Minute
	// scrubRate is how fast recordings are read through, in bytes a second: an hour at 3 Mbit/s takes some five minutes.
	scrubRate = 4 << 20
	// repairEvery is how often another attempt is made to fetch what is damaged.
	repairEvery = time.Minute
)

// upkeep reads one recording a day through, the one that was not looked at for longest, and fetches anew what that or
// anybody's reading finds damaged, until ctx ends. Disks lose bits silently; who finds out in a year finds nobody who has them.
func (l *library) upkeep(ctx context.Context, tell func(string), changed func()) error {
	if l.store == nil {
		return nil
	}
	every := l.cfg.ScrubEvery
	if every <= 0 {
		every = 24 * time.Hour
	}
	scrub := time.NewTimer(min(scrubFirst, every))
	defer scrub.Stop()
	again := time.NewTicker(repairEvery)
	defer again.Stop()
	tried := map[archive.Key]time.Time{}
	for {
		news := l.store.Changed()
		for _, i := range l.store.List() {
			if i.Damaged > 0 && i.State == archive.Finished && time.Since(tried[i.Key]) >= repairEvery {
				tried[i.Key] = time.Now()
				l.repair(ctx, i, tell)
				changed()
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-again.C:
		case <-scrub.C:
			next := every
			if i, wait := l.unread(every); wait > 0 {
				next = wait
			} else if i.Root.Defined() {
				l.scrub(ctx, i)
			}
			scrub.Reset(next)
		}
	}
}

// unread returns the finished recording that was not read through for longest, and how long to wait where one was read
// less than every ago. There may be none.
func (l *library) unread(every time.Duration) (oldest archive.Info, wait time.Duration) {
	for _, i := range l.store.List() {
		if i.State != archive.Finished {
			continue
		}
		wait = max(wait, every-time.Since(i.Verified))
		if !oldest.Root.Defined() || i.Verified.Before(oldest.Verified) {
			oldest = i
		}
	}
	return oldest, min(wait, every)
}

// scrub reads a recording through, slowly.
func (l *library) scrub(ctx context.Context, i archive.Info) {
	rec, ok := l.store.Lookup(i.Key)
	if !ok {
		return
	}
	log := l.log.With("broadcast", i.Key.Broadcast)
	log.Info("recording is being verified", "bytes", i.Size)
	began := time.Now()
	quarter := int64(1)
	report, err := rec.Verify(ctx, func(done, total int64) {
		if total > 0 && done*4/total >= quarter {
			log.Info("recording is being verified", "done", done, "of", total)
			quarter = done*4/total + 1
		}
		due := time.Duration(float64(done) / scrubRate * float64(time.Second))
		if ahead := due - time.Since(began); ahead > 50*time.Millisecond {
			select {
			case <-ctx.Done():
			case <-time.After(ahead):
			}
		}
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		log.Warn("recording not verified", "err", err)
	case report.OK():
		log.Info("recording verified", "blocks", report.Blocks, "bytes", report.Bytes, "took", time.Since(began))
	default:
		log.Warn("recording is damaged", "blocks", len(report.Damaged), "unsigned", len(report.Unsigned), "lost_bytes", report.Lost, "view", report.View)
	}
}

// repair fetches what is damaged in a finished recording from whoever has it.
func (l *library) repair(ctx context.Context, i archive.Info, tell func(string)) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stalled, func() { cancel(errStalled) })
	defer watchdog.Stop()
	session := l.session(ctx)
	defer session.Close() //nolint:errcheck // it ends with ctx
	_, err := l.store.Adopt(ctx, i.Key, i.Root, session, func(int64, int64) { watchdog.Reset(stalled) })
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		l.log.Warn("a damaged recording is not mended yet", "broadcast", i.Key.Broadcast, "blocks", i.Damaged, "err", err)
		return
	}
	l.log.Info("recording mended", "broadcast", i.Key.Broadcast, "blocks", i.Damaged)
	tell(fmt.Sprintf("mended    recording %q (%s): %d damaged blocks fetched anew", i.Title, i.Key.Broadcast, i.Damaged))
}
