package gossip

// cache is the message cache: what can be advertised and asked for, by heartbeat.
type cache struct {
	messages map[ID]*cached
	history  [][]ID // the latest window first
	gossip   int    // windows that are advertised
}

type cached struct {
	Message
	sent map[Peer]int // times that a peer asked for it
}

func newCache(p *Params) cache {
	return cache{messages: map[ID]*cached{}, history: make([][]ID, p.HistoryLength), gossip: p.HistoryGossip}
}

func (c *cache) put(m Message) {
	c.messages[m.ID] = &cached{Message: m}
	c.history[0] = append(c.history[0], m.ID)
}

// get returns a message that a peer asks for and how many times it has asked by now.
func (c *cache) get(id ID, p Peer) (m *cached, times int) {
	m = c.messages[id]
	if m == nil {
		return nil, 0
	}
	if m.sent == nil {
		m.sent = map[Peer]int{}
	}
	m.sent[p]++
	return m, m.sent[p]
}

// advertised returns the ids of the windows that are advertised.
func (c *cache) advertised() []ID {
	var ids []ID
	for _, window := range c.history[:c.gossip] {
		ids = append(ids, window...)
	}
	return ids
}

// shift begins a new window and forgets the oldest.
func (c *cache) shift() {
	last := len(c.history) - 1
	for _, id := range c.history[last] {
		delete(c.messages, id)
	}
	copy(c.history[1:], c.history[:last])
	c.history[0] = nil
}
