package main

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"murmuration/node"
	"murmuration/node/archive/exchange"
)

// storeFlags say what is kept of broadcasts.
type storeFlags struct {
	Record     bool     `default:"${record}" negatable:"" help:"Keep recordings (${record})."`
	Recordings string   `type:"path" placeholder:"DIR" help:"Folder of the recordings (default: recordings in --dir, else murmur/recordings in the user's data folder)."`
	Disk       byteSize `placeholder:"200G" help:"Most that recordings may take: the oldest that are not pinned go first (default: all but a tenth of the disk)."`
	dhtFlags
}

// dhtFlags say how strangers find what is here, and how it is found elsewhere.
type dhtFlags struct {
	DHT          string   `name:"dht" enum:"off,client,auto,server" default:"${dht}" help:"Part taken in the public IPFS DHT, by which recordings are found: off, client, auto (serves it once reachable) or server (${default})."`
	DHTBootstrap []string `name:"dht-bootstrap" placeholder:"MULTIADDR" help:"Enter the DHT by these peers instead of the public ones."`
}

func (f dhtFlags) apply(r *node.Recordings) error {
	r.Routing = map[string]exchange.Routing{
		"off": exchange.RoutingOff, "client": exchange.RoutingClient, "auto": exchange.RoutingAuto, "server": exchange.RoutingServer,
	}[f.DHT]
	for _, text := range f.DHTBootstrap {
		addr, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return usageError{fmt.Errorf("--dht-bootstrap %s: %w", text, err)}
		}
		info, err := peer.AddrInfoFromP2pAddr(addr)
		if err != nil {
			return usageError{fmt.Errorf("--dht-bootstrap %s: %w: an address with /p2p/PEERID at its end is needed", text, err)}
		}
		r.Bootstrap = append(r.Bootstrap, *info)
	}
	return nil
}

func (f storeFlags) recordings() (node.Recordings, error) {
	r := node.Recordings{Dir: f.Recordings, Off: !f.Record, Disk: int64(f.Disk)}
	return r, f.apply(&r)
}
