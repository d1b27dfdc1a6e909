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
//
// Gossipsub runs the same plan with stock gossipsub instead: the Routers of sim/model/gossip in a single queue of events, on
// links that share an uplink among connections piece by piece (stock.go, stockpeers.go, lane.go). What is written down, and
// how it is summed up, is the same for both (measure.go, detail.go).
//
// How near that comes to real stock nodes on the stack engine (p50 / p99 in ms, copies that a peer received):
//
//	scenario                                            real nodes              model, three seeds
//	50 peers, chunks of 94 kB, 5 s after 10 s       1889 / 3011, 5.7    1493 to 1558 / 2371 to 2620, 5.2 to 5.6
//	venue50, 60 s                                   4102 / 8061, 6.5    1781 to 2524 / 3355 to 6272, 6.0 to 6.6
//	tight200 with 40 peers, 10 s after 10 s       10433 / 12691, 6.3   9231 to 11874 / 12631 to 12732, 6.8 to 7.1
//	churn200 with 25 peers, 20 s                    1291 / 2584, 5.4      747 to 832 / 1802 to 2022, 5.5 to 5.7
//
// Bytes, duplicates and the origin's copies agree within a tenth or so; where uplinks suffice for most of the time, the
// model is faster, by a fifth to a half, since its connections never slow down (lane.go): it errs in gossipsub's favour.
package model
