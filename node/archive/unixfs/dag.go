package unixfs

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"murmuration/chunker/envelope"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"google.golang.org/protobuf/encoding/protowire"
)

// dag-pb (https://ipld.io/specs/codecs/dag-pb/spec/) and UnixFS (https://specs.ipfs.tech/unixfs/) are written and read
// here field by field: the bytes of a node decide the root, so they must not hang on a library's version or settings,
// and what comes from strangers is bounded before anything is allocated. Tests hold this against boxo.
//
//	PBNode
//	├ 2 Links, repeated: 1 Hash (a binary CID), 2 Name, 3 Tsize (bytes of all that hangs on it)
//	└ 1 Data: UnixFS Data
//	    1 Type, 2 Data, 3 filesize, 4 blocksizes (one a link, repeated), 5 hashType, 6 fanout

// The types of UnixFS nodes.
const (
	typeRaw       = 0
	typeDirectory = 1
	typeFile      = 2
	typeHAMT      = 5
)

const (
	// maxLinks is how many links a file's node has at most: about 50 bytes each, so that a node stays below 64 KiB.
	maxLinks = 1024
	// leafSize is the size of the raw leaves that our own files (playlists, info.json) are cut into.
	leafSize = 256 << 10
)

// Link names a block, or a tree of them, with the size of the content below it.
type Link struct {
	Cid  cid.Cid
	Size int64 // bytes of content: of the block for a chunk, of the whole for a file
}

// link is a link within a node.
type link struct {
	name string
	cid  cid.Cid
	size uint64 // of the file's content below it; blocksizes
	tree uint64 // of all blocks below it, nodes included: Tsize
}

// node is a dag-pb node that holds UnixFS.
type node struct {
	kind       uint64
	links      []link
	data       []byte
	blocksizes []uint64
	filesize   uint64
	hasSize    bool
	hashType   uint64
	fanout     uint64
}

// pbCID returns the CID of a dag-pb node: version 1, SHA2-256.
func pbCID(b []byte) cid.Cid { return sum(cid.DagProtobuf, b) }

func sum(codec uint64, b []byte) cid.Cid {
	digest := sha256.Sum256(b)
	mh, err := multihash.Encode(digest[:], multihash.SHA2_256)
	if err != nil {
		panic(err) // 32 bytes are right
	}
	return cid.NewCidV1(codec, mh)
}

// checkBlock reports whether b hashes to c, a CID of the kinds that a view has.
func checkBlock(c cid.Cid, b []byte) bool {
	return usual(c) && sum(c.Type(), b) == c
}

// usual reports whether a CID is of the kinds that a view has: version 1, raw or dag-pb, SHA2-256 of 32 bytes.
func usual(c cid.Cid) bool {
	p := c.Prefix()
	return c.Defined() && p.Version == 1 && (p.Codec == cid.Raw || p.Codec == cid.DagProtobuf) &&
		p.MhType == multihash.SHA2_256 && p.MhLength == sha256.Size
}

// rawCID returns the CID of a raw leaf.
func rawCID(b []byte) cid.Cid { return envelope.RawCID(b) }

func appendLink(b []byte, l link) []byte {
	raw := l.cid.Bytes()
	size := 1 + protowire.SizeBytes(len(raw)) + 1 + protowire.SizeBytes(len(l.name)) + 1 + protowire.SizeVarint(l.tree)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendBytes(b, raw)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendString(b, l.name)
	b = protowire.AppendTag(b, 3, protowire.VarintType)
	return protowire.AppendVarint(b, l.tree)
}

// encode returns the node's bytes, links first, as dag-pb wants it.
func (n *node) encode() []byte {
	b := make([]byte, 0, 16+len(n.links)*64)
	for _, l := range n.links {
		b = appendLink(b, l)
	}
	d := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), n.kind)
	if n.data != nil {
		d = protowire.AppendBytes(protowire.AppendTag(d, 2, protowire.BytesType), n.data)
	}
	if n.hasSize {
		d = protowire.AppendVarint(protowire.AppendTag(d, 3, protowire.VarintType), n.filesize)
	}
	for _, s := range n.blocksizes {
		d = protowire.AppendVarint(protowire.AppendTag(d, 4, protowire.VarintType), s)
	}
	if n.fanout > 0 {
		d = protowire.AppendVarint(protowire.AppendTag(d, 5, protowire.VarintType), n.hashType)
		d = protowire.AppendVarint(protowire.AppendTag(d, 6, protowire.VarintType), n.fanout)
	}
	return protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), d)
}

// writer puts nodes, each once, and counts what it put.
type writer struct {
	put   Put
	done  map[cid.Cid]bool
	bytes int64
}

func (w *writer) write(c cid.Cid, b []byte) error {
	if w.done[c] {
		return nil
	}
	if err := w.put(c, b); err != nil {
		return fmt.Errorf("put %s: %w", c, err)
	}
	w.done[c] = true
	w.bytes += int64(len(b))
	return nil
}

func (w *writer) node(n *node, content uint64) (link, error) {
	b := n.encode()
	l := link{cid: pbCID(b), size: content, tree: uint64(len(b))}
	for _, k := range n.links {
		l.tree += k.tree
	}
	return l, w.write(l.cid, b)
}

// file writes the tree over leaves, which stand in the order of the file's bytes. A single leaf is the file itself.
//
// The tree is balanced: all leaves are at the same depth, and nodes are filled from the left, so that a reader of a
// range finds it in few steps and a reader of the whole needs one node for each 1024 chunks.
func (w *writer) file(leaves []link) (link, error) {
	if len(leaves) == 0 {
		return w.small(nil)
	}
	for len(leaves) > 1 {
		up := make([]link, 0, (len(leaves)+maxLinks-1)/maxLinks)
		for group := range slices.Chunk(leaves, maxLinks) {
			n := &node{kind: typeFile, links: group, hasSize: true}
			for _, l := range group {
				n.blocksizes = append(n.blocksizes, l.size)
				n.filesize += l.size
			}
			l, err := w.node(n, n.filesize)
			if err != nil {
				return link{}, err
			}
			up = append(up, l)
		}
		leaves = up
	}
	return leaves[0], nil
}

// small writes a file of our own.
func (w *writer) small(b []byte) (link, error) {
	var leaves []link
	for {
		leaf := b[:min(len(b), leafSize)]
		b = b[len(leaf):]
		c := rawCID(leaf)
		if err := w.write(c, leaf); err != nil {
			return link{}, err
		}
		leaves = append(leaves, link{cid: c, size: uint64(len(leaf)), tree: uint64(len(leaf))})
		if len(b) == 0 {
			return w.file(leaves)
		}
	}
}

// directory writes a directory of entries with different names. Its size is that of its files' contents.
func (w *writer) directory(entries []link) (link, error) {
	slices.SortFunc(entries, func(a, b link) int { return cmp.Compare(a.name, b.name) })
	var content uint64
	size := 0
	for _, e := range entries {
		content += e.size
		size += len(e.name) + e.cid.ByteLen()
	}
	if size > shardAbove {
		return w.shard(entries, 0)
	}
	return w.node(&node{kind: typeDirectory, links: entries}, content)
}
