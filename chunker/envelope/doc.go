// Package envelope holds the signed description of a chunk: its dag-cbor encoding, its signature, the CIDs and
// fragment hashes that bind it to the chunk's block. It knows nothing of media, so that mesh can verify and forward
// chunks as bytes. The format is specified in chunker/FORMAT.md.
package envelope
