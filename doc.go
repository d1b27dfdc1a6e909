// Package murmuration is live video without a CDN: one binary, murmur, that everybody in a broadcast runs.
// It holds no code itself; it is the map of the house. In reading order:
//
//   - chunker: access units (pictures, audio frames) become CMAF chunks of about 250 ms, each one IPLD block.
//     chunker/envelope is the signed description of a chunk, chunker/seal encrypts those of private broadcasts;
//     chunker/FORMAT.md specifies all three.
//   - mesh: how chunks spread between peers: the libp2p host, the topics, what is accepted and forwarded, the log
//     protocol for what was missed, links, the channel's record. mesh/PROTOCOL.md specifies it. mesh/episub is the
//     dissemination protocol as a state machine without I/O; mesh/EPISUB.md specifies that.
//   - playlist: a window of chunks becomes LL-HLS text. No I/O.
//   - node: one participant, which wires the rooms into an origin, a viewer or a seed.
//     node/ingest reads RTMP, MPEG-TS, MP4 and draws the test picture; node/shim is the local HTTP face;
//     node/web is the page's source; node/player is a headless LL-HLS client that measures.
//   - sim: scenarios of broadcasts on a simulated internet, in virtual time; sim/stack runs them with real nodes,
//     sim/model with thousands of state machines; sim/report draws what came of it.
//   - cmd/murmur: flags and printing.
//   - bench: benchmarks that put the rooms side by side, and the results worth keeping.
//
// Who may import whom is written in arch_test.go, with the reason for each ban.
package murmuration
