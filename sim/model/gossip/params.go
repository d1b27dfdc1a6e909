package gossip

import "time"

// Params are gossipsub's parameters, by the names of the library's GossipSubParams.
type Params struct {
	D, Dlo, Dhi, Dscore, Dout int

	HistoryLength, HistoryGossip int // windows of the message cache, and of these advertised
	Dlazy                        int
	GossipFactor                 float64
	GossipRetransmission         int // times that a peer may ask for one message

	HeartbeatInitialDelay, HeartbeatInterval time.Duration
	PruneBackoff                             time.Duration

	MaxIHaveLength, MaxIHaveMessages         int // of a peer in a heartbeat
	MaxIDontWantLength, MaxIDontWantMessages int
	IDontWantMessageThreshold                int // bytes
	IDontWantMessageTTL                      int // heartbeats

	OutboundQueue  int // RPCs
	MaxMessageSize int // bytes of an RPC
}

// Stock returns the library's defaults. The largest RPC is 2 MiB, as the nodes of sim/stack set it, for large chunks.
func Stock() Params {
	return Params{
		D: 6, Dlo: 5, Dhi: 12, Dscore: 4, Dout: 2,
		HistoryLength: 5, HistoryGossip: 3, Dlazy: 6, GossipFactor: 0.25, GossipRetransmission: 3,
		HeartbeatInitialDelay: 100 * time.Millisecond, HeartbeatInterval: time.Second, PruneBackoff: time.Minute,
		MaxIHaveLength: 5000, MaxIHaveMessages: 10, MaxIDontWantLength: 10, MaxIDontWantMessages: 1000,
		IDontWantMessageThreshold: 1024, IDontWantMessageTTL: 3,
		OutboundQueue: 32, MaxMessageSize: 2 << 20,
	}
}
