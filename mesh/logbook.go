package mesh

import (
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"murmuration/chunker/envelope"
)

// maxBook bounds what is remembered of peers' indexes, in bytes: about fifty hours of one peer's.
const maxBook = 6 << 20

// indexBook remembers what peers said is there: whom to ask for it, and whom to hold to account where it was not so. It
// keeps the pages as they came, which is compact: eight bytes a chunk. The zero value is ready.
type indexBook struct {
	mu    sync.Mutex
	pages []toldPage
	size  int
}

type toldPage struct {
	from        peer.ID
	first, last envelope.ID
	raw         []byte
}

// note remembers an answer, in place of the peer's earlier ones.
func (b *indexBook) note(p peer.ID, pages [][]byte, entries []IndexEntry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(p)
	for _, raw := range pages {
		n, _ := parsePage(raw) // it was read before
		if len(n) == 0 || len(n) > len(entries) {
			return
		}
		b.pages = append(b.pages, toldPage{p, n[0].ID(), n[len(n)-1].ID(), raw})
		b.size += len(raw)
		entries = entries[len(n):]
	}
	for b.size > maxBook {
		b.size -= len(b.pages[0].raw)
		b.pages = slices.Delete(b.pages, 0, 1)
	}
}

func (b *indexBook) drop(p peer.ID) {
	b.pages = slices.DeleteFunc(b.pages, func(page toldPage) bool {
		if page.from == p {
			b.size -= len(page.raw)
			return true
		}
		return false
	})
}

// holders returns the peers that said they have what begins at from and ends at to.
func (b *indexBook) holders(from, to envelope.ID) map[peer.ID]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first, last := map[peer.ID]bool{}, map[peer.ID]bool{}
	for _, page := range b.pages {
		if !from.Less(page.first) && !page.last.Less(from) {
			first[page.from] = true
		}
		if !to.Less(page.first) && !page.last.Less(to) {
			last[page.from] = true
		}
	}
	for p := range first {
		if !last[p] {
			delete(first, p)
		}
	}
	return first
}

// liars returns the peers whose index said of a chunk what is not so, and forgets all that they said.
func (b *indexBook) liars(c envelope.Chunk) (liars []peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, truth := c.ID(), EntryOf(c.Envelope)
	for _, page := range b.pages {
		if id.Less(page.first) || page.last.Less(id) {
			continue
		}
		entries, _ := parsePage(page.raw)
		i, ok := slices.BinarySearchFunc(entries, id, func(e IndexEntry, id envelope.ID) int { return compareIDs(e.ID(), id) })
		if ok && !entries[i].same(truth) && !slices.Contains(liars, page.from) {
			liars = append(liars, page.from)
		}
	}
	for _, p := range liars {
		b.drop(p)
	}
	return liars
}
