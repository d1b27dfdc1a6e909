package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
)

const (
	maxHistory   = 1 << 18                // entries of one index: eighteen hours of chunks
	maxRange     = 4096                   // chunks of one FetchRange or FetchChunks
	maxRangeSize = 256 << 20              // their bytes
	historyPeers = 16                     // peers asked for one index
	askedAtOnce  = 3                      // of them, at a time
	indexSettle  = 150 * time.Millisecond // for others to answer, once one has told all

	runLength   = 16                     // chunks asked of one peer at a time
	runsAtOnce  = 4                      // such requests at a time
	runHedge    = 500 * time.Millisecond // without the chunks, another peer is asked as well
	runBudget   = 2 * time.Second        // for one run
	runAttempts = 6                      // peers asked for one run
)

// ErrFalse means that chunks are not what a peer's index said.
var ErrFalse = errors.New("mesh: index was false")

// FetchIndex asks one peer what it has of a track. The answer is a hint: it is well-formed and ascending, nothing more.
func (n *Node) FetchIndex(ctx context.Context, p peer.ID, id TrackID, from, to envelope.ID) ([]IndexEntry, error) {
	var all []IndexEntry
	err := n.fetchIndex(ctx, p, id, from, to, func(_ []byte, entries []IndexEntry) { all = append(all, entries...) })
	return all, err
}

// fetchIndex passes on page after page; where a limit cut the answer short, it asks on.
func (n *Node) fetchIndex(ctx context.Context, p peer.ID, id TrackID, from, to envelope.ID, use func([]byte, []IndexEntry)) error {
	seen := 0
	for {
		req := logRequest{Kind: logIndex, Track: id, From: from, To: to, Count: maxIndexCount, Size: maxIndexBytes}
		before := seen
		left := req.Count
		end, err := n.request(ctx, p, req, takers{logItemIndex: func(b []byte) error {
			entries, err := parsePage(b)
			if err != nil {
				return err
			}
			first, last := entries[0].ID(), entries[len(entries)-1].ID()
			if left -= len(entries); left < 0 || first.Less(from) || to.Less(last) {
				return fmt.Errorf("%w: index of what was not asked for", ErrLogWire)
			}
			from = envelope.ID{Epoch: last.Epoch, Seq: last.Seq + 1}
			seen += len(entries)
			use(b, entries)
			return nil
		}})
		if errors.Is(err, ErrLogWire) {
			n.gate.offend(p, offenceMalformed)
		}
		switch {
		case err != nil:
			return err
		case end.Status == logDone:
			return nil
		case end.Status != logMore || seen == before:
			return fmt.Errorf("%w: status %d", ErrNotServed, end.Status)
		case to.Less(from) || seen > maxHistory-maxIndexCount:
			return nil
		}
	}
}

// FetchRange asks one peer for the chunks with from <= id <= to, and verifies them. It returns those that the peer has,
// ascending.
func (n *Node) FetchRange(ctx context.Context, p peer.ID, id TrackID, from, to envelope.ID) ([]envelope.Chunk, error) {
	var all []envelope.Chunk
	size := 0
	for {
		req := logRequest{Kind: logRange, Track: id, From: from, To: to, Count: maxLogCount, Size: maxLogBytes}
		before := len(all)
		end, err := n.ask(ctx, p, req, func(b []byte) error {
			c, err := decodeFrame(b)
			if err == nil {
				err = verifyChunk(id, c)
			}
			if err != nil {
				n.gate.offend(p, offenceForged)
				return err
			}
			if c.ID().Less(from) || to.Less(c.ID()) {
				return fmt.Errorf("%w: chunk %v was not asked for", ErrLogWire, c.ID())
			}
			if size += len(b); size > maxRangeSize || len(all) >= maxRange {
				return fmt.Errorf("mesh: range of more than %d chunks or %d bytes", maxRange, maxRangeSize)
			}
			from = envelope.ID{Epoch: c.Epoch, Seq: c.Seq + 1}
			all = append(all, c)
			return nil
		}, nil)
		if errors.Is(err, ErrLogWire) {
			n.gate.offend(p, offenceMalformed)
		}
		switch {
		case err != nil:
			return all, err
		case end.Status == logDone || end.Status == logMore && to.Less(from):
			return all, nil
		case end.Status != logMore || len(all) == before:
			return all, fmt.Errorf("%w: status %d", ErrNotServed, end.Status)
		}
	}
}

// sources returns the connected peers that may have what was, in the order to ask them in: those whose index has the
// range, then others of the topic, at random.
func (t *Track) sources(from, to envelope.ID) []peer.ID {
	peers := t.topic.ListPeers()
	rand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	have := t.told.holders(from, to)
	slices.SortStableFunc(peers, func(a, b peer.ID) int {
		return cmp.Compare(rank(have[b]), rank(have[a]))
	})
	return peers
}

