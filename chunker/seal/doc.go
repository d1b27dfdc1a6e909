// Package seal makes ciphertext of the blocks and init segments of a private broadcast, and media of them again. It knows
// no envelope's fields but the key's name, and does neither I/O nor signatures: whether a sealed block is the channel's
// says its envelope, which is signed over the CID of the ciphertext.
//
// FORMAT.md, section 6, in the folder above specifies it. Reading order: secret.go (what a link carries), track.go (the keys
// of a track), block.go, init.go.
package seal
