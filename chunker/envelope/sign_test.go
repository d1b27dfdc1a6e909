package envelope

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
)

func TestVerify(t *testing.T) {
	e := sample(t, func(e *Envelope) {
		e.Key = Key{Scheme: 1, Number: 3}
		e.Extensions = []Extension{{"key", []byte{5}}}
	})
	if err := e.Verify(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Envelope){
		"channel":       func(e *Envelope) { e.Channel[3] ^= 1 },
		"broadcast":     func(e *Envelope) { e.Broadcast = "1abc123" },
		"seq":           func(e *Envelope) { e.Seq++ },
		"flags":         func(e *Envelope) { e.Flags |= Discontinuity },
		"fragments":     func(e *Envelope) { e.Fragments[2][0] ^= 1 },
		"key number":    func(e *Envelope) { e.Key.Number++ },
		"no key":        func(e *Envelope) { e.Key = Key{} },
		"extension":     func(e *Envelope) { e.Extensions[0].Value = []byte{6} },
		"extension key": func(e *Envelope) { e.Extensions[0].Key = "kez" },
		"signature":     func(e *Envelope) { e.Signature[9] ^= 1 },
	} {
		c, err := Decode(e.Encode())
		if err != nil {
			t.Fatal(err)
		}
		change(c)
		if err := c.Verify(); !errors.Is(err, ErrSignature) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
	// A signature over the bytes without the domain must not do.
	c := *e
	copy(c.Signature[:], ed25519.Sign(testKey, e.appendUnsigned(nil)))
	if err := c.Verify(); !errors.Is(err, ErrSignature) {
		t.Errorf("signed without domain: %v", err)
	}
}

func TestSignRefuses(t *testing.T) {
	if err := new(Envelope).Sign(nil); !errors.Is(err, ErrKey) {
		t.Errorf("no key: %v", err)
	}
	for name, change := range map[string]func(*Envelope){
		"broadcast empty":        func(e *Envelope) { e.Broadcast = "" },
		"track with a slash":     func(e *Envelope) { e.Track = "a/b" },
		"seq too large":          func(e *Envelope) { e.Seq = MaxInteger + 1 },
		"no timescale":           func(e *Envelope) { e.Timescale = 0 },
		"no part target":         func(e *Envelope) { e.PartTarget = 0 },
		"longer than its target": func(e *Envelope) { e.Duration = e.PartTarget + 1 },
		"no duration":            func(e *Envelope) { e.Duration = 0 },
		"captured before 1970":   func(e *Envelope) { e.Captured = time.Time{} },
		"no init":                func(e *Envelope) { e.Init = cid.Undef },
		"init not raw":           func(e *Envelope) { e.Init = CID(nil) },
		"no block":               func(e *Envelope) { e.Block = cid.Undef },
		"block too large":        func(e *Envelope) { e.SetBlock(block(MaxBlock), 0) },
		"empty block":            func(e *Envelope) { e.SetBlock(nil, 0) },
		"end with a block":       func(e *Envelope) { e.Flags |= End },
		"no fragment size":       func(e *Envelope) { e.FragmentSize = 0 },
		"fragments too small":    func(e *Envelope) { e.SetBlock(block(10_000), MinFragment-1) },
		"a fragment too few":     func(e *Envelope) { e.Fragments = e.Fragments[1:] },
		"a fragment too many":    func(e *Envelope) { e.Fragments = append(e.Fragments, [HashSize]byte{}) },
		"too many fragments": func(e *Envelope) {
			e.SetBlock(block(MaxBlock-1), MinFragment)
		},
		"links before the start": func(e *Envelope) { e.Seq = 7 },
		"too many links": func(e *Envelope) {
			e.Previous = append(e.Previous, append(e.Previous, e.Previous...)...)
		},
		"link to a raw block":         func(e *Envelope) { e.Previous[1] = e.Block },
		"extension keys out of order": func(e *Envelope) { e.Extensions = []Extension{{"aa", []byte{0}}, {"b", []byte{0}}} },
		"extension key twice":         func(e *Envelope) { e.Extensions = []Extension{{"a", []byte{0}}, {"a", []byte{0}}} },
		"extension of no item":        func(e *Envelope) { e.Extensions = []Extension{{"a", nil}} },
		"extension of two items":      func(e *Envelope) { e.Extensions = []Extension{{"a", []byte{0, 0}}} },
		"extension too large": func(e *Envelope) {
			e.Extensions = []Extension{{"a", appendBytes(nil, make([]byte, MaxEncoded))}}
		},
		"too many extensions": func(e *Envelope) {
			for i := range MaxExtensions + 1 {
				e.Extensions = append(e.Extensions, Extension{fmt.Sprintf("%02d", i), []byte{0}})
			}
		},
	} {
		e := sample(t, nil)
		change(e)
		if err := e.Sign(testKey); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
