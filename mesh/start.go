package mesh

import (
	"cmp"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

// A newcomer gets what is newest as everybody does, fragment by fragment from several neighbours: the machine requests
// the chunks from the newest independent one on, its floor. The log brings what is before that, and only as much as a
// player needs to begin: the distance of the keyframes, so one group more. What players want beyond it they fetch when
// they go back.
const (
	// floorPatience is how long the log stays out of it while the floor is not settled: the neighbours may be without the
	// extension.
	floorPatience = 1500 * time.Millisecond
	// firstPatience is how long what is before the floor waits for the floor itself, so as not to take the uplinks of the
	// neighbours from what play begins with.
	firstPatience = time.Second
	// backStep is how many chunks the log is asked for at a time, from the floor backwards: the usual group.
	backStep = 8
	// backRun is how many of them one neighbour is asked for.
	backRun = 4
	// backEnough is how much of the track lets a player begin where its keyframes are so far apart that no two are known.
	backEnough = 7 * time.Second
	// backFurther is how much further than what is wanted at least an independent chunk is looked for.
	backFurther = 10 * time.Second
)

// start decides what of the past a newcomer asks the log for. It belongs to run.
type start struct {
	span    time.Duration // at least so much; 0: what a player needs
	since   time.Time     // when the first neighbour was there
	settled time.Time     // when the floor was known
	floor   envelope.ID
	low     uint64 // all from here to the floor was asked for
	over    bool
}

// step asks for what is due. Wait is when to look again where only time helps, or zero; unknown reports that the floor
// stays unknown, so that the log has to do all.
func (s *start) step(t *Track, now time.Time) (wait time.Time, unknown bool) {
	if s.over {
		return time.Time{}, false
	}
	floor, ok := t.driver.floor() // it delivers with its lock held: not with the track's
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.settled.IsZero() {
		if !ok {
			if s.since.IsZero() {
				if len(t.topic.ListPeers()) == 0 {
					return time.Time{}, false
				}
				s.since = now
			}
			due := s.since.Add(floorPatience)
			return due, !due.After(now)
		}
		s.settled, s.floor, s.low = now, floor, floor.Seq
		t.gaps.reach(floor, t.window.has, now)
	}
	if due := s.settled.Add(firstPatience); due.After(now) && !t.window.has(s.floor) {
		return due, false
	}
	length, groups := t.window.groups()
	if s.span == 0 && groups > 1 {
		s.over = true
		t.gaps.release()
		return time.Time{}, false
	}
	if length <= 0 {
		length = 250 * time.Millisecond
	}
	enough := cmp.Or(s.span, backEnough)
	for !t.gaps.recalling() {
		asked := time.Duration(s.floor.Seq-s.low) * length
		if s.low == 0 || asked >= enough && (groups > 0 || asked >= enough+backFurther) {
			s.over = true
			break
		}
		s.low -= min(s.low, backStep)
		t.gaps.recall(envelope.ID{Epoch: s.floor.Epoch, Seq: s.low}, t.window.has, now)
	}
	return time.Time{}, false
}

// floor returns the first chunk that the trees and repairs bring, once that is settled.
func (d *driver) floor() (envelope.ID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok := d.machine.Floor()
	return envelope.ID(id), ok
}

// holders returns the neighbours that said they have a chunk.
func (d *driver) holders(id envelope.ID) map[peer.ID]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[peer.ID]bool{}
	for p, slot := range d.slots {
		if d.machine.Holds(slot, episub.ID(id)) {
			all[p] = true
		}
	}
	return all
}

// has reports whether a chunk is in the window.
func (w *Window) has(id envelope.ID) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	_, ok := w.chunks[id]
	return ok
}

// groups returns the length of the newest chunk, and the most independent chunks of any run without a hole: with two
// of them, the distance of the keyframes is known.
func (w *Window) groups() (length time.Duration, most int) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	n := 0
	for i, id := range w.order {
		if i > 0 && id != (envelope.ID{Epoch: w.order[i-1].Epoch, Seq: w.order[i-1].Seq + 1}) {
			n = 0
		}
		c := w.chunks[id].chunk
		if c.Flags.Has(envelope.Independent) {
			n++
		}
		most, length = max(most, n), c.DurationTime()
	}
	return length, most
}
