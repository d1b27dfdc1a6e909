// Package exchange trades blocks of recordings with other IPFS nodes: it asks for blocks by bitswap, serves the node's
// own by bitswap, tells the DHT who has a recording, and publishes and resolves IPNS names of channels.
//
// It stores nothing. What it serves comes from a [Blocks] (the archive); what it fetched goes to whoever asked, verified
// against its CID. It carries recordings only: the live push between peers is the mesh's, and has the first say on the
// uplink (Config.UploadBitsPerSecond, Config.Admit).
//
// The answering side of bitswap and the messages are boxo's, whose maintainers ended regular work in autumn 2026; so none
// of its types appears in what this package exports, and it can be replaced here. The asking side (scheduler.go,
// client.go) is ours: boxo's waits for ever for a peer that says it has a block and does not send it.
package exchange
