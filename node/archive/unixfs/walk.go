package unixfs

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"murmuration/chunker/envelope"

	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"
)

// How an opener reads: blocks, folders, files. Whatever a node says is held against the bounds before anything follows.

// fetch returns the bytes of blocks of the view's own, in order.
func (o *opener) fetch(ctx context.Context, cids []cid.Cid) ([][]byte, error) {
	if o.fetches += len(cids); o.fetches > maxFetches {
		return nil, hostile("over %d nodes", maxFetches)
	}
	out := make([][]byte, len(cids))
	for batch := range slices.Chunk(indices(len(cids)), 4*fetchers) {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(fetchers)
		for _, i := range batch {
			c := cids[i]
			if b, ok := o.data[c]; ok {
				out[i] = b
				continue
			}
			if b, ok := o.derived[c]; ok {
				out[i] = b
				continue
			}
			group.Go(func() error {
				b, err := o.get(ctx, c)
				if err != nil {
					return fmt.Errorf("get %s: %w", c, err)
				}
				if len(b) > maxNode || !checkBlock(c, b) {
					return hostile("what came for %s has another hash, or %d bytes", c, len(b))
				}
				out[i] = b
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		for _, i := range batch {
			if _, ok := o.data[cids[i]]; ok {
				continue
			}
			o.data[cids[i]] = out[i]
			o.order = append(o.order, cids[i])
			if o.bytes += int64(len(out[i])); o.bytes > maxOwn {
				return nil, hostile("over %d bytes of nodes", maxOwn)
			}
		}
	}
	return out, nil
}

func indices(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// directory reads a folder, sharded or not.
func (o *opener) directory(ctx context.Context, c cid.Cid) (map[string]link, error) {
	if c.Type() != cid.DagProtobuf {
		return nil, hostile("%s is no folder", c)
	}
	entries := map[string]link{}
	add := func(name string, l link) error {
		if !validName(name) || len(entries) >= maxEntries {
			return hostile("folder entry %.100q", name)
		}
		if _, twice := entries[name]; twice {
			return hostile("folder entry %s twice", name)
		}
		l.name = name
		entries[name] = l
		return nil
	}
	type shard struct {
		cid    cid.Cid
		prefix []byte // slots on the way here
	}
	level := []shard{{cid: c}}
	for depth := 0; len(level) > 0; depth++ {
		cids := make([]cid.Cid, len(level))
		for i, s := range level {
			cids[i] = s.cid
		}
		raw, err := o.fetch(ctx, cids)
		if err != nil {
			return nil, err
		}
		var next []shard
		for i, b := range raw {
			n, err := decode(b)
			if err != nil {
				return nil, err
			}
			switch {
			case n.kind == typeDirectory && depth == 0 && n.data == nil && !n.hasSize && len(n.blocksizes) == 0:
				for _, l := range n.links {
					if err := add(l.name, l); err != nil {
						return nil, err
					}
				}
			case n.kind == typeHAMT && depth < maxShards && n.fanout == fanout && n.hashType == hashMurmur3 && len(n.links) <= fanout:
				for _, l := range n.links {
					var at byte
					if _, err := fmt.Sscanf(l.name, "%02X", &at); err != nil || len(l.name) < slotDigits {
						return nil, hostile("shard entry %.100q", l.name)
					}
					path := append(slices.Clone(level[i].prefix), at)
					name := l.name[slotDigits:]
					if name == "" {
						next = append(next, shard{cid: l.cid, prefix: path})
						continue
					}
					for d, want := range path {
						if slot(name, d) != want {
							return nil, hostile("entry %.100q in the wrong shard", name)
						}
					}
					if err := add(name, l); err != nil {
						return nil, err
					}
				}
			default:
				return nil, hostile("%s is no folder", level[i].cid)
			}
		}
		if len(next) > maxEntries {
			return nil, hostile("a folder of %d shards", len(next))
		}
		level = next
	}
	return entries, nil
}

// validName reports whether a name is one that files of a view have: nothing that a shell or a file system could
// take for something else.
func validName(s string) bool {
	if s == "" || len(s) > maxEntryName || s[0] == '.' || s[0] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// file returns the leaves of a file in order, at most limit, and its size. It fetches the nodes above them, level by level.
func (o *opener) file(ctx context.Context, l link, limit int) (leaves []link, size uint64, err error) {
	list := []link{l}
	if l.cid.Type() == cid.Raw {
		list[0].size = l.tree // a file of one leaf
	}
	limit = min(limit, maxLeaves-o.leaves)
	checked := l.cid.Type() == cid.Raw
	for depth := 0; ; depth++ {
		var cids []cid.Cid
		for _, l := range list {
			if l.cid.Type() != cid.Raw {
				cids = append(cids, l.cid)
			}
		}
		if len(cids) == 0 {
			break
		}
		if depth == maxDepth {
			return nil, 0, hostile("a file of depth %d", depth)
		}
		raw, err := o.fetch(ctx, cids)
		if err != nil {
			return nil, 0, err
		}
		var next []link
		var n *node
		for i, l := range list {
			if l.cid.Type() == cid.Raw {
				next = append(next, l)
				continue
			}
			if n == nil || list[i-1].cid != l.cid { // bombs repeat themselves
				if n, err = decodeFile(raw[0]); err != nil {
					return nil, 0, err
				}
			}
			raw = raw[1:]
			if checked && n.filesize != l.size {
				return nil, 0, hostile("a node of %d bytes where %d are said to be", n.filesize, l.size)
			}
			next = append(next, n.links...)
			if len(next) > limit {
				return nil, 0, hostile("over %d leaves", limit)
			}
		}
		checked = true
		list = next
	}
	o.leaves += len(list)
	for _, l := range list {
		if l.size >= envelope.MaxBlock || l.tree != l.size {
			return nil, 0, hostile("a leaf of %d bytes", l.size)
		}
		size += l.size
	}
	return list, size, nil
}

// decodeFile reads a node of a file. Its links get their sizes.
func decodeFile(b []byte) (*node, error) {
	n, err := decode(b)
	if err != nil {
		return nil, err
	}
	if n.kind != typeFile || n.data != nil || !n.hasSize || len(n.links) == 0 || len(n.blocksizes) != len(n.links) || n.fanout != 0 {
		return nil, hostile("not a node of a file")
	}
	var sum uint64
	for i := range n.links {
		size := n.blocksizes[i]
		if n.links[i].name != "" || size > 1<<50 {
			return nil, hostile("a file's link of %d bytes called %.100q", size, n.links[i].name)
		}
		n.links[i].size = size
		sum += size
	}
	if sum != n.filesize || sum > 1<<50 {
		return nil, hostile("a node of %d bytes whose links have %d", n.filesize, sum)
	}
	return n, nil
}

// text reads a small file.
func (o *opener) text(ctx context.Context, entries map[string]link, name string, limit int) ([]byte, error) {
	e, ok := entries[name]
	if !ok {
		return nil, hostile("no %s", name)
	}
	leaves, size, err := o.file(ctx, e, maxTextLeaves)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if size > uint64(limit) {
		return nil, hostile("%s has %d bytes", name, size)
	}
	cids := make([]cid.Cid, len(leaves))
	for i, l := range leaves {
		cids[i] = l.cid
	}
	raw, err := o.fetch(ctx, cids)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i, b := range raw {
		if uint64(len(b)) != leaves[i].size {
			return nil, hostile("%s: a leaf of %d bytes, said to have %d", name, len(b), leaves[i].size)
		}
	}
	return bytes.Join(raw, nil), nil
}
