package episub

import (
	"encoding/binary"
	"errors"
)

// ErrWire is returned for bytes that are not a frame of a version we speak.
var ErrWire = errors.New("episub: malformed")

// Append appends the encoded frame to b.
func (c *Control) Append(b []byte) []byte {
	b = append(b, Version)
	b = binary.AppendUvarint(b, c.Epoch)
	for typ := byte(1); typ <= 7; typ++ {
		if c.Has&(1<<(typ-1)) == 0 {
			continue
		}
		b = append(b, typ, 0, 0)
		start := len(b)
		switch Sections(1) << (typ - 1) {
		case HasState:
			b = c.State.append(b)
		case HasWant:
			b = c.Want.append(b)
		case HasLeave:
			b = append24(b, c.Leave)
		case HasGrant:
			b = append24(b, c.Grant)
		case HasRefuse:
			b = append24(b, c.Refuse.Lanes)
			b = binary.BigEndian.AppendUint16(b, c.Refuse.Retry)
			b = binary.BigEndian.AppendUint64(b, c.Refuse.Instead)
		case HasRequest:
			b = c.Request.append(b)
		case HasAbsent:
			b = c.Absent.append(b)
		}
		binary.BigEndian.PutUint16(b[start-2:], uint16(len(b)-start))
	}
	return b
}

// Decode sets c to the frame that b holds. Sections of types below 0x80 that it does not know are skipped; everything
// else that is not exactly as EPISUB.md says is an error. c is unspecified after an error.
func (c *Control) Decode(b []byte) error {
	if len(b) > MaxControl || len(b) < 2 || b[0] != Version {
		return ErrWire
	}
	r := reader{b: b[1:]}
	c.Epoch, c.Has = r.uvarint(), 0
	last := byte(0)
	for len(r.b) > 0 && !r.bad {
		typ := r.u8()
		body := reader{b: r.take(int(r.u16()))}
		if typ <= last || typ >= 0x80 || r.bad {
			return ErrWire
		}
		last = typ
		switch {
		case typ > 7:
			continue
		case typ == 1:
			c.State.decode(&body)
		case typ == 2:
			c.Want.decode(&body)
		case typ == 3:
			c.Leave = body.lanes()
		case typ == 4:
			c.Grant = body.lanes()
		case typ == 5:
			c.Refuse = Refuse{Lanes: body.lanes(), Retry: body.u16(), Instead: body.u64()}
		case typ == 6:
			c.Request.decode(&body)
		case typ == 7:
			c.Absent.decode(&body)
		}
		if body.bad || len(body.b) != 0 {
			return ErrWire
		}
		c.Has |= 1 << (typ - 1)
	}
	if r.bad {
		return ErrWire
	}
	return nil
}

func (s *State) append(b []byte) []byte {
	b = binary.AppendUvarint(b, s.Newest)
	b = binary.BigEndian.AppendUint16(b, s.Age)
	b = binary.BigEndian.AppendUint16(b, s.Complete)
	b = append(b, s.Independent, s.Room, s.Drain)
	b = append24(append24(b, s.Takes), s.Fed)
	for i := range s.Lanes {
		if s.Fed&(1<<i) != 0 {
			l := &s.Lanes[i]
			b = append(b, byte(l.Age>>8), byte(l.Age), l.Wait, l.Relay, l.Weight)
		}
	}
	return b
}

func (s *State) decode(r *reader) {
	s.Newest, s.Age, s.Complete = r.uvarint(), r.u16(), r.u16()
	s.Independent, s.Room, s.Drain = r.u8(), r.u8(), r.u8()
	s.Takes, s.Fed = r.lanes(), r.lanes()
	for i := range s.Lanes {
		s.Lanes[i] = Lane{}
		if s.Fed&(1<<i) != 0 {
			s.Lanes[i] = Lane{Age: r.u16(), Wait: r.u8(), Relay: r.u8(), Weight: r.u8()}
		}
	}
}

func (w *Want) append(b []byte) []byte {
	b = binary.AppendUvarint(b, w.From)
	b = append(b, w.Room, byte(w.N))
	for _, l := range w.Lanes[:w.N] {
		b = append(b, l.Lane, l.Weight, byte(l.Limit>>8), byte(l.Limit))
	}
	return b
}

