package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
)

const (
	// keepEvery is how often a keeper looks for what is missing, and again after something went wrong.
	keepEvery = 30 * time.Second
	// stalled is how long the fetching of a recording may bring nothing before another one gets its turn.
	stalled = time.Minute
)

// keeper keeps a channel's recordings: those of live broadcasts whole, and finished ones within the limits set.
type keeper struct {
	*library
	channel envelope.Channel
	tell    func(string)
	changed func()
	census  *census

	over    atomic.Bool           // what may not be deleted takes more than the limit: nothing is added
	poke    chan struct{}         // one token: the record or the store has changed
	tried   map[cid.Cid]time.Time // when the fetching of a root last failed
	failing map[cid.Cid]bool      // it was said already
}

func (l *library) keeper(channel envelope.Channel, tell func(string), changed func()) *keeper {
	return &keeper{
		library: l, channel: channel, tell: tell, changed: changed, poke: make(chan struct{}, 1),
		tried: map[cid.Cid]time.Time{}, failing: map[cid.Cid]bool{}, census: l.census(changed),
	}
}

// begin opens the recording of a live broadcast, where the limits allow it. What it returns may be nil.
func (k *keeper) begin(info mesh.BroadcastInfo) func() (*archive.Recording, bool) {
	if k.store == nil {
		return nil
	}
	key := archive.Key{Channel: k.channel, Broadcast: info.ID}
	if !k.makeRoom(0) {
		k.tell(fmt.Sprintf("recording %s is not kept: the disk limit of %d bytes is reached by what may not be deleted", info.ID, k.quota()))
		return nil
	}
	rec, err := k.store.Create(key, archive.Meta{Title: info.Title, Started: info.Started})
	if errors.Is(err, archive.ErrFinished) {
		return func() (*archive.Recording, bool) { return k.store.Lookup(key) }
	}
	if err != nil {
		k.tell(fmt.Sprintf("recording %s is not kept: %v", info.ID, err))
		return nil
	}
	return func() (*archive.Recording, bool) { return rec, !k.over.Load() }
}

// wake makes the keeper look at the record now.
func (k *keeper) wake() {
	select {
	case k.poke <- struct{}{}:
	default:
	}
}

// run fetches what is to be kept and lets go of what is not, until ctx ends.
func (k *keeper) run(ctx context.Context) {
	if k.store == nil {
		return
	}
	var counting sync.WaitGroup
	defer counting.Wait()
	counting.Go(func() { k.census.run(ctx, k.channel) })
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.poke:
		}
		k.letGo()
		for ctx.Err() == nil {
			next, ok := k.next(ctx)
			if !ok {
				break
			}
			k.fetch(ctx, next)
			k.letGo()
		}
	}
}

// letGo deletes what Keep does not want any more, and the oldest where the disk limit is passed.
func (k *keeper) letGo() {
	for _, key := range k.cfg.Keep.unwanted(k.channel, k.store.List(), k.listed(k.channel), time.Now()) {
		k.remove(key, "it is not among those to keep")
	}
	over := !k.makeRoom(0)
	if over && !k.over.Swap(over) {
		k.tell(fmt.Sprintf("recording pauses: the disk limit of %d bytes is reached by what may not be deleted", k.quota()))
	}
	k.over.Store(over)
}

// makeRoom deletes the oldest recordings where the limit is passed, or would be with need more bytes; it reports whether
// there is room then.
func (k *keeper) makeRoom(need int64) bool {
	quota := k.quota()
	for _, key := range archive.Evict(k.store.List(), quota, need) {
		k.remove(key, "the disk limit is reached")
	}
	return k.store.Usage().Bytes+need <= quota
}

func (k *keeper) remove(key archive.Key, why string) {
	if err := k.store.Remove(key); err != nil {
		k.log.Warn("a recording is not deleted", "recording", key, "err", err)
		return
	}
	k.log.Info("recording deleted", "recording", key, "reason", why)
	k.tell(fmt.Sprintf("deleted   recording %s: %s", key.Broadcast, why))
}

