package gossip

// Peer names a neighbour; the caller chooses the names.
type Peer int32

// ID names a message.
type ID int32

// Message is a message without its bytes.
type Message struct {
	ID     ID
	Size   int   // bytes of its data
	Bad    bool  // a validator would find it damaged
	Answer bool  // to an IWANT
	Hops   uint8 // that it has come over
}

// RPC is what is written to a stream in one piece, and handled when all of it has come.
type RPC struct {
	Subscribe               bool
	Publish                 []Message
	IHave, IWant, IDontWant []ID
	Graft, Prune            bool
	control                 bool // it has a control part, be it empty
}

// Bytes of protobuf around things: tags and lengths.
const (
	topicBytes   = 73  // a topic's name of 71 bytes
	idBytes      = 22  // a message id of 20 bytes
	messageBytes = 8   // a message and its data
	subBytes     = 8   // a subscription, beside its topic
	partBytes    = 4   // one part of the control message
	backoffBytes = 2   // of a PRUNE
	prefixBytes  = 3   // the RPC's length before it, at most
	smallPrefix  = 1   // the same of one below 128 bytes
	small        = 128 // bytes
)

// Size returns the bytes of the RPC on its stream.
func (r *RPC) Size() int {
	n := 0
	for i := range r.Publish {
		n += messageSize(&r.Publish[i])
	}
	if r.Subscribe {
		n += subBytes + topicBytes
	}
	if r.control {
		n += partBytes / 2
	}
	if len(r.IHave) > 0 {
		n += partBytes + topicBytes + idBytes*len(r.IHave)
	}
	if len(r.IWant) > 0 {
		n += partBytes + idBytes*len(r.IWant)
	}
	if len(r.IDontWant) > 0 {
		n += partBytes + idBytes*len(r.IDontWant)
	}
	if r.Graft {
		n += partBytes + topicBytes
	}
	if r.Prune {
		n += partBytes + topicBytes + backoffBytes
	}
	if n < small {
		return n + smallPrefix
	}
	return n + prefixBytes
}

func messageSize(m *Message) int { return m.Size + messageBytes + topicBytes }

// split deals an RPC's messages out to several that stay below a size. Its control part goes with the last.
func (r *RPC) split(most int) []*RPC {
	if len(r.Publish) < 2 || r.Size() <= most {
		return []*RPC{r}
	}
	var out []*RPC
	part, size := &RPC{}, 0
	for i := range r.Publish {
		n := messageSize(&r.Publish[i])
		if size > 0 && size+n+prefixBytes > most {
			out, part, size = append(out, part), &RPC{}, 0
		}
		part.Publish = append(part.Publish, r.Publish[i])
		size += n
	}
	out = append(out, part)
	rest := *r
	rest.Publish = nil
	if rest.IHave != nil || rest.IWant != nil || rest.IDontWant != nil || rest.Graft || rest.Prune {
		out = append(out, &rest)
	}
	return out
}
