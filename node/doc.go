// Package node is one participant of a broadcast: it wires the mesh, the chunker, an ingest and the local HTTP face into
// an Origin, a Viewer, a Seed, or the three of them for a Demo. The rooms know nothing of each other; only node does.
// It does not parse flags or print (cmd/murmur does).
package node
