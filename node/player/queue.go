package player

import (
	"context"
	"sync"
)

// queue hands what is listed from the one who reloads to the one who fetches.
type queue struct {
	mu     sync.Mutex
	items  []item
	hint   string // to be fetched when nothing else is
	hinted string // the last one handed out
	closed bool
	wake   chan struct{}
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) put(items []item, hint string) {
	q.mu.Lock()
	q.items = append(q.items, items...)
	q.hint = hint
	q.mu.Unlock()
	q.ring()
}

// close ends the queue; what is in it is still handed out where it ended well.
func (q *queue) close(well bool) {
	q.mu.Lock()
	q.closed = true
	q.hint = ""
	if !well {
		q.items = nil
	}
	q.mu.Unlock()
	q.ring()
}

func (q *queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next waits for something to fetch: an item, or else a hint.
func (q *queue) next(ctx context.Context) (it item, hint string, ok bool) {
	for {
		q.mu.Lock()
		switch {
		case len(q.items) > 0:
			it = q.items[0]
			q.items = q.items[1:]
			q.mu.Unlock()
			return it, "", true
		case q.closed:
			q.mu.Unlock()
			return item{}, "", false
		case q.hint != "" && q.hint != q.hinted:
			hint, q.hinted = q.hint, q.hint
			q.mu.Unlock()
			return item{}, hint, true
		}
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-ctx.Done():
			return item{}, "", false
		}
	}
}
