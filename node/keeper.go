package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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
	// countEvery is how often the DHT is asked how many others have a recording.
	countEvery = 30 * time.Minute
	// countMost is how far others are counted: more than enough.
	countMost = 20
	// stalled is how long the fetching of a recording may bring nothing before another one gets its turn.
	stalled = time.Minute
)

// keeper keeps a channel's recordings: those of live broadcasts whole, and finished ones within the limits set.
type keeper struct {
	*library
	channel envelope.Channel
	tell    func(string)
	changed func()

	over    atomic.Bool           // what may not be deleted takes more than the limit: nothing is added
	poke    chan struct{}         // one token: the record or the store has changed
	tried   map[cid.Cid]time.Time // when the fetching of a root last failed
	failing map[cid.Cid]bool      // it was said already
	counted map[cid.Cid]time.Time // when the others that have it were last counted
}

func (l *library) keeper(channel envelope.Channel, tell func(string), changed func()) *keeper {
	return &keeper{
		library: l, channel: channel, tell: tell, changed: changed, poke: make(chan struct{}, 1),
		tried: map[cid.Cid]time.Time{}, failing: map[cid.Cid]bool{}, counted: map[cid.Cid]time.Time{},
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
func (k *keeper) run(ctx context.Context) error {
	if k.store == nil {
		return nil
	}
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
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
		k.count(ctx)
	}
}

// letGo deletes what Keep does not want any more, and the oldest where the disk limit is passed.
func (k *keeper) letGo() {
	now := time.Now()
	newer := 0
	for _, i := range k.store.List() {
		if i.Key.Channel != k.channel || i.Own {
			continue
		}
		wanted := k.cfg.Keep.wants(i.Started, newer, now)
		newer++
		if wanted || i.Pinned || i.State == archive.Live {
			continue
		}
		k.remove(i.Key, "it is not among those to keep")
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

// next returns the recording to fetch now: of those that are wanted and not whole here, that which the fewest others
// have, and of equals the newest.
func (k *keeper) next(ctx context.Context) (mesh.RecordingInfo, bool) {
	now := time.Now()
	var wanted []mesh.RecordingInfo
	for newer, r := range k.listed(k.channel) {
		if !k.cfg.Keep.wants(r.Started, newer, now) || now.Sub(k.tried[r.Root]) < keepEvery || k.has(r.Root) {
			continue
		}
		wanted = append(wanted, r)
	}
	if len(wanted) == 0 {
		return mesh.RecordingInfo{}, false
	}
	// What was recorded live lacks a few blocks, and the one who has them may be about to go.
	for _, r := range wanted {
		if rec, ok := k.store.Lookup(archive.Key{Channel: k.channel, Broadcast: r.Broadcast}); ok && rec.Info().Media >= r.Size/2 {
			return r, true
		}
	}
	for _, r := range wanted[:min(len(wanted), countMost)] {
		k.countOthers(ctx, r.Root)
	}
	slices.SortStableFunc(wanted, func(a, b mesh.RecordingInfo) int { return k.others(a.Root) - k.others(b.Root) })
	for _, r := range wanted {
		if rec, ok := k.store.Lookup(archive.Key{Channel: k.channel, Broadcast: r.Broadcast}); ok && rec.Info().State != archive.Live {
			return r, true // most of it is here already
		}
		if k.wouldFit(r) {
			return r, true
		}
		k.tried[r.Root] = now // not now
	}
	return mesh.RecordingInfo{}, false
}

// wouldFit reports whether a recording fits into the limit without the deletion of a newer one.
func (k *keeper) wouldFit(r mesh.RecordingInfo) bool {
	list := k.store.List()
	room := k.quota() - k.store.Usage().Bytes
	for _, key := range archive.Evict(list, k.quota(), r.Size) {
		i := slices.IndexFunc(list, func(i archive.Info) bool { return i.Key == key })
		if i < 0 || !list[i].Started.Before(r.Started) {
			return false
		}
		room += list[i].Size
	}
	return room >= r.Size
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
	have := k.sizeOf(key)
	if !k.makeRoom(max(r.Size-have, 0)) || have > 0 && k.sizeOf(key) == 0 { // it was itself the one to go
		k.tried[r.Root] = time.Now()
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stalled, func() { cancel(errStalled) })
	defer watchdog.Stop()
	session := k.session(ctx)
	defer session.Close() //nolint:errcheck // it ends with ctx
	_, err := k.store.Adopt(ctx, key, r.Root, session, func(int64, int64) { watchdog.Reset(stalled) })
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

// sizeOf returns what a recording takes here in bytes, zero where there is none.
func (k *keeper) sizeOf(key archive.Key) int64 {
	rec, ok := k.store.Lookup(key)
	if !ok {
		return 0
	}
	return rec.Info().Size
}

// errStalled says that nobody brings the blocks of a recording.
var errStalled = errors.New("nobody brings its blocks")

// others returns how many others have a recording, zero where that is not known.
func (l *library) others(root cid.Cid) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.replicas[root]
}

// count asks now and again how many others have each recording that is kept here.
func (k *keeper) count(ctx context.Context) {
	for _, r := range k.kept(k.channel) {
		if ctx.Err() != nil || len(k.poke) > 0 { // there is something to fetch, perhaps
			return
		}
		k.countOthers(ctx, r.Root)
	}
}

func (k *keeper) countOthers(ctx context.Context, root cid.Cid) {
	now := time.Now()
	if last, ok := k.counted[root]; ok && now.Sub(last) < countEvery {
		return
	}
	// Some earlier, some later, so that not all seeds ask at once.
	k.counted[root] = now.Add(-rand.N(countEvery / 4))
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	found, err := k.exchange.Providers(ctx, root, countMost)
	if err != nil && len(found) == 0 {
		return
	}
	k.mu.Lock()
	k.replicas[root] = len(found)
	k.mu.Unlock()
	k.changed()
}
