package stack

import (
	"sync"
	"time"

	"murmuration/sim"
)

// ledger is what is written down during a run. Times are microseconds of virtual time since the run's start.
type ledger struct {
	plan *sim.Plan

	mu    sync.Mutex
	nodes []record // by node of the plan
}

// record is one node's page.
type record struct {
	latency []int32 // by chunk, microseconds from publishing to complete; 0: never
	from    []int32 // by chunk, the node that completed it; -1: not known
	hops    []uint8 // by chunk, as the participant said; 0: not known
	first   time.Duration
	started bool // the first independent chunk is complete, at first

	before, after counts // when the measurement began, or the node came; when it ended, or the node went
}

// counts are a node's counters at one moment.
type counts struct {
	tally
	wire    int64   // bytes received with IP and UDP headers
	packets int64   // received
	by      []int64 // bytes received, by sender
}

func newLedger(p *sim.Plan) *ledger {
	return &ledger{plan: p, nodes: make([]record, len(p.Nodes))}
}

// bringer returns which of some nodes brought a chunk: the first that has it, or else the first.
func (l *ledger) bringer(seq uint64, candidates []int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range candidates {
		if r := &l.nodes[id]; id == 0 || seq < uint64(len(r.latency)) && r.latency[seq] != 0 {
			return id
		}
	}
	if len(candidates) > 0 {
		return candidates[0]
	}
	return -1
}

// complete writes down that a chunk is complete at a node.
func (l *ledger) complete(node int, seq uint64, now time.Duration, from, hops int) {
	if seq >= uint64(len(l.plan.Chunks)) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.nodes[node]
	if r.latency == nil {
		r.latency = make([]int32, len(l.plan.Chunks))
		r.from = make([]int32, len(l.plan.Chunks))
		r.hops = make([]uint8, len(l.plan.Chunks))
		for i := range r.from {
			r.from[i] = -1
		}
	}
	if r.latency[seq] != 0 {
		return
	}
	published := time.Duration(seq) * l.plan.Track.Chunk
	r.latency[seq] = max(int32((now - published).Microseconds()), 1)
	r.from[seq], r.hops[seq] = int32(from), uint8(min(hops, 255))
	if !r.started && int(seq)%l.plan.Track.Group == 0 {
		r.started, r.first = true, now
	}
}

// hops returns how many nodes a chunk came through to reach each node: 1 for those that had it from the origin, 0 or less
// where that is not known. Fragments say it themselves; of a whole message it follows from who brought it to whom.
func (l *ledger) hops(seq int) []int {
	hops := make([]int, len(l.nodes))
	var resolve func(node, depth int) int
	resolve = func(node, depth int) int {
		if node == 0 || hops[node] > 0 {
			return hops[node]
		}
		r := &l.nodes[node]
		if r.hops != nil && r.hops[seq] > 0 {
			hops[node] = int(r.hops[seq])
			return hops[node]
		}
		if depth > len(l.nodes) || r.latency == nil || r.latency[seq] == 0 || r.from[seq] < 0 {
			return -1
		}
		up := resolve(int(r.from[seq]), depth+1)
		if up < 0 {
			return -1
		}
		hops[node] = up + 1
		return up + 1
	}
	for node := range l.nodes {
		resolve(node, 0)
	}
	return hops
}