func rank(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// FetchIndex asks the peers of the track what there is with from <= id <= to, until one has told of it from from on or
// from the beginning of an epoch, and puts together what they say. It is a hint; where the chunks fetched later turn
// out to be others, the peers that said so are held to account.
//
// The context's deadline counts; what was told until then is returned, an error only where nothing was.
func (t *Track) FetchIndex(ctx context.Context, from, to envelope.ID) ([]IndexEntry, error) {
	type answer struct {
		from    peer.ID
		entries []IndexEntry
		err     error
	}
	own := t.ownIndex(from, to)
	peers := t.sources(from, from)
	peers = peers[:min(len(peers), historyPeers)]
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, len(peers))
	ask := func(p peer.ID) {
		var pages [][]byte
		a := answer{from: p}
		a.err = t.node.fetchIndex(ctx, p, t.id, from, to, func(raw []byte, entries []IndexEntry) {
			pages = append(pages, raw)
			a.entries = append(a.entries, entries...)
		})
		if bad := t.contradicted(a.entries); bad {
			t.node.gate.offend(p, offenceForged)
			a.entries, a.err = nil, fmt.Errorf("%w: %s", ErrFalse, p)
		}
		if len(a.entries) > 0 {
			t.told.note(p, pages, a.entries)
		}
		answers <- a
	}
	all, complete := own, reaches(own, from)
	var errs []error
	var settled <-chan time.Time
	asked, open := 0, 0
	for !complete || open > 0 {
		for !complete && open < askedAtOnce && asked < len(peers) {
			go ask(peers[asked])
			asked++
			open++
		}
		if open == 0 {
			break
		}
		select {
		case a := <-answers:
			open--
			if a.err != nil {
				errs = append(errs, a.err)
			}
			all = mergeIndex(all, a.entries)
			if !complete && reaches(a.entries, from) {
				complete = true
				settle := time.NewTimer(indexSettle)
				defer settle.Stop()
				settled = settle.C
			}
			continue
		case <-settled:
		case <-ctx.Done():
			errs = append(errs, ctx.Err())
		case <-t.ctx.Done():
			errs = append(errs, ErrClosed)
		}
		break
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("mesh: index of %v: %w", t.id, errors.Join(append(errs, ErrNotServed)...))
	}
	return all, nil
}

// ownIndex is what this node has itself.
func (t *Track) ownIndex(from, to envelope.ID) []IndexEntry {
	log, ok := t.serves.(IndexLog)
	if !ok {
		return nil
	}
	entries, _ := log.Index(from, to, maxHistory)
	return entries
}

// contradicted reports whether an index says of a chunk that is here what is not so.
func (t *Track) contradicted(entries []IndexEntry) bool {
	oldest, ok := t.window.Oldest()
	if !ok {
		return false
	}
	i, _ := slices.BinarySearchFunc(entries, oldest, func(e IndexEntry, id envelope.ID) int { return compareIDs(e.ID(), id) })
	for _, e := range entries[i:] {
		if c, ok := t.window.Chunk(e.ID()); ok && !EntryOf(c.Envelope).same(e) {
			return true
		}
	}
	return false
}

// reaches reports whether an index tells of what there is from from on.
func reaches(entries []IndexEntry, from envelope.ID) bool {
	return len(entries) > 0 && (entries[0].Seq == 0 || entries[0].ID() == from)
}

