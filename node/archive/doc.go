// Package archive keeps recordings: the blocks of a broadcast and the signed envelopes that describe them, appended to
// one CAR file as they arrive, and at the end the UnixFS view over the same blocks. It knows nothing of the network:
// what is missing comes through Append, through a Fetcher, or out of a CAR.
//
// # Files
//
//	DIR/lock                    flock, with the process that holds it
//	DIR/CHANNEL/BROADCAST.car   the blocks: CARv2, its header and index written when the file is sealed
//	DIR/CHANNEL/BROADCAST.json  title, times, pin, root: written whole or not at all
//	DIR/CHANNEL/BROADCAST.idx   scratch of an open recording, unnamed while it is used: see scratch
//	DIR/running.json            package node's: address and token of the process that has the folder open
//	DIR/deleted.json            package node's: what was deleted by hand and is not to come back
//	DIR/catalog/N.run           which blocks are in which closed recording; made again where it is lost
//
// Every section of the CAR is a block under its CIDv1: raw (chunks, init segments, small files of the view), dag-cbor
// (envelopes) or dag-pb (directories and files of the view). A chunk is there when its envelope and its block are; the
// block is written first. A sealed file has an index and needs nothing in memory until somebody asks for its tracks; of a
// recording that grows, or whose tracks are read, some 300 KB are in memory, however long it is.
//
// # What a crash costs
//
// Append hands a chunk to the operating system in one write before it returns: a killed process loses the chunk in
// flight and nothing else. The disk is forced (fsync) every Config.Sync, after at most 32 MiB, and in Finish, Import and
// Adopt before they return: a power cut loses what came since. Open cuts a torn tail off, checks the hashes of the last
// 34 MiB, which is all that can have been in flight, and goes on.
//
// # What damage costs
//
// Get, Has and the tracks never give a block whose hash differs: a damaged block counts as missing from the moment it
// is found, by reading or by Verify, and an Append of its chunk heals it; so does another Adopt of the root, which fetches
// what Info counts as Damaged and nothing else. Where even the framing of the file is
// damaged, the scanner looks for the next section whose hash checks and goes on from there.
package archive
