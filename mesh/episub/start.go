package episub

// Floor returns the first chunk that the machine wants. Ok is false until it is settled, which it is when the first
// neighbours have spoken.
func (m *Machine) Floor() (id ID, ok bool) { return ID{m.epoch, m.floor}, m.joined }

// Holds reports whether p has told that chunk id is complete there, which its adverts say of the newest sixteen.
func (m *Machine) Holds(p Peer, id ID) bool {
	if !m.up(p) {
		return false
	}
	n := &m.n[p]
	return !n.banned && n.stated != 0 && n.epoch == id.Epoch && id.Seq <= n.newest && n.newest-id.Seq < 16 &&
		n.complete&(1<<(n.newest-id.Seq)) != 0
}
