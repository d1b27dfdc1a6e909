package node

import (
	"sync"

	"murmuration/node/archive"
)

// heal begins to fill the recording's gaps, which goes on until the broadcast ends. The caller holds b.mu.
func (b *broadcast) heal() {
	if b.shown == nil {
		return
	}
	b.mender = b.mend(b.mender, b.shown.main, b.cutter == nil)
	for _, t := range b.sides {
		t.heal()
	}
}

// mend begins to fill the gaps of one track's recording, where m does not do so already. Resumed says that nothing came of
// it in this run. The caller holds b.mu.
func (b *broadcast) mend(m *mender, s *strand, resumed bool) *mender {
	if m != nil || b.recording == nil || s == nil {
		return m
	}
	rec, ok := b.recording()
	if !ok {
		return nil
	}
	m = newMender(rec, s.track, s.name)
	if resumed {
		m.resumed()
	}
	ctx := b.shown.mending
	go func() {
		m.mend(ctx)
		m.run(ctx)
	}()
	return m
}

// healLast makes a last attempt to fill the recording's gaps, by what is in memory here and at the peers.
func (b *broadcast) healLast(rec *archive.Recording) {
	b.mu.Lock()
	shown := b.shown
	type last struct {
		*mender
		of *strand
	}
	var all []last
	if shown != nil {
		all = append(all, last{b.mender, shown.main})
		for _, t := range b.sides {
			if t.strand != nil {
				all = append(all, last{t.mender, t.strand})
			}
		}
	}
	b.mu.Unlock()
	var done sync.WaitGroup
	for _, l := range all {
		m := l.mender
		if m == nil {
			m = newMender(rec, l.of.track, l.of.name)
		}
		done.Go(func() { m.finish(shown.mending) })
	}
	done.Wait()
}
