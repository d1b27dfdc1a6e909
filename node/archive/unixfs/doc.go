// Package unixfs writes a finished broadcast as a directory of IPFS's UnixFS over the very blocks that were sent live,
// and reads such a directory back from strangers. It copies no media: a segment is a node of some hundred bytes that
// links to its chunks. It holds no store and opens no socket: blocks are read and written by functions that it is given.
//
// A private recording's directory is of ciphertext, and says so (Source.KeyScheme): any node can pin it, and nothing in it
// has the name of a file that a player would open. It holds the sealed init segments and chunks, chunks.txt and info.json;
// playlists, segments, the MP4s' indices, codecs and posters are left out, since they would be of no use, or tell something.
//
// What the directory holds is specified in FORMAT.md.
//
// Reading order: source.go (what a recording is made of), layout.go (which chunk stands in which file), build.go (the
// directory), info.go (info.json and its signature), chunks.go (chunks.txt), sidx.go (an MP4's index), dag.go, hamt.go
// and decode.go (dag-pb and UnixFS bytes), open.go, walk.go and view.go (the way back; bounds.go), export.go (a time
// range as one MP4).
package unixfs
