package episub

import "fmt"

func (m *Machine) Debug(now int64) string {
	s := fmt.Sprintf("base err %d ms based %d low %d floor %d backTo %d newest %d ref %d reqs %d held %d;", (m.base-int64(m.refSeq)*250e6)/1e6, m.based, m.low, m.floor, m.backTo, m.newest, m.refSeq, len(m.requests), len(m.held))
	for q := m.newest - 10; q <= m.newest; q++ {
		if c := m.find(q); c != nil {
			s += fmt.Sprintf(" %d:k%v d%v g%v have %d/%d tries %d", q, c.known, c.done, c.given, c.have.count(), c.Fragments, c.tries)
		} else {
			s += fmt.Sprintf(" %d:-", q)
		}
	}
	return s
}
