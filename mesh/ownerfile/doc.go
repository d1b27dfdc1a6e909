// Package ownerfile reads and writes small files that only their owner may read: keys, tokens, and what is kept beside them.
// It says nothing of what stands in them, and writes no large ones: those of recordings are node/archive's.
package ownerfile
