package archive

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/ipfs/go-cid"
)

// Bounds of a view's DAG, so that a hostile root costs no more than a long recording.
const (
	maxDepth     = 32
	maxNodes     = 1 << 20   // directories, files and the nodes between
	maxNodeBytes = 512 << 20 // of all of them
	maxLeaves    = 8 << 20   // 24 days of one track
)

// link is an entry of a dag-pb node.
type link struct {
	cid  cid.Cid
	name string
}

// links reads the links of a dag-pb node (https://ipld.io/specs/codecs/dag-pb/spec/): field 2 of PBNode, of which
// fields 1 and 2 are hash and name.
func links(node []byte) ([]link, error) {
	var list []link
	err := fields(node, func(field uint64, value []byte) error {
		if field != 2 {
			return nil
		}
		var l link
		err := fields(value, func(field uint64, value []byte) error {
			switch field {
			case 1:
				c, err := cid.Cast(value)
				if err != nil {
					return fmt.Errorf("%w: link: %w", ErrHostile, err)
				}
				if _, k, ok := asDigest(c); !ok || k == codecCBOR {
					return fmt.Errorf("%w: link to %s", ErrHostile, c)
				}
				l.cid = c
			case 2:
				l.name = string(value)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if !l.cid.Defined() {
			return fmt.Errorf("%w: link to nothing", ErrHostile)
		}
		list = append(list, l)
		return nil
	})
	return list, err
}

// fields calls yield for the length-delimited fields of a protobuf message.
func fields(b []byte, yield func(field uint64, value []byte) error) error {
	bad := fmt.Errorf("%w: malformed node", ErrHostile)
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return bad
		}
		b = b[n:]
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return bad
		}
		b = b[n:]
		switch key & 7 {
		case 0:
		case 2:
			if v > uint64(len(b)) {
				return bad
			}
			if err := yield(key>>3, b[:v]); err != nil {
				return err
			}
			b = b[v:]
		default:
			return bad
		}
	}
	return nil
}

// fetchMany makes sure that blocks are at hand before get is asked for them.
type fetchMany func(ctx context.Context, cids []cid.Cid) error

// walker goes over a view's DAG within the bounds.
type walker struct {
	get   func(cid.Cid) ([]byte, error) // reads a block, its hash checked
	fetch fetchMany                     // nil where everything is at hand
	node  func(c cid.Cid, block []byte) // told of every node, parents first; may be nil
}

// nodes visits all nodes that are no leaves, level by level, so that few round trips fetch them.
func (w *walker) nodes(ctx context.Context, root cid.Cid) error {
	if _, k, ok := asDigest(root); !ok || k != codecPB {
		return fmt.Errorf("%w: root %s", ErrHostile, root)
	}
	seen := map[digest]struct{}{}
	level := []cid.Cid{root}
	size := 0
	for depth := 0; len(level) > 0; depth++ {
		if depth > maxDepth {
			return fmt.Errorf("%w: deeper than %d", ErrHostile, maxDepth)
		}
		var next []cid.Cid
		for len(level) > 0 {
			batch := level[:min(len(level), 64)]
			level = level[len(batch):]
			if w.fetch != nil {
				if err := w.fetch(ctx, batch); err != nil {
					return err
				}
			}
			for _, c := range batch {
				if err := ctx.Err(); err != nil {
					return err
				}
				b, err := w.get(c)
				if err != nil {
					return err
				}
				if size += len(b); size > maxNodeBytes {
					return fmt.Errorf("%w: more than %d bytes of nodes", ErrHostile, maxNodeBytes)
				}
				if w.node != nil {
					w.node(c, b)
				}
				list, err := links(b)
				if err != nil {
					return err
				}
				for _, l := range list {
					d, k, _ := asDigest(l.cid)
					if _, dup := seen[d]; dup || k != codecPB {
						continue
					}
					if len(seen) >= maxNodes {
						return fmt.Errorf("%w: more than %d nodes", ErrHostile, maxNodes)
					}
					seen[d] = struct{}{}
					next = append(next, l.cid)
				}
			}
		}
		level = next
	}
	return nil
}

// leaves calls yield for every leaf once, in playing order: the small files of a folder, then its recordings, which
// are all chunks in order, then the rest. All nodes are at hand.
func (w *walker) leaves(ctx context.Context, root cid.Cid, yield func(cid.Cid) error) error {
	seen := map[digest]struct{}{}
	count := 0
	var visit func(c cid.Cid, depth int) error
	visit = func(c cid.Cid, depth int) error {
		d, k, _ := asDigest(c)
		if _, dup := seen[d]; dup {
			return nil
		}
		seen[d] = struct{}{}
		if k == codecRaw {
			if count++; count > maxLeaves {
				return fmt.Errorf("%w: more than %d leaves", ErrHostile, maxLeaves)
			}
			return yield(c)
		}
		if depth > maxDepth {
			return fmt.Errorf("%w: deeper than %d", ErrHostile, maxDepth)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := w.get(c)
		if err != nil {
			return err
		}
		list, err := links(b)
		if err != nil {
			return err
		}
		for pass := range 3 {
			for _, l := range list {
				if passOf(l) == pass {
					if err := visit(l.cid, depth+1); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	return visit(root, 0)
}

func passOf(l link) int {
	_, k, _ := asDigest(l.cid)
	switch {
	case l.name == "" || k == codecRaw: // a piece of a file, or a file of one block
		return 0
	case strings.HasPrefix(l.name, "recording"):
		return 1
	}
	return 2
}