// quota returns the most bytes that the store may take.
func (l *library) quota() int64 {
	if l.cfg.Disk > 0 {
		return l.cfg.Disk
	}
	u := l.store.Usage()
	if u.Free == 0 {
		return 1 << 62 // not known here
	}
	return u.Bytes + u.Free - (u.Bytes+u.Free)/10
}

// next returns the recording to fetch now: of those that are wanted, not whole here and not deleted by hand, that which
// the fewest others have, and of equals the newest.
func (k *keeper) next(ctx context.Context) (mesh.RecordingInfo, bool) {
	now := time.Now()
	listed := k.listed(k.channel)
	kept := k.cfg.Keep.wanted(k.channel, k.store.List(), listed, now)
	wanted := slices.DeleteFunc(listed, func(r mesh.RecordingInfo) bool {
		if deleted, _ := k.deleted.has(archive.Key{Channel: k.channel, Broadcast: r.Broadcast}); deleted {
			return true
		}
		return !kept[r.Broadcast] || now.Sub(k.tried[r.Root]) < keepEvery || k.has(r.Root)
	})
	if len(wanted) == 0 {
		return mesh.RecordingInfo{}, false
	}
	// What was recorded live lacks a few blocks, and the one who has them may be about to go.
	for _, r := range wanted {
		if rec, ok := k.store.Lookup(archive.Key{Channel: k.channel, Broadcast: r.Broadcast}); ok && rec.Info().Media >= r.Size/2 {
			return r, true
		}
	}
	k.census.count(ctx, rootsOf(wanted[:min(len(wanted), countMost)]))
	rarestFirst(wanted, k.others)
	for _, r := range wanted {
		if _, fits := roomFor(k.channel, r, k.store.List(), k.quota()); fits {
			return r, true
		}
		k.tried[r.Root] = now // not now
	}
	return mesh.RecordingInfo{}, false
}

// has reports whether the recording with this root is whole here.
func (l *library) has(root cid.Cid) bool {
	if l.store == nil {
		return false
	}
	rec, ok := l.store.ByRoot(root)
	if !ok {
		return false
	}
	i := rec.Info()
	return i.State == archive.Finished
}

// fetch makes a recording whole here.
func (k *keeper) fetch(ctx context.Context, r mesh.RecordingInfo) {
	key := archive.Key{Channel: k.channel, Broadcast: r.Broadcast}
	gone, fits := roomFor(k.channel, r, k.store.List(), k.quota())
	if !fits {
		k.tried[r.Root] = time.Now()
		return
	}
	for _, key := range gone {
		k.remove(key, "the disk limit is reached")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stalled, func() { cancel(errStalled) })
	defer watchdog.Stop()
	session := k.session(ctx)
	defer session.Close() //nolint:errcheck // it ends with ctx
	from := yielding{session, &k.strain, func() { watchdog.Reset(stalled) }}
	_, err := k.store.Adopt(ctx, key, r.Root, from, func(int64, int64) { watchdog.Reset(stalled) })
	if err != nil {
		k.tried[r.Root] = time.Now()
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, archive.ErrFull) {
			err = cause
		}
		if !k.failing[r.Root] && !errors.Is(err, context.Canceled) {
			k.failing[r.Root] = true
			k.log.Warn("a recording is not whole yet", "broadcast", r.Broadcast, "root", r.Root, "err", err)
		}
		return
	}
	delete(k.failing, r.Root)
	k.log.Info("recording kept", "broadcast", r.Broadcast, "root", r.Root, "bytes", r.Size)
	k.tell(fmt.Sprintf("recording %q (%s) is kept here: /ipfs/%s", r.Title, r.Broadcast, r.Root))
	k.exchange.Announce()
	k.changed()
}

// errStalled says that nobody brings the blocks of a recording.
var errStalled = errors.New("nobody brings its blocks")
