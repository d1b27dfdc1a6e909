package exchange

import (
	"cmp"
	"math"
	"slices"
	"time"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// The numbers by which a session asks. Boxo's own client keeps a block with the first peer that says it has it, for
// ever: one that says so and sends nothing, or something else, stalls it. Here nobody is waited for long.
const (
	schedulerTick = 100 * time.Millisecond
	// patience is how long a peer that was asked may send nothing at all. Then others are asked, and it rests.
	patience = 5 * time.Second
	// hedge is how long one peer may take for a block while another is idle. Then the other is asked, too.
	hedge = time.Second
	// slow is the time from asking to having above which a peer is asked for less at a time.
	slow = 2 * time.Second
	// retry is how long a peer that said it lacks a block is not asked for it again, unless nobody has it.
	retry = 10 * time.Second
	// rest is for how long a peer that failed once is left alone; twice as long each time, up to restMost.
	rest, restMost = 5 * time.Second, 5 * time.Minute
	// wrongRest is for one that sent what was not asked for: wrong bytes.
	wrongRest = time.Minute
	// windowFirst blocks are asked of a peer at once to begin with, and windowMost when it proves quick.
	windowFirst, windowMost = 4, 32
	// overtaken: so many blocks later in a peer's queue came before this one; it keeps this one back.
	overtaken = windowMost + windowMost/2
	// broadcastEvery and broadcastPeers bound the asking around among connected peers.
	broadcastEvery, broadcastPeers, broadcastWants = time.Second, 32, 4
	// searchAfter is when the DHT is asked; then at twice the interval each time, up to searchMost.
	searchAfter, searchMost, searchTimeout = time.Second, time.Minute, 30 * time.Second
	searchProviders, searchTTL             = 10, 10 * time.Minute
	sourcesMost                            = 128
)

type orderKind int

const (
	wantBlock orderKind = iota
	wantHave
	cancelWant
)

// order is something to tell a peer.
type order struct {
	to       peer.ID
	c        cid.Cid
	kind     orderKind
	priority int32
}

// request is one call of Blocks: it gets each block that it waits for once.
type request struct {
	arrived chan blocks.Block
}

// want is a block that is wanted.
type want struct {
	c       cid.Cid
	order   int64
	waiting []*request
	asked   map[peer.ID]asking    // who was asked for it and has not answered
	without map[peer.ID]time.Time // who said that it lacks it, or did not send it
	told    map[peer.ID]time.Time // who knows that it is wanted, asked or not
	last    time.Time             // of asking
}

type asking struct {
	at     time.Time
	served int // by the peer before
}

// source is a peer in the eyes of a session.
type source struct {
	useful   bool // said or showed that it has what is wanted, or others say so
	open     map[cid.Cid]struct{}
	window   int
	heard    time.Time // of its last block
	served   int
	missing  int // times in a row that it lacked something
	failures int
	resting  time.Time // until
}

// scheduler decides which peer is asked for what. It has no clock, no goroutine and no network.
type scheduler struct {
	wants   map[cid.Cid]*want
	sources map[peer.ID]*source
	count   int64

	nextBroadcast, nextSearch time.Time
	searchWait                time.Duration
}

func newScheduler() *scheduler {
	return &scheduler{wants: map[cid.Cid]*want{}, sources: map[peer.ID]*source{}, searchWait: searchAfter}
}

// add lets r wait for cids and returns those that nobody waited for yet.
func (s *scheduler) add(r *request, cids []cid.Cid) (fresh []cid.Cid) {
	for _, c := range cids {
		w := s.wants[c]
		if w == nil {
			s.count++
			w = &want{
				c: c, order: s.count,
				asked: map[peer.ID]asking{}, without: map[peer.ID]time.Time{}, told: map[peer.ID]time.Time{},
			}
			s.wants[c] = w
			fresh = append(fresh, c)
		}
		w.waiting = append(w.waiting, r)
	}
	return fresh
}

// withdraw ends the waiting of r and returns what nobody wants now.
func (s *scheduler) withdraw(r *request) (orders []order, gone []cid.Cid) {
	for c, w := range s.wants {
		w.waiting = slices.DeleteFunc(w.waiting, func(other *request) bool { return other == r })
		if len(w.waiting) == 0 {
			orders = append(orders, s.end(w, nobody)...)
			gone = append(gone, c)
		}
	}
	return orders, gone
}

// end forgets a want, and tells those who know of it, but not the one who sent it.
func (s *scheduler) end(w *want, from peer.ID) (orders []order) {
	delete(s.wants, w.c)
	for p := range w.asked {
		delete(s.sources[p].open, w.c)
	}
	for p := range w.told {
		if p != from {
			orders = append(orders, order{to: p, c: w.c, kind: cancelWant})
		}
	}
	return orders
}

func (s *scheduler) source(p peer.ID) *source {
	src := s.sources[p]
	if src == nil {
		if len(s.sources) >= sourcesMost {
			for other, o := range s.sources {
				if len(o.open) == 0 {
					delete(s.sources, other)
					break
				}
			}
		}
		src = &source{open: map[cid.Cid]struct{}{}, window: windowFirst}
		s.sources[p] = src
	}
	return src
}

// hope counts on p: it was given, or the DHT names it.
func (s *scheduler) hope(p peer.ID, now time.Time) {
	src := s.source(p)
	src.useful = true
	if src.failures == 0 {
		src.resting = now
	}
}

// nobody is the sender of a block that came otherwise, such as by the live push.
const nobody peer.ID = ""

// block takes a block that p sent and reports whether it was wanted.
func (s *scheduler) block(p peer.ID, b blocks.Block, now time.Time) ([]order, bool) {
	w := s.wants[b.Cid()]
	if w == nil {
		return nil, false
	}
	for _, r := range w.waiting {
		r.arrived <- b
	}
	if p == nobody {
		return s.end(w, nobody), true
	}
	src := s.source(p)
	if a, ok := w.asked[p]; ok {
		switch {
		case now.Sub(a.at) > slow:
			src.window = max(2, src.window-1)
		case len(src.open) >= src.window:
			src.window = min(windowMost, src.window+1)
		}
	}
	src.useful, src.heard, src.missing = true, now, 0
	src.served++
	if src.served%windowMost == 0 {
		src.failures = max(0, src.failures-1)
	}
	return s.end(w, p), true
}

// presence takes what p says it has and lacks.
func (s *scheduler) presence(p peer.ID, haves, dontHaves []cid.Cid, now time.Time) {
	for _, c := range haves {
		if s.wants[c] != nil {
			s.source(p).useful = true
		}
	}
	for _, c := range dontHaves {
		w := s.wants[c]
		if w == nil {
			continue
		}
		w.without[p] = now
		if _, ok := w.asked[p]; ok {
			src := s.source(p)
			src.missing++
			delete(w.asked, p)
			delete(src.open, c)
		}
	}
}

// fail gives p a rest, and what it was asked for to others.
func (s *scheduler) fail(p peer.ID, atLeast time.Duration, now time.Time) (orders []order) {
	src := s.sources[p]
	if src == nil {
		return nil
	}
	for c := range src.open {
		orders = append(orders, s.takeBack(s.wants[c], p, now))
	}
	pause := max(atLeast, min(restMost, rest<<min(src.failures, 10)))
	src.failures++
	src.window = windowFirst
	src.resting = now.Add(pause)
	return orders
}

func (s *scheduler) takeBack(w *want, p peer.ID, now time.Time) order {
	delete(w.asked, p)
	delete(w.told, p)
	delete(s.sources[p].open, w.c)
	w.without[p] = now
	return order{to: p, c: w.c, kind: cancelWant}
}

// gone forgets a peer that disconnected; it may be dialled again after a while.
func (s *scheduler) gone(p peer.ID, now time.Time) {
	s.fail(p, 0, now)
	for _, w := range s.wants {
		delete(w.told, p)
		delete(w.without, p)
	}
}

// schedule returns what to tell whom now, and a block that the DHT should be asked for. neighbours gives some connected
// peers that speak bitswap.
func (s *scheduler) schedule(now time.Time, neighbours func(most int) []peer.ID, dht bool) (orders []order, search cid.Cid) {
	if len(s.wants) == 0 {
		s.nextBroadcast, s.nextSearch, s.searchWait = time.Time{}, time.Time{}, searchAfter
		return nil, cid.Undef
	}
	orders = s.drop(now)
	wants := make([]*want, 0, len(s.wants))
	for _, w := range s.wants {
		wants = append(wants, w)
	}
	slices.SortFunc(wants, func(a, b *want) int { return cmp.Compare(a.order, b.order) })
	var needy []*want
	for _, w := range wants {
		if len(w.asked) > 1 || (len(w.asked) == 1 && now.Sub(w.last) < hedge) {
			continue
		}
		p, possible := s.choose(w, now)
		switch {
		case p != "":
			src := s.sources[p]
			w.asked[p] = asking{at: now, served: src.served}
			w.told[p], w.last = now, now
			src.open[w.c] = struct{}{}
			orders = append(orders, order{to: p, c: w.c, kind: wantBlock, priority: priority(w)})
		case !possible && len(w.asked) == 0:
			needy = append(needy, w)
		}
	}
	if len(needy) == 0 {
		return orders, cid.Undef
	}
	if !now.Before(s.nextBroadcast) {
		s.nextBroadcast = now.Add(broadcastEvery)
		for _, p := range neighbours(broadcastPeers) {
			if src := s.sources[p]; src != nil && now.Before(src.resting) {
				continue
			}
			for _, w := range needy[:min(len(needy), broadcastWants)] {
				if told, ok := w.told[p]; !ok || now.Sub(told) > retry {
					w.told[p] = now
					orders = append(orders, order{to: p, c: w.c, kind: wantHave, priority: priority(w)})
				}
			}
		}
	}
	if dht {
		switch {
		case s.nextSearch.IsZero():
			s.nextSearch = now.Add(searchAfter)
		case !now.Before(s.nextSearch):
			s.searchWait = min(searchMost, 2*s.searchWait)
			s.nextSearch = now.Add(s.searchWait)
			search = needy[0].c
		}
	}
	return orders, search
}

// priority makes peers send first what is played first.
func priority(w *want) int32 { return int32(math.MaxInt32 - w.order%(math.MaxInt32-1)) }

// drop takes back what peers do not deliver.
func (s *scheduler) drop(now time.Time) (orders []order) {
	for p, src := range s.sources {
		if len(src.open) == 0 {
			continue
		}
		oldest := now
		for c := range src.open {
			w := s.wants[c]
			a := w.asked[p]
			if src.served-a.served > overtaken {
				orders = append(orders, s.takeBack(w, p, now))
				continue
			}
			if a.at.Before(oldest) {
				oldest = a.at
			}
		}
		if src.heard.After(oldest) {
			oldest = src.heard
		}
		if now.Sub(oldest) > patience {
			orders = append(orders, s.fail(p, 0, now)...)
		}
	}
	return orders
}

// choose returns the peer to ask for w, the one with the most room. possible says that there is one, though it may have
// no room now.
func (s *scheduler) choose(w *want, now time.Time) (best peer.ID, possible bool) {
	least := math.Inf(1)
	for p, src := range s.sources {
		if !src.useful || now.Before(src.resting) {
			continue
		}
		if _, asked := w.asked[p]; asked {
			continue
		}
		if lacked, ok := w.without[p]; ok && now.Sub(lacked) < retry {
			continue
		}
		possible = true
		if len(src.open) >= src.window {
			continue
		}
		// A second peer is asked only where it is idle.
		if len(w.asked) > 0 && len(src.open) > src.window/2 {
			continue
		}
		load := float64(len(src.open))/float64(src.window) + float64(src.failures) + float64(src.missing)/windowFirst
		if load < least {
			best, least = p, load
		}
	}
	return best, possible
}
