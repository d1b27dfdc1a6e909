package node

import (
	"context"
	"sync"
	"time"

	"murmuration/mesh"
	"murmuration/node/archive"
)

const (
	// mendEvery is how often the gaps of a live recording are filled.
	mendEvery = 5 * time.Second
	// mendMost is how many chunks are asked for at once to fill a gap.
	mendMost = 256
	// mendLast is how long the last attempt may take, before the recording is finished.
	mendLast = 5 * time.Second
	// recallFor is how long peers are asked for the rest of an epoch that has no end mark: after a restart they come back
	// one by one.
	recallFor = time.Minute
)

// mender fills the gaps of one track of a recording: by what is still in memory, where the disk was full for a while, else from the
// peers of the track.
//
// Where an epoch breaks off without an end mark, nobody here knows what is missing: a power cut takes the last second
// from the disk of an origin, or of a seed, while others may have it. So they are asked what they have of that epoch above
// what is here, until one has answered and some time has passed.
type mender struct {
	rec   *archive.Recording
	track *mesh.Track
	name  string // of the track

	left  *uint64 // the newest epoch where an earlier process left it without an end mark; nil: there is none
	began time.Time

	busy chan struct{} // holds one while an attempt is under way

	mu     sync.Mutex
	silent map[uint64]bool // epochs of which the peers have said that they have no more
}

func newMender(rec *archive.Recording, track *mesh.Track, name string) *mender {
	return &mender{rec: rec, track: track, name: name, began: time.Now(), busy: make(chan struct{}, 1), silent: map[uint64]bool{}}
}

// resumed notes that an earlier process of this node wrote the recording: nothing more will come of its newest epoch.
func (m *mender) resumed() *mender {
	if here, ok := m.rec.Track(m.name); ok {
		if newest, ok := here.Newest(); ok {
			m.left = &newest.Epoch
		}
	}
	return m
}

// run fills gaps until ctx ends.
func (m *mender) run(ctx context.Context) {
	tick := time.NewTicker(mendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m.mend(ctx)
	}
}

// mend fills what gaps it can.
func (m *mender) mend(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case m.busy <- struct{}{}:
		defer func() { <-m.busy }()
	}
	here, ok := m.rec.Track(m.name)
	if !ok || m.rec.Info().Full {
		return
	}
	for _, gap := range here.Gaps() {
		if gap.Open {
			continue
		}
		chunks, _ := m.track.Window().Range(gap.From, gap.To, mendMost, 64<<20)
		for _, c := range chunks {
			if _, err := m.rec.Append(c); err != nil {
				return
			}
		}
	}
	for _, gap := range m.open(here) {
		if ctx.Err() == nil && (!m.isSilent(gap.From.Epoch) || time.Since(m.began) < recallFor) {
			m.recall(ctx, gap)
		}
	}
	for _, gap := range here.Gaps() {
		if ctx.Err() != nil || !gap.Open && !m.fill(ctx, gap) {
			return
		}
	}
}

// open returns the epochs that have no end mark and to which nothing more is added here, from the first chunk that is not
// here on.
func (m *mender) open(here *archive.Track) (list []archive.Gap) {
	for _, gap := range here.Gaps() {
		if gap.Open {
			list = append(list, gap)
		}
	}
	if m.left == nil || len(list) > 0 && list[len(list)-1].From.Epoch == *m.left {
		return list
	}
	if gap, ok := here.Rest(*m.left); ok {
		list = append(list, gap)
	}
	return list
}

// unasked reports whether no peer was asked yet for the rest of an epoch.
func (m *mender) unasked() bool {
	here, ok := m.rec.Track(m.name)
	if !ok {
		return false
	}
	for _, gap := range m.open(here) {
		if !m.isSilent(gap.From.Epoch) {
			return true
		}
	}
	return false
}

func (m *mender) isSilent(epoch uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.silent[epoch]
}

// recall asks the peers what they have in an open gap, and for that. What the index tells is a hint: of a run that nobody
// brings, nothing is kept.
func (m *mender) recall(ctx context.Context, gap archive.Gap) {
	if m.track.Status().Peers == 0 {
		return
	}
	entries, _ := m.track.FetchIndex(ctx, gap.From, gap.To) // that there is nothing is an error, too
	if ctx.Err() != nil {
		return
	}
	brought := 0
	for i := 0; i < len(entries); {
		j := i + 1
		for j < len(entries) && entries[j].Seq == entries[j-1].Seq+1 && entries[j].Epoch == entries[i].Epoch && j-i < mendMost {
			j++
		}
		if !m.fill(ctx, archive.Gap{From: entries[i].ID(), To: entries[j-1].ID()}) {
			break
		}
		brought += j - i
		i = j
	}
	if brought == 0 && ctx.Err() == nil {
		m.mu.Lock()
		m.silent[gap.From.Epoch] = true
		m.mu.Unlock()
	}
}

// finish makes the last attempt, before the recording gets its view. Soon after a restart it waits for a peer to ask.
func (m *mender) finish(ctx context.Context) {
	if !m.unasked() && m.rec.Info().Missing == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, mendLast)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		m.mend(ctx)
		if !m.unasked() || time.Since(m.began) > recallFor {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// fill asks for a gap's chunks and reports whether they came. The mesh asks for the newest itself.
func (m *mender) fill(ctx context.Context, gap archive.Gap) bool {
	for from := gap.From; !gap.To.Less(from); from.Seq += mendMost {
		to := gap.To
		if to.Seq-from.Seq >= mendMost {
			to.Seq = from.Seq + mendMost - 1
		}
		chunks, err := m.track.FetchChunks(ctx, from, to)
		for _, c := range chunks {
			if _, err := m.rec.Append(c); err != nil {
				return false
			}
		}
		if err != nil {
			return false
		}
	}
	return true
}
