package archive

import "murmuration/chunker/envelope"

// Gap is a run of chunks of one epoch that are known to be missing.
type Gap struct {
	From, To envelope.ID
	// Open tells that nobody here knows how many: the epoch has no end mark, and From is the first chunk after what is
	// there. An origin that crashed leaves its epoch so, with nothing missing.
	Open bool
}

// Count returns how many chunks are known to be missing: none of an open gap's.
func (g Gap) Count() int {
	if g.Open {
		return 0
	}
	return int(g.To.Seq - g.From.Seq + 1)
}

// Gaps returns what is known to be missing, ascending: holes in the sequence, an epoch's beginning, chunks whose blocks
// are damaged, and, unless the broadcast may still go on there, what follows an epoch that has no end mark.
func (t *Track) Gaps() []Gap {
	if err := t.r.rlock(true); err != nil {
		return nil
	}
	defer t.r.mu.RUnlock()
	c := t.r.tracks[t.name]
	if c == nil {
		return nil
	}
	return t.r.gaps(c, false)
}

// gaps is Gaps with a lock held; closed leaves out the open ones.
func (r *Recording) gaps(c *chunks, closed bool) []Gap {
	var list []Gap
	for i, ep := range c.epochs {
		next := uint64(0) // the seq that should come
		for _, l := range ep.leaves {
			if len(r.t.damaged) == 0 && l.whole() {
				if l.first > next {
					list = append(list, gap(ep.number, next, l.first-1))
				}
				next = l.last + 1
				continue
			}
			ep.in(l, func(e *entry) bool {
				if e.there(r.t) { // else it becomes part of the hole before the next that is there
					if e.seq > next {
						list = append(list, gap(ep.number, next, e.seq-1))
					}
					next = e.seq + 1
				}
				return true
			})
		}
		last, any := ep.newest()
		if any && last.seq >= next {
			list = append(list, gap(ep.number, next, last.seq))
			next = last.seq + 1
		}
		newest := i == len(c.epochs)-1
		if newest && c.seen.Epoch == ep.number && c.seen.Seq >= next { // did not fit on the disk
			list = append(list, gap(ep.number, next, c.seen.Seq))
			next = c.seen.Seq + 1
		}
		marked := any && last.flags.Has(envelope.End)
		if !closed && !marked && (!newest || r.st.State != Live) {
			g := gap(ep.number, next, envelope.MaxInteger)
			g.Open = true
			list = append(list, g)
		}
	}
	if n := len(c.epochs); n > 0 && c.seen.Epoch > c.epochs[n-1].number {
		list = append(list, gap(c.seen.Epoch, 0, c.seen.Seq))
	}
	return list
}

func gap(epoch, from, to uint64) Gap {
	return Gap{From: envelope.ID{Epoch: epoch, Seq: from}, To: envelope.ID{Epoch: epoch, Seq: to}}
}

// Rest returns the open gap after what is here of an epoch, be the broadcast live or not; false where the epoch has its end
// mark, or nothing of it is here.
func (t *Track) Rest(epoch uint64) (g Gap, ok bool) {
	t.view(func(c *chunks) {
		i, found := c.findEpoch(epoch)
		if !found {
			return
		}
		last, found := c.epochs[i].newest()
		if found && !last.flags.Has(envelope.End) {
			g, ok = gap(epoch, last.seq+1, envelope.MaxInteger), true
			g.Open = true
		}
	})
	return g, ok
}
