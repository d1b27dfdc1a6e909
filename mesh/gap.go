package mesh

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"murmuration/chunker/envelope"
)

// Numbers of the gap tracker. A viewer plays a second or two behind; chunks of a stock gossip mesh come within some
// hundred milliseconds of each other, so a grace of 300 ms asks for little that is on its way.
const (
	gapGrace = 300 * time.Millisecond
	// stripesGrace is gapGrace where chunks come fragment by fragment. The protocol repairs by itself, within its deadline of
	// 2 s; what is left to the log is late in any case.
	stripesGrace = 1800 * time.Millisecond
	// floorGrace is gapGrace for the chunks that a newcomer requests fragment by fragment.
	floorGrace  = 4 * time.Second
	gapJitter   = 150 * time.Millisecond // so that neighbours do not all ask at once
	gapDeadline = 12 * time.Second       // then the chunk is declared missed
	gapRetry    = 250 * time.Millisecond // first pause after an answer that brought nothing; it doubles
	gapRetryMax = 2 * time.Second
	gapRun      = 32  // chunks asked for at once
	gapOpen     = 4   // requests under way
	gapMax      = 512 // chunks missing at once; more are declared missed
	gapBack     = 128 // how far below the first chunk the answer on joining may reach

	stallAfter = 1200 * time.Millisecond // nothing came for so long: ask whether there is more
	probeAgain = 500 * time.Millisecond  // pause after an answer that brought chunks
	stallMax   = 8 * time.Second         // pauses between such questions grow to this

	tailTries = 3 // questions about the end of an epoch
)

// fetch is a request that the gap tracker wants made: the chunks with From <= id <= To.
type fetch struct {
	From, To envelope.ID
	kind     fetchKind
}

type fetchKind int

const (
	fetchGap   fetchKind = iota // chunks known to be missing
	fetchBack                   // chunks before those that came, which a newcomer would like to have
	fetchTail                   // what an epoch had after the last chunk that came
	fetchProbe                  // what there may be after the newest chunk
)

// gaps knows which chunks of a track are missing and when to ask for them. It has no I/O and no clock of its own. It is
// not safe for concurrent use.
type gaps struct {
	rng   *rand.Rand
	grace time.Duration
	fresh uint64 // a track whose first chunk here is below has just begun: those before are wanted too

	started bool
	base    envelope.ID           // chunks before it are not waited for
	oldest  uint64                // epochs before it are forgotten
	tops    map[uint64]uint64     // newest seq of each epoch, the last few epochs
	epoch   uint64                // newest epoch
	missing map[envelope.ID]*lack // at most gapMax
	tails   map[uint64]*lack      // epochs whose end is not known
	open    int                   // requests under way
	ended   bool                  // the newest chunk is an end mark
	heard   time.Time             // when the newest chunk came
	probe   lack                  // the question after a stall
	missed  uint64                // chunks declared missed
}

type lack struct {
	since, due time.Time
	tries      int
	asked      bool // a request is under way
	past       bool // a newcomer would like to have it: it is not missed where nobody has it
}

func newGaps(rng *rand.Rand, grace time.Duration) *gaps {
	return &gaps{rng: rng, grace: grace, tops: map[uint64]uint64{}, missing: map[envelope.ID]*lack{}, tails: map[uint64]*lack{}}
}

