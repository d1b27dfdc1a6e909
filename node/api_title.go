package node

import "murmuration/node/shim"

// retitle says that a broadcast's title is no longer the one that it was opened with on the local face; empty forgets.
func (p *participant) retitle(id, title string) {
	p.mu.Lock()
	before := p.titles[id]
	if title == "" {
		delete(p.titles, id)
	} else {
		if p.titles == nil {
			p.titles = map[string]string{}
		}
		p.titles[id] = title
	}
	p.mu.Unlock()
	if before != title {
		p.shim.Changed()
	}
}

// retitled puts the new titles in.
func (p *participant) retitled(all []shim.BroadcastStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range all {
		if title, ok := p.titles[all[i].ID]; ok {
			all[i].Title = title
		}
	}
}
