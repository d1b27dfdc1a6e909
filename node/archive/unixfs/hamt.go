package unixfs

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/spaolacci/murmur3"
)

// A folder of thousands of segments would be a node of a megabyte. As IPFS does it, such a folder becomes a HAMT: a tree
// of nodes with 256 slots, an entry's slot at depth d being byte d of the hash of its name.
//
//	node: Data = which slots are taken (a bit field, the last slot first), hashType murmur3, fanout 256
//	└ link "3F" + name   the only entry whose hash goes on with 3F
//	└ link "A0"          the node of all entries whose hash goes on with A0

const (
	// shardAbove is the size of a folder's names and CIDs, in bytes, above which it is sharded: kubo's threshold.
	shardAbove = 256 << 10
	fanout     = 256
	// hashMurmur3 is multicodec's murmur3-x64-64.
	hashMurmur3 = 0x22
	slotDigits  = 2 // of a link's name, in hexadecimal
	maxShards   = 8 // depth: bytes of the hash
)

var errCollision = errors.New("names with equal hashes")

func slot(name string, depth int) byte {
	h := murmur3.Sum64([]byte(name))
	return byte(h >> (56 - 8*depth))
}

// shard writes a node of a sharded folder, with everything below it. Entries are sorted by name.
func (w *writer) shard(entries []link, depth int) (link, error) {
	if depth >= maxShards {
		return link{}, errCollision
	}
	var slots [fanout][]link
	var content uint64
	for _, e := range entries {
		i := slot(e.name, depth)
		slots[i] = append(slots[i], e)
		content += e.size
	}
	n := &node{kind: typeHAMT, hashType: hashMurmur3, fanout: fanout}
	var taken [fanout / 64]uint64
	for i, in := range slots {
		if len(in) == 0 {
			continue
		}
		taken[len(taken)-1-i/64] |= 1 << (i % 64)
		name := fmt.Sprintf("%0*X", slotDigits, i)
		if len(in) == 1 {
			in[0].name = name + in[0].name
			n.links = append(n.links, in[0])
			continue
		}
		l, err := w.shard(in, depth+1)
		if err != nil {
			return link{}, err
		}
		l.name = name
		n.links = append(n.links, l)
	}
	for _, word := range taken {
		n.data = binary.BigEndian.AppendUint64(n.data, word)
	}
	for len(n.data) > 0 && n.data[0] == 0 {
		n.data = n.data[1:]
	}
	return w.node(n, content)
}
