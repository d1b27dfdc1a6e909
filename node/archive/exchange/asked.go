package exchange

import (
	"sync"
	"time"

	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// bitswapProtocols are the versions that bitswap listens on.
var bitswapProtocols = []protocol.ID{
	bsnet.ProtocolBitswap, bsnet.ProtocolBitswapOneOne, bsnet.ProtocolBitswapOneZero, bsnet.ProtocolBitswapNoVers,
}

// asked remembers which blocks sessions ask for, and for a minute or two which they asked for: a second copy can still
// be on its way then.
type asked struct {
	mu         sync.Mutex
	open       map[cid.Cid]int // by how many requests
	young, old map[cid.Cid]struct{}
	turned     time.Time
}

const askedTurn = time.Minute

func (a *asked) add(cids []cid.Cid) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open, a.young = map[cid.Cid]int{}, map[cid.Cid]struct{}{}
	}
	for _, c := range cids {
		a.open[c]++
	}
}

func (a *asked) done(cids []cid.Cid, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.turned) > askedTurn {
		a.old, a.young, a.turned = a.young, map[cid.Cid]struct{}{}, now
	}
	for _, c := range cids {
		if a.open[c]--; a.open[c] <= 0 {
			delete(a.open, c)
			a.young[c] = struct{}{}
		}
	}
}

func (a *asked) has(c cid.Cid) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, open := a.open[c]; open {
		return true
	}
	if _, young := a.young[c]; young {
		return true
	}
	_, old := a.old[c]
	return old
}

func (a *asked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.open)
}
