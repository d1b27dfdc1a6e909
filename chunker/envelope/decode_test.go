package envelope

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func TestDecodeRefuses(t *testing.T) {
	raw := sample(t, nil).Encode()
	for i := range raw {
		if _, err := Decode(raw[:i]); !errors.Is(err, ErrFormat) {
			t.Fatalf("first %d bytes: %v", i, err)
		}
	}
	if _, err := Decode(append(bytes.Clone(raw), 0)); !errors.Is(err, ErrFormat) {
		t.Errorf("a byte more: %v", err)
	}
	for version, want := range map[byte]error{0: ErrVersion, 2: ErrFormat, 3: ErrVersion} { // 2 has another length
		other := bytes.Clone(raw)
		other[1] = version
		if _, err := Decode(other); !errors.Is(err, want) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	if _, err := Decode(make([]byte, MaxEncoded+1)); !errors.Is(err, ErrFormat) {
		t.Errorf("too large: %v", err)
	}
}

// TestDecodeRefusesKeys changes the key of a sealed envelope, which stands before the empty map of extensions.
func TestDecodeRefusesKeys(t *testing.T) {
	raw := sample(t, func(e *Envelope) { e.Key = Key{Scheme: 1, Number: 3} }).Encode()
	at := len(raw) - signatureSize - 4
	if got := hex.EncodeToString(raw[at:][:4]); raw[0] != 0x95 || raw[1] != 2 || got != "820103a0" {
		t.Fatalf("the key is %s in %x", got, raw)
	}
	for name, key := range map[string][]byte{
		"scheme 0":                    {0x82, 0, 3},
		"scheme of two bytes":         {0x82, 0x18, 24, 3},
		"scheme not the shortest":     {0x82, 0x18, 1, 3},
		"number not the shortest":     {0x82, 1, 0x18, 3},
		"number over 2^53":            {0x82, 1, 0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0},
		"negative number":             {0x82, 1, 0x20},
		"no number":                   {0x81, 1},
		"another element":             {0x83, 1, 3, 0},
		"a map":                       {0xa1, 1, 3},
		"nothing":                     {},
		"null":                        {cborNull},
		"length over what is there":   {0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"number of indefinite length": {0x9f, 1, 3, 0xff},
	} {
		other := append(append(bytes.Clone(raw[:at]), key...), raw[at+3:]...)
		if _, err := Decode(other); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := bytes.Clone(raw)
	plain[0], plain[1] = 0x94, 1
	if _, err := Decode(plain); !errors.Is(err, ErrFormat) {
		t.Errorf("as version 1: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range goodEnvelopes(f) {
		f.Add(e.Encode())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := Decode(raw)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		if again := e.Encode(); !bytes.Equal(again, raw) {
			t.Fatalf("encodes to %x\nwas %x", again, raw)
		}
		checkIPLD(t, raw)
		_ = e.Verify()
		_ = e.CheckFragment(len(e.Fragments)-1, raw)
	})
}
