// Package model runs a scenario with thousands of mesh/episub state machines under a discrete-event network.
//
// The network has uplinks and downlinks that serialise, packets with headers, loss that shows as a retransmission's
// delay to everything behind it on the connection, last miles with jitter, and connections that burst and then pace as
// quic-go's do. Time is virtual: a run gives the same result on any machine, for the same scenario and seed, however
// many processors there are. It has no bytes of media: fragments are sizes, and a bad one is a mark.
//
// Time goes on in windows that are as long as the least delay between two nodes, so within one the nodes do not depend
// on each other: shard.go runs them one by one, and shards in parallel. What concerns several nodes (peers that come and
// go, connections, partitions) happens between windows, up to a window late.
package model
