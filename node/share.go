package node

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"murmuration/mesh"
)

// maxShared is how many addresses of one peer go into a link, so that it stays short enough to pass on.
const maxShared = 6

// shareLink returns the link to hand out, with the addresses of this moment (a router's forwarding shows up late).
func (p *participant) shareLink() mesh.Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link
}

// reachable orders a peer's addresses for a link: public ones first, then private ones, and loopback only where there is
// nothing else; QUIC before TCP. Container bridges and the like cannot be told from real networks and stay in.
func reachable(info peer.AddrInfo) peer.AddrInfo {
	rank := func(a multiaddr.Multiaddr) int {
		n := 2
		switch {
		case manet.IsIPLoopback(a):
			n = 4
		case manet.IsPublicAddr(a):
			n = 0
		}
		if _, err := a.ValueForProtocol(multiaddr.P_QUIC_V1); err != nil {
			n++
		}
		return n
	}
	addrs := slices.Clone(info.Addrs)
	slices.SortStableFunc(addrs, func(a, b multiaddr.Multiaddr) int { return rank(a) - rank(b) })
	if i := slices.IndexFunc(addrs, manet.IsIPLoopback); i > 0 {
		addrs = addrs[:i]
	}
	info.Addrs = addrs[:min(len(addrs), maxShared)]
	return info
}
