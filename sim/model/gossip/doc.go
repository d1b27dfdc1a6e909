// Package gossip is stock gossipsub as a state machine without I/O: what a go-libp2p-pubsub v0.19.0 node with default
// parameters does on one topic that it takes part in, message by message. It neither has a network nor a clock, and its
// messages are names and sizes: sim/model lets hundreds of Routers run under its links.
//
// It follows the library's gossipsub.go, mcache.go, rpc_queue.go and comm.go (gossipsub v1.2: the mesh and its upkeep at
// the heartbeat, GRAFT and PRUNE with backoff, the quota of outbound links, IHAVE to a quarter of the others and IWANT for
// what is missing, the message cache of 5 windows of which 3 are advertised, IDONTWANT when a large message comes, no
// flood publishing), and each neighbour's outbound queue of 32 RPCs, which drops what does not fit, retries GRAFT and
// PRUNE with a later RPC, and lets only IDONTWANT go before what waits. Peer scoring, peer exchange, direct peers and
// several topics are left out, since they are off or without effect by default; so is the expiry of seen messages, which
// takes two minutes.
package gossip
