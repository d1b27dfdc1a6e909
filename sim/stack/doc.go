// Package stack runs a scenario with real nodes: real go-libp2p hosts with real QUIC and real gossipsub, hundreds of them
// in one process, on simulated links and in virtual time.
//
// Time stands still while anything computes, so the results do not depend on the machine or its load: what is measured
// is propagation, the links' queues and the protocols' own waiting, never processor time. Randomness that the libraries
// draw for themselves (connection IDs, gossipsub's choice of mesh neighbours, the order of events at one instant) does
// not come from the scenario's seed, so two runs of one seed agree closely but not to the bit; TestSameSeed says how
// closely.
//
//	scenario -> sim.Plan -> run ----- peers come, go, are cut off; the origin publishes sealed chunks
//	                         |
//	             +-----------+-----------+
//	          meshPeer   gossipPeer   hostile     one participant each: mesh.Node, stock go-libp2p-pubsub, ...
//	             +-----------+-----------+
//	                  internet, wire              delays, jitter, loss, NATs, partitions; counts bytes
//	                         |
//	                      ledger -> sim.Result, sim.Detail
//
// Of a participant the engine sees chunks that are complete, bytes on streams and packets on the wire, the same for any
// system. Mesh nodes also say who completed a chunk, over how many hops it came, and what the trees cost them; where a
// participant does not say who brought a chunk, it is read off the wire: the packet that completed it.
//
// What a run costs is mostly what its packets cost: some 50 µs of processor time each, of which the simulated internet
// takes about 3 and QUIC a third. A peer that joins costs some 0.2 s, for the 14 connections that it opens and
// what follows them. See TestExplore, which says what each virtual second cost, and writes profiles.
//
// Hostile participants are mesh nodes too, behind a host that tampers with what they send: they advertise and grant, and
// deliver nothing, or garbage.
package stack