// arrived takes note of a chunk that came for the first time. Joining tells that it belongs to the answer to the request
// for the last seconds, which may reach back before the first chunk that came.
func (g *gaps) arrived(id envelope.ID, end, joining bool, now time.Time) {
	delete(g.missing, id)
	if !g.started {
		g.started = true
		g.base, g.epoch = id, id.Epoch
		g.tops[id.Epoch] = id.Seq
		if id.Seq < g.fresh {
			g.base.Seq = 0
			g.lost(id.Epoch, 0, id.Seq, now.Add(floorGrace-g.grace))
		}
		g.news(end, now)
		return
	}
	if id.Epoch < g.oldest {
		return
	}
	if id.Less(g.base) {
		if joining && id.Epoch == g.base.Epoch && g.base.Seq-id.Seq <= gapBack {
			g.lost(id.Epoch, id.Seq+1, g.base.Seq, now)
			g.base = id
		}
		return
	}
	top, known := g.tops[id.Epoch]
	switch {
	case known && id.Seq <= top:
		return
	case known:
		g.lost(id.Epoch, top+1, id.Seq, now)
	case id.Epoch > g.epoch: // a new epoch: its beginning, and the end of the one before
		if !g.ended {
			g.tails[g.epoch] = &lack{since: now, due: g.soon(now)}
		}
		g.lost(id.Epoch, 0, id.Seq, now)
	default: // an epoch between two that are known
		g.lost(id.Epoch, 0, id.Seq, now)
	}
	g.tops[id.Epoch] = id.Seq
	if end {
		delete(g.tails, id.Epoch)
	}
	if id.Epoch >= g.epoch {
		g.epoch = id.Epoch
		g.news(end, now)
	}
	g.forgetEpochs()
}

// reach makes the tracker want the chunks from id on that are not here: protocols beside the log are bringing them.
func (g *gaps) reach(id envelope.ID, here func(envelope.ID) bool, now time.Time) {
	if !g.started {
		if id.Seq == 0 { // the first that comes tells which epoch that is
			g.fresh = math.MaxUint64
			return
		}
		g.started = true
		g.base, g.epoch = id, id.Epoch
		g.tops[id.Epoch] = id.Seq - 1
		g.news(false, now)
		return
	}
	g.back(id, lack{since: now, due: now.Add(floorGrace)}, here)
}

// recall makes it want the chunks from id on that are not here at once, as long as they are of use.
func (g *gaps) recall(id envelope.ID, here func(envelope.ID) bool, now time.Time) {
	g.back(id, lack{since: now, due: now, past: true}, here)
}

// back moves the beginning back to id.
func (g *gaps) back(id envelope.ID, l lack, here func(envelope.ID) bool) {
	if !g.started || id.Epoch != g.base.Epoch || !id.Less(g.base) {
		return
	}
	for q := id; q.Less(g.base) && len(g.missing) < gapMax; q.Seq++ {
		if g.missing[q] == nil && !here(q) {
			each := l
			g.missing[q] = &each
		}
	}
	g.base = id
}

// recalling reports whether anything is still wanted that recall asked for.
func (g *gaps) recalling() bool {
	for _, l := range g.missing {
		if l.past {
			return true
		}
	}
	return false
}

// release ends the wish for what recall asked for.
func (g *gaps) release() {
	for id, l := range g.missing {
		if l.past {
			delete(g.missing, id)
		}
	}
}

// news restarts the wait for the next chunk.
func (g *gaps) news(end bool, now time.Time) {
	g.ended, g.heard = end, now
	g.probe = lack{asked: g.probe.asked, due: now.Add(stallAfter)}
}

// lost notes that the seqs from (included) up to to (excluded) of an epoch are missing.
func (g *gaps) lost(epoch, from, to uint64, now time.Time) {
	if to-from > gapMax {
		g.missed += to - gapMax - from
		from = to - gapMax
	}
	due := g.soon(now)
	for seq := from; seq < to; seq++ {
		id := envelope.ID{Epoch: epoch, Seq: seq}
		if g.missing[id] == nil {
			g.missing[id] = &lack{since: now, due: due}
		}
	}
	if over := len(g.missing) - gapMax; over > 0 {
		for _, id := range g.sorted()[:over] {
			delete(g.missing, id)
			g.missed++
		}
	}
}

func (g *gaps) soon(now time.Time) time.Time {
	return now.Add(g.grace + time.Duration(g.rng.Int64N(int64(gapJitter))))
}

// forgetEpochs keeps the newest four epochs: nothing older is in any window.
func (g *gaps) forgetEpochs() {
	for len(g.tops) > 4 {
		oldest := uint64(math.MaxUint64)
		for e := range g.tops {
			oldest = min(oldest, e)
		}
		delete(g.tops, oldest)
		delete(g.tails, oldest)
		g.oldest = oldest + 1
	}
}

