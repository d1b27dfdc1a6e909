package testpicture

import "math/bits"

// bitWriter collects the bits of a NAL unit's payload (RBSP).
type bitWriter struct {
	buf  []byte
	acc  uint64
	held uint // bits in acc, always under 8 between calls
}

func (w *bitWriter) reset() {
	w.buf, w.acc, w.held = w.buf[:0], 0, 0
}

// u writes the low n bits of v, n <= 32.
func (w *bitWriter) u(v uint32, n uint) {
	w.acc = w.acc<<n | uint64(v)&(1<<n-1)
	w.held += n
	for w.held >= 8 {
		w.held -= 8
		w.buf = append(w.buf, byte(w.acc>>w.held))
	}
}

func (w *bitWriter) flag(v bool) {
	if v {
		w.u(1, 1)
	} else {
		w.u(0, 1)
	}
}

// ue writes an unsigned Exp-Golomb code (H.264 9.1).
func (w *bitWriter) ue(v uint32) {
	n := uint(bits.Len32(v + 1))
	w.u(0, n-1)
	w.u(v+1, n)
}

// se writes a signed Exp-Golomb code (H.264 9.1.1).
func (w *bitWriter) se(v int32) {
	if v > 0 {
		w.ue(uint32(2*v - 1))
	} else {
		w.ue(uint32(-2 * v))
	}
}

// trailing writes the stop bit and aligns to a byte.
func (w *bitWriter) trailing() {
	w.u(1, 1)
	if w.held > 0 {
		w.u(0, 8-w.held)
	}
}

// nal returns the NAL unit with the given header byte, with emulation prevention (H.264 7.4.1).
func (w *bitWriter) nal(header byte) []byte {
	out := make([]byte, 0, len(w.buf)+len(w.buf)/64+2)
	out = append(out, header)
	zeros := 0
	for _, b := range w.buf {
		if zeros >= 2 && b <= 3 {
			out = append(out, 3)
			zeros = 0
		}
		out = append(out, b)
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}
