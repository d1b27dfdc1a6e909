package unixfs

import (
	"bytes"
	"fmt"

	"github.com/ipfs/go-cid"
	"google.golang.org/protobuf/encoding/protowire"
)

// decode reads a node that may be hostile. Only the form that encode writes is taken: encoding what was read must give
// the same bytes.
func decode(b []byte) (*node, error) {
	n := &node{}
	err := fields(b, func(num protowire.Number, v uint64, body []byte) error {
		switch {
		case num == 2 && body != nil && len(n.links) < maxEntries:
			l, err := decodeLink(body)
			n.links = append(n.links, l)
			return err
		case num == 1 && body != nil:
			return n.decodeData(body)
		}
		return fmt.Errorf("field %d", num)
	})
	if err == nil && !bytes.Equal(n.encode(), b) {
		err = fmt.Errorf("not in canonical form")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: dag-pb: %w", ErrHostile, err)
	}
	return n, nil
}

func decodeLink(b []byte) (l link, err error) {
	err = fields(b, func(num protowire.Number, v uint64, body []byte) error {
		switch {
		case num == 1 && body != nil && len(body) <= 64:
			if l.cid, err = cid.Cast(body); err != nil {
				return err
			}
			if !usual(l.cid) {
				return fmt.Errorf("a link by %s", l.cid)
			}
			return nil
		case num == 2 && body != nil && len(body) <= maxEntryName:
			l.name = string(body)
			return nil
		case num == 3 && body == nil:
			l.tree = v
			return nil
		}
		return fmt.Errorf("link with field %d", num)
	})
	if err == nil && !l.cid.Defined() {
		err = fmt.Errorf("link without a CID")
	}
	return l, err
}

func (n *node) decodeData(b []byte) error {
	return fields(b, func(num protowire.Number, v uint64, body []byte) error {
		switch {
		case num == 1 && body == nil:
			n.kind = v
		case num == 2 && body != nil && len(body) <= fanout/8:
			n.data = body
		case num == 3 && body == nil:
			n.filesize, n.hasSize = v, true
		case num == 4 && body == nil && len(n.blocksizes) < len(n.links):
			n.blocksizes = append(n.blocksizes, v)
		case num == 5 && body == nil:
			n.hashType = v
		case num == 6 && body == nil:
			n.fanout = v
		default:
			return fmt.Errorf("UnixFS with field %d", num)
		}
		return nil
	})
}

// fields calls f for each field of a protobuf message: with a number, or with bytes that are not nil.
func fields(b []byte, f func(num protowire.Number, v uint64, body []byte) error) error {
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v uint64
		var body []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			body, n = protowire.ConsumeBytes(b)
			if body == nil {
				body = []byte{}
			}
		default:
			return fmt.Errorf("field of wire type %d", kind)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := f(num, v, body); err != nil {
			return err
		}
	}
	return nil
}

// Names returns the names in a folder by its block, hostile or not: ascending as they stand there. ErrHostile for what is no
// folder of one block.
func Names(b []byte) ([]string, error) {
	n, err := decode(b)
	if err != nil {
		return nil, err
	}
	if n.kind != typeDirectory {
		return nil, fmt.Errorf("%w: no folder", ErrHostile)
	}
	names := make([]string, 0, len(n.links))
	for _, l := range n.links {
		names = append(names, l.name)
	}
	return names, nil
}