func (w *Want) decode(r *reader) {
	w.From, w.Room, w.N = r.uvarint(), r.u8(), int(r.u8())
	if w.N > lanes {
		w.N, r.bad = 0, true
		return
	}
	seen := uint32(0)
	for i := range w.Lanes[:w.N] {
		l := WantLane{Lane: r.u8(), Weight: r.u8(), Limit: r.u16()}
		if l.Lane >= lanes || seen&(1<<l.Lane) != 0 {
			r.bad = true
			return
		}
		seen |= 1 << l.Lane
		w.Lanes[i] = l
	}
}

func (a *Asks) append(b []byte) []byte {
	b = append(b, byte(a.N))
	for i := range a.List[:a.N] {
		x := &a.List[i]
		b = binary.AppendUvarint(b, x.Seq)
		var set [MaxFragments / 8]byte
		binary.LittleEndian.PutUint64(set[:], x.Set[0])
		binary.LittleEndian.PutUint64(set[8:], x.Set[1])
		n := len(set)
		for n > 0 && set[n-1] == 0 {
			n--
		}
		head := byte(n)
		if x.Envelope {
			head |= 0x80
		}
		b = append(append(b, head), set[:n]...)
	}
	return b
}

func (a *Asks) decode(r *reader) {
	a.N = int(r.u8())
	if a.N > MaxAsks {
		a.N, r.bad = 0, true
		return
	}
	for i := range a.List[:a.N] {
		x := Ask{Seq: r.uvarint()}
		head := r.u8()
		n := int(head & 0x7f)
		body := r.take(n)
		if n > MaxFragments/8 || r.bad || n > 0 && body[n-1] == 0 {
			r.bad = true
			return
		}
		x.Envelope = head&0x80 != 0
		for j, v := range body {
			x.Set[j>>3] |= uint64(v) << (j & 7 * 8)
		}
		a.List[i] = x
	}
}

// Header is what precedes a fragment or an envelope in a partial message.
type Header struct {
	ID    ID    // travels as the group
	Index int   // fragment index, or EnvelopeIndex
	Age   int64 // nanoseconds from publish to when the sender handed it to the connection
	Hops  uint8 // hops from the origin to the sender
}

// HeaderSize is the size of an encoded Header.
const HeaderSize = 5

// Append appends the encoded header to b; the fragment's or envelope's bytes follow it. The chunk's ID is not in it:
// it is the group of the partial message, see AppendGroup.
func (h *Header) Append(b []byte) []byte {
	age := toAge(h.Age)
	return append(b, Version, byte(h.Index+1), h.Hops, byte(age>>8), byte(age))
}

// DecodeHeader returns the header at the start of b and the bytes after it.
func DecodeHeader(b []byte) (Header, []byte, error) {
	if len(b) < HeaderSize || b[0] != Version || int(b[1]) > MaxFragments {
		return Header{}, nil, ErrWire
	}
	age := binary.BigEndian.Uint16(b[3:])
	if age == 0xffff {
		return Header{}, nil, ErrWire
	}
	return Header{Index: int(b[1]) - 1, Hops: b[2], Age: int64(age) * ageUnit}, b[HeaderSize:], nil
}

// AppendGroup appends the group of the chunk id to b: its epoch and seq as canonical uvarints.
func AppendGroup(b []byte, id ID) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, id.Epoch), id.Seq)
}

// DecodeGroup returns the chunk that a group names.
func DecodeGroup(b []byte) (ID, error) {
	r := reader{b: b}
	id := ID{Epoch: r.uvarint(), Seq: r.uvarint()}
	if r.bad || len(r.b) != 0 {
		return ID{}, ErrWire
	}
	return id, nil
}

func append24(b []byte, v uint32) []byte { return append(b, byte(v>>16), byte(v>>8), byte(v)) }

// reader takes values off a slice; after the first that is not there, bad is set and the rest are zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// lanes reads a mask of lanes.
func (r *reader) lanes() uint32 {
	v := r.take(3)
	if v == nil {
		return 0
	}
	m := uint32(v[0])<<16 | uint32(v[1])<<8 | uint32(v[2])
	if m >= 1<<lanes {
		r.bad = true
	}
	return m
}

// uvarint reads a canonical uvarint of at most 53 bits.
func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<53-1 || n > 1 && r.b[n-1] == 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}
