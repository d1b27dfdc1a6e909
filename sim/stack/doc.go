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
//	                  internet (simnet)           delays, jitter, loss, NATs, partitions; counts bytes
//	                         |
//	                      ledger -> sim.Result, sim.Detail
//
// The engine sees a participant from outside only: chunks that are complete, bytes on streams, packets on the wire.
// Which neighbour a chunk came from is read off the wire too (the packet that completed it), so that the same figures
// come out for any dissemination inside of mesh.Node and for gossipsub.
package stack
