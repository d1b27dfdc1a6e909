package node

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/go-cid"

	"murmuration/chunker/envelope"
	"murmuration/mesh"
	"murmuration/node/archive"
)

const (
	// countFirst and countEvery are how often the DHT is asked how many others have a recording: at first soon again,
	// since others come to have it in the minutes after its end, then twice as late each time.
	countFirst = 2 * time.Minute
	countEvery = 30 * time.Minute
	// countMost is how far others are counted: more than enough.
	countMost = 20
	// countAtOnce is how many such questions are open at a time, and countTime how long each may take.
	countAtOnce = 8
	countTime   = 10 * time.Second
	// countRound is how many questions are asked at most before something else gets its turn: a round takes at most
	// countRound / countAtOnce * countTime.
	countRound = 3 * countAtOnce
	// reportEvery is how often a seed tells its log what it keeps.
	reportEvery = 5 * time.Minute
)

func rootsOf(list []mesh.RecordingInfo) []cid.Cid {
	roots := make([]cid.Cid, 0, len(list))
	for _, r := range list {
		roots = append(roots, r.Root)
	}
	return roots
}

// others returns how many others have a recording, zero where that is not known.
func (l *library) others(root cid.Cid) int {
	n, _ := l.replicasOf(root)
	return n
}

// replicasOf returns how many others have a recording, up to countMost, where the DHT has told.
func (l *library) replicasOf(root cid.Cid) (n int, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, known = l.replicas[root]
	return n, known
}

// census asks the DHT now and again how many others have each recording.
type census struct {
	library *library
	changed func()

	mu      sync.Mutex
	counted map[cid.Cid]count
}

// count is when a recording was counted, and how long that holds.
type count struct {
	at   time.Time
	good time.Duration
}

func (l *library) census(changed func()) *census {
	return &census{library: l, changed: changed, counted: map[cid.Cid]count{}}
}

// count asks of these, where that was long ago: of some now, of the others the next time.
func (c *census) count(ctx context.Context, roots []cid.Cid) {
	var work sync.WaitGroup
	defer work.Wait()
	slots := make(chan struct{}, countAtOnce)
	for _, root := range c.due(roots, time.Now()) {
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		work.Go(func() {
			defer func() { <-slots }()
			c.ask(ctx, root)
		})
	}
}

// due returns which are to be counted now, those never counted first, then those counted longest ago; it takes them as
// counted.
func (c *census) due(roots []cid.Cid, now time.Time) []cid.Cid {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []cid.Cid
	for _, root := range roots {
		if last, ok := c.counted[root]; !ok || now.Sub(last.at) >= last.good {
			list = append(list, root)
		}
	}
	slices.SortStableFunc(list, func(a, b cid.Cid) int { return c.counted[a].at.Compare(c.counted[b].at) })
	list = list[:min(len(list), countRound)]
	for _, root := range list {
		good := min(max(countFirst, 2*c.counted[root].good), countEvery)
		c.counted[root] = count{now, good - rand.N(good/4)} // not all seeds ask at once
	}
	return list
}

func (c *census) ask(ctx context.Context, root cid.Cid) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	found, err := c.library.exchange.Providers(ctx, root, countMost)
	if err != nil && len(found) == 0 {
		return // not known is not none
	}
	l := c.library
	l.mu.Lock()
	before, known := l.replicas[root]
	l.replicas[root] = len(found)
	l.mu.Unlock()
	if !known || before != len(found) {
		c.changed()
	}
}

// run counts what is kept here of a channel until ctx ends.
func (c *census) run(ctx context.Context, channel envelope.Channel) {
	if c.library.store == nil {
		return
	}
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		c.count(ctx, rootsOf(c.library.kept(channel)))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// holding sums up what is kept here, and how safe that is with others.
type holding struct {
	Recordings int
	Whole      int // finished, nothing missing
	Pinned     int
	Bytes      int64
	Alone      int // whole here, and with nobody else as far as the DHT tells
	Fewest     int // others that have the rarest of the whole ones; countMost where none was counted
	Uncounted  int // whole ones that the DHT has told nothing of
}

func hold(here []archive.Info, replicas func(cid.Cid) (int, bool)) holding {
	h := holding{Recordings: len(here), Fewest: countMost}
	for _, i := range here {
		h.Bytes += i.Size
		if i.Pinned {
			h.Pinned++
		}
		if i.State != archive.Finished || i.Missing > 0 {
			continue
		}
		h.Whole++
		n, known := replicas(i.Root)
		switch {
		case !known:
			h.Uncounted++
			continue
		case n == 0:
			h.Alone++
		}
		h.Fewest = min(h.Fewest, n)
	}
	return h
}

// report tells the log now and again what is kept here, until ctx ends.
func (l *library) report(ctx context.Context) error {
	if l.store == nil {
		return nil
	}
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		h := hold(l.store.List(), l.replicasOf)
		u := l.store.Usage()
		l.log.Info("recordings kept", "recordings", h.Recordings, "whole", h.Whole, "pinned", h.Pinned, "bytes", h.Bytes,
			"limit", l.quota(), "free", u.Free, "only_here", h.Alone, "fewest_others", h.Fewest, "not_counted", h.Uncounted)
	}
}
