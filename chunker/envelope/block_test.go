package envelope

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func TestCheckBytes(t *testing.T) {
	b := block(20_000)
	e := sample(t, func(e *Envelope) { e.SetBlock(b, 0) })
	if err := e.CheckBlock(b); err != nil {
		t.Error(err)
	}
	wrong := bytes.Clone(b)
	wrong[17_000] ^= 1
	for _, w := range [][]byte{wrong, b[1:], nil, append(bytes.Clone(b), 0)} {
		if err := e.CheckBlock(w); !errors.Is(err, ErrBlock) {
			t.Errorf("%d bytes: %v", len(w), err)
		}
	}
	if len(e.Fragments) != 3 {
		t.Fatalf("%d fragments", len(e.Fragments))
	}
	for i := range e.Fragments {
		lo, hi := e.FragmentRange(i)
		if err := e.CheckFragment(i, b[lo:hi]); err != nil {
			t.Error(err)
		}
		if err := e.CheckFragment(i, b[lo:hi-1]); !errors.Is(err, ErrFragment) {
			t.Errorf("short fragment %d: %v", i, err)
		}
		if err := e.CheckFragment(i, wrong[lo:hi]); errors.Is(err, ErrFragment) != (i == 2) {
			t.Errorf("wrong fragment %d: %v", i, err)
		}
	}
	for _, i := range []int{-1, 3, math.MaxInt} {
		if err := e.CheckFragment(i, nil); !errors.Is(err, ErrFragment) {
			t.Errorf("fragment %d: %v", i, err)
		}
	}
	if err := e.CheckInit([]byte("init")); err != nil {
		t.Error(err)
	}
	for _, w := range [][]byte{nil, []byte("inix"), make([]byte, MaxInit+1)} {
		if err := e.CheckInit(w); !errors.Is(err, ErrInit) {
			t.Errorf("init: %v", err)
		}
	}
	if err := new(Envelope).CheckFragment(0, nil); !errors.Is(err, ErrFragment) {
		t.Errorf("zero envelope: %v", err)
	}
}

// TestFragmentSize: blocks of any size are cut so that the mesh carries them, and those of usual sizes into 13 to 22
// fragments, or multiples, in as few packets as hold them.
func TestFragmentSize(t *testing.T) {
	const packet, around, stripes = 1390, 55, 16
	for size := 1; size <= MaxBlock; size += 331 {
		f := FragmentSize(size)
		if f < MinFragment || f > DefaultFragment {
			t.Fatalf("a block of %d bytes is cut into fragments of %d", size, f)
		}
		full, rest := size/f, size%f
		count := full + min(rest, 1)
		if count > MaxBlock/DefaultFragment {
			t.Fatalf("a block of %d bytes has %d fragments", size, count)
		}
		if size < 40_000 || size > 800_000 {
			continue
		}
		if count < stripes-3 || size < stripes*DefaultFragment && count > stripes+6 {
			t.Errorf("a block of %d bytes has %d fragments", size, count)
		}
		packets := full*((f+around+packet-1)/packet) + min(rest, 1)*((rest+around+packet-1)/packet)
		least := (size + count*around + packet - 1) / packet
		if packets > least+1 {
			t.Errorf("a block of %d bytes is %d packets, where %d would do", size, packets, least)
		}
	}
}