func (g *gaps) sorted() []envelope.ID {
	ids := make([]envelope.ID, 0, len(g.missing))
	for id := range g.missing {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compareIDs)
	return ids
}

// next returns the requests to make now, and when to call next again at the latest (zero: not before something
// happens). Each request must be answered by a call of done.
func (g *gaps) next(now time.Time) (todo []fetch, again time.Time) {
	if !g.started {
		return nil, time.Time{}
	}
	at := func(t time.Time) {
		if again.IsZero() || t.Before(again) {
			again = t
		}
	}
	var run *fetch
	for _, id := range g.sorted() {
		l := g.missing[id]
		if deadline := l.since.Add(gapDeadline); !deadline.After(now) {
			delete(g.missing, id)
			if !l.past {
				g.missed++
			}
			continue
		} else {
			at(deadline)
		}
		if l.asked {
			continue
		}
		if l.due.After(now) {
			at(l.due)
			continue
		}
		kind, most := fetchGap, uint64(gapRun)
		if l.past {
			kind, most = fetchBack, backRun
		}
		switch {
		case run != nil && run.kind == kind && run.To.Epoch == id.Epoch && run.To.Seq+1 == id.Seq && id.Seq-run.From.Seq < most:
			run.To = id
		case g.open < gapOpen:
			todo = append(todo, fetch{From: id, To: id, kind: kind})
			run = &todo[len(todo)-1]
			g.open++
		default:
			continue // done makes the next call
		}
		l.asked = true
	}
	for epoch, l := range g.tails {
		if l.asked || l.due.After(now) || g.open >= gapOpen {
			if !l.asked && l.due.After(now) {
				at(l.due)
			}
			continue
		}
		l.asked = true
		g.open++
		todo = append(todo, fetch{
			From: envelope.ID{Epoch: epoch, Seq: g.tops[epoch] + 1},
			To:   envelope.ID{Epoch: epoch, Seq: math.MaxUint64}, kind: fetchTail,
		})
	}
	if !g.ended && !g.probe.asked {
		if g.probe.due.After(now) {
			at(g.probe.due)
		} else if g.open < gapOpen {
			g.probe.asked = true
			g.open++
			todo = append(todo, fetch{
				From: envelope.ID{Epoch: g.epoch, Seq: g.tops[g.epoch] + 1},
				To:   envelope.ID{Epoch: math.MaxUint64, Seq: math.MaxUint64}, kind: fetchProbe,
			})
		}
	}
	return todo, again
}

// done takes note that a request was answered, or failed, and how many new chunks it brought (they were passed to
// arrived before).
func (g *gaps) done(f fetch, answered bool, got int, now time.Time) {
	g.open--
	switch f.kind {
	case fetchProbe:
		g.probe.asked = false
		if got > 0 { // the topic brings nothing and the log does: live on the log until the topic is back
			g.probe.tries, g.probe.due = 0, now.Add(probeAgain)
			return
		}
		g.probe.tries++
		pause := min(stallMax, stallAfter<<min(g.probe.tries, 6))
		if due := now.Add(pause); due.After(g.probe.due) {
			g.probe.due = due
		}
	case fetchTail:
		l := g.tails[f.From.Epoch]
		if l == nil {
			return
		}
		l.asked = false
		l.tries++
		if l.tries >= tailTries {
			delete(g.tails, f.From.Epoch)
			return
		}
		l.due = now.Add(g.pause(l.tries))
	case fetchGap, fetchBack:
		for seq := f.From.Seq; seq <= f.To.Seq; seq++ {
			l := g.missing[envelope.ID{Epoch: f.From.Epoch, Seq: seq}]
			if l == nil {
				continue
			}
			l.asked = false
			l.tries++
			l.due = now.Add(g.pause(l.tries))
			if answered && l.tries == 1 {
				l.due = now // that neighbour lacks it too: try another at once
			}
		}
	}
}

// pause returns how long to wait after a try, with jitter.
func (g *gaps) pause(tries int) time.Duration {
	d := min(gapRetryMax, gapRetry<<min(tries-1, 6))
	return d/2 + time.Duration(g.rng.Int64N(int64(d)))
}
