// Package mesh spreads chunks between peers: a libp2p host, a topic for each track of a broadcast, the log protocol that
// fills gaps and starts newcomers, the channel record that says what is on, links, and the peers they lead to. Every
// chunk that leaves it was signed by the channel's key. It treats a chunk's block as bytes and knows nothing of media,
// files (but key files) or HTTP. What goes over the wire is specified in PROTOCOL.md beside this file.
//
// Reading order: config.go, node.go, host.go (the participant); id.go, link.go, key.go (names and keys; their files are
// written and read by the package ownerfile); frame.go, validate.go, window.go, gap.go, track.go (chunks); logwire.go,
// logserve.go, logfetch.go (the log protocol); record.go, feed.go, channelwire.go (the channel); peers.go, stale.go,
// acquaint.go, explore.go, introduce.go, gate.go (neighbours); status.go, metrics.go. How chunks go fragment by fragment:
// EPISUB.md and the package episub, then driver.go, judge.go, assembly.go, piece.go, inbox.go (what comes), neighbours.go,
// settle.go, uplink.go, ship.go, budget.go (what goes), partial.go (pubsub's extension).
package mesh
