package mesh

import (
	"bytes"
	"testing"
	"time"

	"murmuration/chunker/envelope"
	"murmuration/mesh/episub"
)

func TestPieceRoundTrip(t *testing.T) {
	c := newStream(time.Now()).next(t)
	plain := newStream(time.Now())
	plain.seq = 1
	d := plain.next(t)
	for name, b := range map[string][]byte{
		"fragment":             appendFragment(nil, episub.Header{Index: 1, Hops: 3, Age: 25e6}, c.Block[1024:]),
		"envelope":             appendEnvelope(nil, episub.Header{Index: episub.EnvelopeIndex, Hops: 1}, d.Raw, nil),
		"independent envelope": appendEnvelope(nil, episub.Header{Index: episub.EnvelopeIndex}, c.Raw, c.Init),
	} {
		p, err := decodePiece(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again := appendFragment(nil, p.header, p.fragment)
		if p.header.Index == episub.EnvelopeIndex {
			again = appendEnvelope(nil, p.header, p.envelope, p.init)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%s: %x instead of %x", name, again, b)
		}
	}
}

func TestPieceBounds(t *testing.T) {
	head := func(index int) []byte { return (&episub.Header{Index: index}).Append(nil) }
	for name, b := range map[string][]byte{
		"empty":              {},
		"header only":        head(0),
		"envelope without":   head(episub.EnvelopeIndex),
		"envelope of zero":   append(head(episub.EnvelopeIndex), 0, 0, 1),
		"envelope cut short": append(head(episub.EnvelopeIndex), 0, 9, 1, 2),
		"envelope too long":  append(append(head(episub.EnvelopeIndex), 0x20, 1), make([]byte, envelope.MaxEncoded+1)...),
		"init too long":      append(append(head(episub.EnvelopeIndex), 0, 1, 1), make([]byte, envelope.MaxInit+1)...),
		"fragment too long":  append(head(3), make([]byte, maxFragment+1)...),
		"index too high":     append([]byte{episub.Version, episub.MaxFragments + 1, 0, 0, 0}, 1),
		"version":            append([]byte{episub.Version + 1, 1, 0, 0, 0}, 1),
	} {
		if _, err := decodePiece(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzPiece: what decodes encodes to the same bytes, and stays within the bounds.
func FuzzPiece(f *testing.F) {
	s := newStream(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	c := s.next(f)
	f.Add(appendFragment(nil, episub.Header{Index: 1, Age: 25e6}, c.Block[:100]))
	f.Add(appendEnvelope(nil, episub.Header{Index: episub.EnvelopeIndex}, c.Raw, c.Init))
	f.Add([]byte{episub.Version, 0, 0, 0, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePiece(b)
		if err != nil {
			return
		}
		again := appendFragment(nil, p.header, p.fragment)
		if p.header.Index == episub.EnvelopeIndex {
			again = appendEnvelope(nil, p.header, p.envelope, p.init)
			if len(p.envelope) > envelope.MaxEncoded || len(p.init) > envelope.MaxInit {
				t.Error("out of bounds")
			}
			if _, err := verifyEnvelope(testTrack, envelope.ID{}, p.envelope, p.init); err == nil {
				t.Error("the channel never signed this")
			}
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}

// FuzzGroup: a group that decodes is the only encoding of its chunk's id.
func FuzzGroup(f *testing.F) {
	f.Add(episub.AppendGroup(nil, episub.ID{Epoch: 1_790_000_000, Seq: 812}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := decodeGroup(b); err == nil && !bytes.Equal(episub.AppendGroup(nil, id), b) {
			t.Errorf("%x is not the group of %v", b, id)
		}
	})
}

func TestTimelineFollowsStallsAndJumps(t *testing.T) {
	s := newStream(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	var l timeline
	off := time.Duration(0)
	place := func() time.Duration {
		c := s.make(t, func(e *envelope.Envelope) { e.Captured = e.Captured.Add(off) })
		return l.place(c.Envelope)
	}
	first := place()
	if d := place() - first; d != chunkTime {
		t.Errorf("the second %v after the first", d)
	}
	off = 400 * time.Millisecond // the source stalled
	if d := place() - first; d != 2*chunkTime+off {
		t.Errorf("after a stall at %v", d)
	}
	off = -time.Hour // the origin's clock was set
	if d := place() - first; d != 3*chunkTime+400*time.Millisecond {
		t.Errorf("after the clock was set at %v", d)
	}
	if d := place() - first; d != 4*chunkTime+400*time.Millisecond {
		t.Errorf("and then at %v", d)
	}
}
