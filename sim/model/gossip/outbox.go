package gossip

// outbox is a neighbour's outbound queue: what is urgent goes first, and what does not fit is dropped.
type outbox struct {
	urgent, normal []*RPC
	most           int
}

func (o *outbox) len() int { return len(o.urgent) + len(o.normal) }

// push reports whether there was room.
func (o *outbox) push(r *RPC, urgent bool) bool {
	if o.len() >= o.most {
		return false
	}
	if urgent {
		o.urgent = append(o.urgent, r)
	} else {
		o.normal = append(o.normal, r)
	}
	return true
}

// pop returns the next RPC, or nil.
func (o *outbox) pop() *RPC {
	q := &o.urgent
	if len(*q) == 0 {
		q = &o.normal
	}
	if len(*q) == 0 {
		return nil
	}
	r := (*q)[0]
	(*q)[0] = nil
	if *q = (*q)[1:]; len(*q) == 0 {
		*q = nil
	}
	return r
}