// mergeIndex joins two ascending indexes; where they differ, the first counts.
func mergeIndex(a, b []IndexEntry) []IndexEntry {
	if len(a) == 0 {
		return b
	}
	all := make([]IndexEntry, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch compareIDs(a[0].ID(), b[0].ID()) {
		case -1:
			all, a = append(all, a[0]), a[1:]
		case 1:
			all, b = append(all, b[0]), b[1:]
		default:
			all, a, b = append(all, a[0]), a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// FetchChunks returns the chunks of one epoch with from <= id <= to, all of them or an error: what is here from here,
// the rest from peers of the track, long ranges from several at once. Each is verified. A range that fits into one request (16
// chunks, 4 s of a track) takes 2 s at most.
func (t *Track) FetchChunks(ctx context.Context, from, to envelope.ID) ([]envelope.Chunk, error) {
	if from.Epoch != to.Epoch || to.Seq < from.Seq || to.Seq-from.Seq >= maxRange {
		return nil, fmt.Errorf("mesh: chunks %v to %v: %w", from, to, ErrRange)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	all := make([]envelope.Chunk, to.Seq-from.Seq+1)
	place := func(chunks []envelope.Chunk) {
		for _, c := range chunks {
			all[c.Seq-from.Seq] = c
		}
	}
	here, _ := t.serves.Range(from, to, maxRange, maxRangeSize)
	place(here)
	type result struct {
		chunks []envelope.Chunk
		err    error
	}
	results := make(chan result, len(all))
	slots := make(chan struct{}, runsAtOnce)
	runs := 0
	for i := 0; i < len(all); i++ {
		if all[i].Envelope != nil {
			continue
		}
		j := i + 1
		for j < len(all) && j-i < runLength && all[j].Envelope == nil {
			j++
		}
		first := envelope.ID{Epoch: from.Epoch, Seq: from.Seq + uint64(i)}
		last := envelope.ID{Epoch: from.Epoch, Seq: from.Seq + uint64(j-1)}
		turn := runs
		runs++
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			chunks, err := t.fetchRun(ctx, first, last, turn)
			results <- result{chunks, err}
		}()
		i = j - 1
	}
	for range runs {
		r := <-results
		if r.err != nil {
			return nil, fmt.Errorf("mesh: chunks %v to %v: %w", from, to, r.err)
		}
		place(r.chunks)
	}
	return all, nil
}

// ErrRange means a range that cannot be fetched at once.
var ErrRange = errors.New("mesh: not a range of one epoch, or too long")

// fetchRun asks one peer after the other, and the next one as well where one takes long. Turn spreads the runs of a
// range over the peers.
func (t *Track) fetchRun(ctx context.Context, from, to envelope.ID, turn int) ([]envelope.Chunk, error) {
	ctx, cancel := context.WithTimeout(ctx, runBudget)
	defer cancel()
	peers := t.sources(from, to)
	have := t.told.holders(from, to)
	if n := len(slices.DeleteFunc(slices.Clone(peers), func(p peer.ID) bool { return !have[p] })); n > 1 {
		k := turn % n
		peers = append(slices.Concat(peers[k:n], peers[:k]), peers[n:]...)
	}
	peers = peers[:min(len(peers), runAttempts)]
	type answer struct {
		from   peer.ID
		chunks []envelope.Chunk
		err    error
	}
	answers := make(chan answer, len(peers))
	got := make([]envelope.Chunk, to.Seq-from.Seq+1)
	missing := len(got)
	hedge := time.NewTimer(runHedge)
	defer hedge.Stop()
	errs := []error{ErrNotServed}
	open, asked := 0, 0
	more := true
	for {
		if more && asked < len(peers) {
			p := peers[asked]
			asked++
			open++
			go func() {
				chunks, err := t.node.FetchRange(ctx, p, t.id, from, to)
				answers <- answer{p, chunks, err}
			}()
			hedge.Reset(runHedge)
		}
		if more = false; open == 0 {
			return nil, errors.Join(errs...)
		}
		select {
		case a := <-answers:
			open--
			for _, c := range a.chunks {
				t.judgeIndex(c)
				if i := c.Seq - from.Seq; got[i].Envelope == nil {
					got[i] = c
					missing--
				}
			}
			if missing == 0 {
				t.node.metrics.logAsked.WithLabelValues("filled").Inc()
				return got, nil
			}
			if a.err != nil {
				errs = append(errs, a.err)
				t.node.metrics.logAsked.WithLabelValues("failed").Inc()
			}
			more = true
		case <-hedge.C:
			more = true
		case <-ctx.Done():
			return nil, errors.Join(append(errs, ctx.Err())...)
		}
	}
}

// judgeIndex holds what peers said of a chunk against the chunk.
func (t *Track) judgeIndex(c envelope.Chunk) {
	for _, p := range t.told.liars(c) {
		t.node.gate.offend(p, offenceForged)
		t.log.Debug("a peer's index was false", "peer", p, "chunk", c.ID())
	}
}

// FetchInit returns an init segment of the track: from here, or from the peers of the track in turn.
func (t *Track) FetchInit(ctx context.Context, c cid.Cid) ([]byte, error) {
	if init, ok := t.serves.Init(c); ok {
		return init, nil
	}
	if init, ok := t.window.Init(c); ok {
		return init, nil
	}
	ctx, cancel := context.WithTimeout(ctx, runBudget)
	defer cancel()
	errs := []error{ErrNotServed}
	oldest := envelope.ID{}
	for i, p := range t.sources(oldest, oldest) {
		if i >= runAttempts || ctx.Err() != nil {
			break
		}
		init, err := t.node.FetchInit(ctx, p, t.id, c)
		if err == nil {
			return init, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("mesh: init segment %s: %w", c, errors.Join(errs...))
}
