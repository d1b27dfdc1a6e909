package mesh

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
)

// eventKind says what happened.
type eventKind uint8

const (
	evMessage eventKind = iota // a partial message came
	evWhole                    // a chunk came by another way, verified and accepted
	evGone                     // a neighbour left, or its stream closed
)

// input is something that a driver must hear of.
type input struct {
	kind    eventKind
	from    peer.ID
	group   []byte
	control []byte
	piece   []byte
	chunk   envelope.Chunk
	late    bool // with evWhole: the chunk belongs to the past, it came on joining
}

// Bounds of what waits for a driver. It takes some 50 microseconds for an event, so this is never reached but by floods,
// or on a machine that has no time for us; then the newest are dropped, and repaired.
const (
	inboxEvents = 4096
	inboxBytes  = 16 << 20
)

// inbox is what waits for a driver. Putting never blocks.
type inbox struct {
	mu      sync.Mutex
	events  []input
	bytes   int
	dropped uint64
	ready   chan struct{} // one token
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (e *input) size() int { return len(e.group) + len(e.control) + len(e.piece) }

// put adds an event.
func (b *inbox) put(e input) {
	b.mu.Lock()
	if e.kind == evMessage && (len(b.events) >= inboxEvents || b.bytes+e.size() > inboxBytes) {
		b.dropped++
	} else {
		b.events = append(b.events, e)
		b.bytes += e.size()
	}
	b.mu.Unlock()
	wake(b.ready)
}

// take returns what is there, and keeps the memory of spent for what comes.
func (b *inbox) take(spent []input) []input {
	clear(spent)
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.events
	b.events, b.bytes = spent[:0], 0
	return all
}
