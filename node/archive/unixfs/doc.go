// Package unixfs writes a finished broadcast as a directory of IPFS's UnixFS over the very blocks that were sent live,
// and reads such a directory back from strangers. It copies no media: a segment is a node of some hundred bytes that
// links to its chunks. It holds no store and opens no socket: blocks are read and written by functions that it is given.
//
// What the directory holds is specified in FORMAT.md.
//
// Reading order: source.go (what a recording is made of), layout.go (which chunk stands in which file), build.go (the
// directory), info.go (info.json and its signature), chunks.go (chunks.txt), sidx.go (an MP4's index), dag.go, hamt.go
// and decode.go (dag-pb and UnixFS bytes), open.go, walk.go and view.go (the way back; bounds.go), export.go (a time
// range as one MP4).
package unixfs
