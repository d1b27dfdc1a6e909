// Package model runs a scenario with thousands of mesh/episub state machines under a discrete-event network.
//
// The network has uplinks and downlinks that serialise, packets with headers, loss that shows as a retransmission's
// delay to everything behind it on the connection, last miles with jitter, and connections that burst and then pace as
// quic-go's do; what leaves ahead of a node's pace shares its uplink. Time is virtual: a run gives the same result on any
// machine, for the same scenario and seed, however many processors there are. It has no bytes of media: fragments are
// sizes, and a bad one is a mark.
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
//	scenario                                 real nodes, a seed or three              model, three seeds
//	tight200 with 12 peers, 6 s              4525 / 6486, 5.0                         4462 to 5151 / 7329 to 7949, 4.9 to 5.8
//	venue50 with 16 peers, 6 s               153 to 682 / 1264 to 1482, 5.5 to 6.1    158 to 219 / 810 to 1165, 5.6 to 6.1
//	churn200 with 25 peers, 20 s             1291 / 2584, 5.4                         747 to 832 / 1802 to 2022, 5.5 to 5.7
//	tight200 with 40 peers, 10 s after 10 s  9564, 10433 / 12683, 12691, 6.3 to 6.9   9231 to 11874 / 12631 to 12732, 6.8 to 7.1
//	venue50, chunks of 94 kB, 5 s after 10 s 1746 to 1938 / 2739 to 3420, 5.3 to 5.7  1394 to 1570 / 2316 to 2656, 5.2 to 5.5
//	venue50, 15 s                            2825 / 4769, 6.3                         1686 to 1739 / 3104 to 3313, 5.7 to 5.9
//	venue50, 60 s                            4102 / 8061, 6.5                         1849 to 2995 / 3927 to 7108, 6.1 to 6.5
//	home200, 60 s                            12947 / 18697, 6.0                       10311 / 16881, 6.0 (median)
//	tight200, 60 s                           32309 / 57878, 4.6                       30773 / 49861, 5.7 (median)
//	liars, 60 s                              26023 / 46779, 7.1                       1465 / 5892, 4.6 (median)
//
// Bytes, duplicates and the origin's copies agree within a tenth, but for the origin's under churn (a fifth more) and bytes in
// the two last rows. Where uplinks are short by far, so does latency; elsewhere the model is faster, by up to a half, and on
// long ways with lost packets by far more, since its connections never slow down (lane.go): it errs in gossipsub's favour.
// Overload grows with time, so a minute is worse than seconds.
package model
